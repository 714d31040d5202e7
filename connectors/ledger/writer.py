"""One thread, one connection, many callers: calls queue up and share a transaction (group commit)."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import bindparam, create_engine, event, select, update
from sqlalchemy.exc import DBAPIError, ResourceClosedError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from connectors.errors import FatalError, IngestError
from connectors.ledger import faults, lease, schema
from connectors.ledger.migrate import migrate
from connectors.ledger.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

T = TypeVar("T")
_MOST_CALLS: Final = 256
_LONGEST_S: Final = 0.1
_FEW: Final = 16
_COMPANY_S: Final = 0.02
_MOST_LONELY: Final = 64

_HELD = Prepared(
    select(schema.sources.c.lease_token).where(schema.sources.c.id == bindparam("source")).with_for_update(read=True)
)
_BEAT = (
    update(schema.sources)
    .where(schema.sources.c.id == bindparam("source"), schema.sources.c.lease_token == bindparam("token"))
    .values(lease_beat=bindparam("beat"), lease_tick=bindparam("tick"))
)


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
        self._engine = open_engine(url)
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

    @property
    def dialect(self) -> str:
        """Return ``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

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
        try:
            connection = self._engine.connect()
            with connection.begin():
                migrate(connection)
        except (SQLAlchemyError, self._driver_error) as error:
            raise _cannot_write(error) from error
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
        self._engine.dispose()

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
            if self._connection.closed:
                self._connection = self._engine.connect()
            connection = self._connection
            self._prepare(synced=group[0].synced)
            with connection.begin():
                if group[0].synced and self.dialect == "postgresql":
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
                for source in {call.source for call in group if call.source is not None}:
                    self._check(source)
                for call in group:
                    call.result = call.function(connection)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller gets it, and the thread lives on
            for call in group:
                call.error = self._translate(error)
            self._revive(error)
            return False
        return True

    def _prepare(self, *, synced: bool) -> None:
        if self.dialect == "sqlite" and self._connection.info.get("synced") != synced:
            mode = "FULL" if synced else "NORMAL"
            cursor = self._connection.connection.cursor()
            cursor.execute(f"PRAGMA synchronous={mode}")
            cursor.close()
            self._connection.info["synced"] = synced

    def _revive(self, error: BaseException) -> None:
        """Let go of a connection that an error left unusable; the next call opens another."""
        connection = self._connection
        if isinstance(error, (OSError, self._driver_error)):  # SQLAlchemy did not see it, and cannot say what it means
            with suppress(Exception):
                connection.invalidate()
        if connection.closed or connection.invalidated or connection.in_transaction():
            with suppress(Exception):
                connection.close()

    @property
    def _driver_error(self) -> type[Exception]:
        error: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        return error

    def _translate(self, error: BaseException) -> BaseException:
        if isinstance(error, (DBAPIError, ResourceClosedError, OSError, self._driver_error)):
            fatal = _cannot_write(error)
            fatal.__cause__ = error
            return fatal
        return error

    def _check(self, source: int) -> None:
        row = _HELD.first(self._connection, {"source": source})
        if row is None or row.lease_token is None or row.lease_token != self._leases.get(source):
            raise FatalError("Another process took this source over, because this one seemed dead; it stops here.")

    def _beat(self) -> None:
        if not self._leases or time.monotonic() - self._beaten < self._beat_s:
            return
        self._beaten = time.monotonic()
        beat, tick = self._now_ms(), lease.tick_ms()
        rows = [{"source": s, "token": t, "beat": beat, "tick": tick} for s, t in list(self._leases.items())]
        try:
            self._prepare(synced=False)
            with self._connection.begin():
                for row in rows:
                    self._connection.execute(_BEAT, row)
        except Exception as error:  # noqa: BLE001 - the thread lives on; the next call says what is wrong
            self._revive(error)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # Python's driver would begin transactions too late
    cursor = connection.cursor()
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "cache_size=-8192", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    cursor = connection.connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    cursor.close()


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("SET synchronous_commit = off")
    connection.commit()
    cursor.close()


def _and_then(function: Callable[[Connection], T], place: str, connection: Connection) -> T:
    result = function(connection)
    faults.reach(place)
    return result


def open_engine(url: str) -> Engine:
    """Return the engine of a ledger's URL; each connection is prepared for what the ledger promises."""
    if url.startswith(("postgresql://", "postgres://")):
        url = "postgresql+pg8000://" + url.partition("://")[2]
    try:
        engine = create_engine(url, poolclass=NullPool)
    except (SQLAlchemyError, ImportError) as error:
        raise FatalError(
            f"The ledger {url.partition('@')[2] or url} cannot be opened: {error}. Use sqlite:///FILE or "
            "postgresql://USER@HOST/DATABASE (with the extra: persona-ingest[postgres])."
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _answer(calls: list[_Call]) -> None:
    for call in calls:
        if call.future.done():
            continue
        if call.error is not None:
            call.future.set_exception(call.error)
        else:
            call.future.set_result(call.result)


def _cannot_write(error: Exception) -> IngestError:
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return FatalError(
        f"The ledger cannot be written: {reason}. Check the free space and the rights of the state folder "
        "(or the database server); then run the same command again, it goes on where this one stopped."
    )
