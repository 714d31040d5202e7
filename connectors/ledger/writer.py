"""One thread, one connection, many callers: calls queue up and share a transaction (group commit)."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from connectors.errors import FatalError
from connectors.ledger import faults, lease
from connectors.ledger.database import cannot_write, connect
from connectors.ledger.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.ledger.database import Connection

T = TypeVar("T")
_MOST_CALLS: Final = 256
_LONGEST_S: Final = 0.1
_FEW: Final = 16
_COMPANY_S: Final = 0.02
_MOST_LONELY: Final = 64

_HELD = "SELECT lease_token FROM sources WHERE id = :source FOR SHARE"
_BEAT = "UPDATE sources SET lease_beat = :beat, lease_tick = :tick WHERE id = :source AND lease_token = :token"


@dataclass(slots=True, kw_only=True)
class _Call:
    """One function to run in a transaction, and where its result goes.

    Attributes:
        source: the source whose lease must still be ours, None for a reader.
        synced: the caller needs the transaction on the disk, not only in the system's hands.
    """

    function: Callable[[Connection], Any]
    source: int | None
    synced: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs functions on the ledger's one connection.

    A function is run a second time when a neighbour in its transaction failed, so it changes nothing but the database.
    """

    def __init__(self, url: str, *, now_ms: Callable[[], int], beat_s: float = lease.BEAT_S) -> None:
        self._url = url
        self._now_ms = now_ms
        self._beat_s = beat_s
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._leases: dict[int, str] = {}
        self._beaten = time.monotonic()
        self._lonely = self._hurried = _MOST_LONELY
        self._connection = self._open()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._thread.start()
        self._closed = False

    async def call(self, function: Callable[[Connection], T], *, source: int | None = None, synced: bool = False) -> T:
        """Run ``function`` in a transaction and return its result when that is durable.

        Raises:
            FatalError: the database cannot be written, or another process took the source over.
        """
        if self._closed:
            raise FatalError("The ledger is closed.")
        loop = asyncio.get_running_loop()
        call = _Call(function=function, source=source, synced=synced, loop=loop, future=loop.create_future())
        self._calls.put(call)
        result: T = await call.future
        return result

    async def write(self, function: partial[T], *, source: int, synced: bool = False) -> T:
        """Run a ``partial`` of a named function under a source's lease; tests may kill us around and inside it."""
        name = function.func.__name__
        faults.reach(f"before {name}")
        result: T = await self.call(partial(_and_then, function, f"in {name}"), source=source, synced=synced)
        faults.reach(f"after {name}")
        return result

    def keep(self, source: int, token: str) -> None:
        """Beat for a lease from now on."""
        self._leases[source] = token

    def forget(self, source: int) -> None:
        """Beat no more."""
        self._leases.pop(source, None)

    async def close(self) -> None:
        """Finish what is queued and give the connection back."""
        if not self._closed:
            self._closed = True
            self._calls.put(None)
            await asyncio.to_thread(self._thread.join)

    def _open(self) -> Connection:
        connection = connect(self._url)
        try:
            with connection.transaction():
                migrate(connection)
        except connection.errors as error:
            connection.close()
            raise cannot_write(error) from error
        except FatalError:
            connection.close()
            raise
        return connection

    def _work(self) -> None:
        following: _Call | None = None
        while True:
            first = following or self._next()
            following = None
            if first is None:
                break
            group = [first]
            following = self._join(group)
            if following is None and len(group) < _FEW and self._expects_company():
                time.sleep(_COMPANY_S)
                alone = len(group)
                following = self._join(group)
                self._met(company=len(group) > alone)
            self._run(group)
            self._beat()
        self._connection.close()

    def _join(self, group: list[_Call]) -> _Call | None:
        """Let the calls that wait share a transaction; returns one that cannot, for the next."""
        started = time.monotonic()
        while len(group) < _MOST_CALLS and time.monotonic() - started < _LONGEST_S:
            try:
                following = self._calls.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._calls.put(None)
                break
            if following.synced != group[0].synced:
                return following
            group.append(following)
        return None

    def _expects_company(self) -> bool:
        """Say whether to wait a moment for more calls: a transaction of its own costs a call more than its work.

        Who makes one call after the other is soon waited for no more.
        """
        self._hurried -= self._hurried > 0
        return not self._hurried

    def _met(self, *, company: bool) -> None:
        self._lonely = 0 if company else min(_MOST_LONELY, 2 * self._lonely + 2)
        self._hurried = self._lonely

    def _next(self) -> _Call | None:
        while True:
            try:
                return self._calls.get(timeout=self._beat_s)
            except queue.Empty:
                self._beat()

    def _run(self, group: list[_Call]) -> None:
        if not self._transact(group) and len(group) > 1:
            for call in group:  # one of them failed: each alone, so that it fails alone
                call.error = None
                self._transact([call])
        by_loop: dict[asyncio.AbstractEventLoop, list[_Call]] = defaultdict(list)
        for call in group:
            by_loop[call.loop].append(call)
        for loop, calls in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_answer, calls)

    def _transact(self, group: list[_Call]) -> bool:
        try:
            connection = self._living()
            with connection.transaction(synced=group[0].synced):
                for source in {call.source for call in group if call.source is not None}:
                    self._check(source)
                for call in group:
                    call.result = call.function(connection)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller gets it, and the thread lives on
            for call in group:
                call.error = self._translate(error)
            return False
        return True

    def _living(self) -> Connection:
        """Return the connection; another one where the last was given up."""
        if self._connection.closed:
            self._connection = connect(self._url)
        return self._connection

    def _translate(self, error: BaseException) -> BaseException:
        """Return what callers are told; a connection that its driver complained of is used no more."""
        if isinstance(error, self._connection.errors):
            self._connection.close()
            fatal = cannot_write(error)
            fatal.__cause__ = error
            return fatal
        return error

    def _check(self, source: int) -> None:
        token = self._connection.value(_HELD, source=source)
        if token is None or token != self._leases.get(source):
            raise FatalError("Another process took this source over, because this one seemed dead; it stops here.")

    def _beat(self) -> None:
        if not self._leases or time.monotonic() - self._beaten < self._beat_s:
            return
        self._beaten = time.monotonic()
        beat, tick = self._now_ms(), lease.tick_ms()
        rows = [{"source": s, "token": t, "beat": beat, "tick": tick} for s, t in list(self._leases.items())]
        try:
            connection = self._living()
            with connection.transaction():
                connection.many(_BEAT, rows)
        except Exception:  # noqa: BLE001 - the thread lives on; the next call opens another and says what is wrong
            self._connection.close()


def _and_then(function: Callable[[Connection], T], place: str, connection: Connection) -> T:
    result = function(connection)
    faults.reach(place)
    return result


def _answer(calls: list[_Call]) -> None:
    for call in calls:
        if call.future.done():
            continue
        if call.error is not None:
            call.future.set_exception(call.error)
        else:
            call.future.set_result(call.result)
