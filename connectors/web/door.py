"""The engine behind the guard: a pool of connections to addresses that an `AddressBook` decided, and to no others.

Its own (`http1`, `connection`), because every page costs a request: a fourth of aiohttp's CPU for it, and none of its
0.4 s of import. The fetcher speaks to `Door` directly; everybody else gets the same door behind httpx's interface
(`guard.open_client`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

import httpx

from connectors.web.address_book import TlsError
from connectors.web.connection import Connection, UnansweredError
from connectors.web.http1 import request_head

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from connectors.web.address_book import AddressBook, Place
    from connectors.web.http1 import Reader

_NEXT_ADDRESS_S = 0.25
_ASKED_AGAIN = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods that may be sent a second time when the connection that carried the first was closed already."""
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Answer:
    """An answer whose head has come; the body comes as it is on the wire, coded as it is."""

    __slots__ = ("_connection", "_done", "headers", "status")

    def __init__(self, connection: Connection, reader: Reader, done: Callable[[Connection], None]) -> None:
        self._connection: Connection | None = connection
        self._done = done
        self.status = reader.status
        self.headers = reader.fields

    async def whole(self) -> bytes:
        """Return the body in one piece: for those whose length is known and small."""
        return await self._reading().whole()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        async for chunk in self._reading().body():
            yield chunk

    async def aclose(self) -> None:
        """Give the connection back, or close it when the body has not come to its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._done(connection)

    def _reading(self) -> Connection:
        if self._connection is None:
            raise httpx.ReadError("the answer was closed")
        return self._connection


class Door:
    """One pool of connections, each dialled to a decided address.

    Args:
        book: who decides.
        connections: the most open at once.
        tls: another context than ours (a private authority); None makes ours at the first https request.
        connect_s, idle_s: how long connecting, and a silence, may take when a request does not say.
    """

    def __init__(
        self,
        book: AddressBook,
        *,
        connections: int = 100,
        tls: ssl.SSLContext | None = None,
        connect_s: float = 10.0,
        idle_s: float = 20.0,
    ) -> None:
        self.book = book
        self._connections = connections
        self._tls = tls
        self._timeout: Mapping[str, float | None] = {"connect": connect_s, "read": idle_s}
        self._turns = asyncio.Semaphore(connections)
        self._open: dict[Connection, Place] = {}
        self._resting: dict[Place, list[Connection]] = {}

    async def send(
        self,
        method: str,
        place: Place,
        target: str,
        headers: Mapping[str, str] | Sequence[tuple[str, str]],
        *,
        body: bytes | None = None,
        timeout: Mapping[str, float | None] | None = None,  # noqa: ASYNC109 - httpx's four, handed on
    ) -> Answer:
        """Send one request; redirects, cookies and proxies of the environment are nobody's business here.

        Raises:
            httpx.RequestError: `GuardError`, `httpx.ConnectError` and `httpx.ConnectTimeout` before any byte left us.
        """
        request = _request(method, place, target, headers, body)
        wanted = self._timeout if timeout is None else timeout
        await self.book.addresses(place.host, place.port)
        if self._turns.locked():
            await self._turn(wanted.get("pool"))
        else:
            await self._turns.acquire()
        try:
            return await self._ask(method, place, request, wanted)
        except BaseException:
            self._turns.release()
            raise

    async def _turn(self, within_s: float | None) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._turns.acquire()
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection became free in time") from None

    async def _ask(self, method: str, place: Place, request: bytes, wanted: Mapping[str, float | None]) -> Answer:
        used = self._used_before(place)
        while True:
            connection = used or await self._dial(place, wanted.get("connect"))
            try:
                reader = await connection.ask(request, silence_s=wanted.get("read"), bodyless=method == "HEAD")
            except BaseException as error:
                connection.close()
                if used is None or method not in _ASKED_AGAIN or not isinstance(error, UnansweredError):
                    raise
                used = None  # the other side had closed it while it rested
            else:
                return Answer(connection, reader, self._done)

    def _used_before(self, place: Place) -> Connection | None:
        resting = self._resting.get(place)
        return resting.pop() if resting else None

    def _done(self, connection: Connection) -> None:
        self._turns.release()
        place = self._open.get(connection)
        if place is not None and connection.rest():
            self._resting.setdefault(place, []).append(connection)
        else:
            connection.close()

    def _forget(self, connection: Connection) -> None:
        place = self._open.pop(connection, None)
        resting = self._resting.get(place, []) if place else []
        if connection in resting:
            resting.remove(connection)
        if place and not resting:
            self._resting.pop(place, None)

    async def _dial(self, place: Place, within_s: float | None) -> Connection:
        if len(self._open) >= self._connections:
            self._make_room()
        tls = await self._context() if place.scheme == "https" else None
        connection = Connection(self._forget)
        try:
            async with asyncio.timeout(within_s):
                made = await self._first(await self.book.addresses(place.host, place.port), place.port)
                name = place.host.strip("[]") if tls else None
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: connection, sock=made, ssl=tls, server_hostname=name)
        except TimeoutError:
            raise httpx.ConnectTimeout("it does not take a connection in time") from None
        except ssl.SSLError as error:  # of the handshake: no request was sent
            raise TlsError(str(error)) from error
        except OSError as error:
            raise httpx.ConnectError(os.strerror(error.errno).lower() if error.errno else str(error)) from error
        self._open[connection] = place
        return connection

    def _make_room(self) -> None:
        """Close the connection that rests longest at the place met first."""
        if resting := next((resting for resting in self._resting.values() if resting), None):
            resting[0].close()

    async def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = await asyncio.to_thread(tls_context)
        return self._tls

    async def _first(self, addresses: Sequence[str], port: int) -> socket.socket:
        """Return a socket to the first address that answers; the next is tried beside one that is slow (RFC 8305)."""
        if len(addresses) == 1:
            return await self._knock(addresses[0], port)
        waiting = list(addresses)
        knocking: set[asyncio.Task[socket.socket]] = set()
        failure: BaseException | None = None
        try:
            while waiting or knocking:
                if waiting:
                    knocking.add(asyncio.ensure_future(self._knock(waiting.pop(0), port)))
                done, _ = await asyncio.wait(
                    knocking, timeout=_NEXT_ADDRESS_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    knocking.discard(task)
                    if (failure := task.exception()) is None:
                        return task.result()
        finally:
            for task in knocking:
                task.add_done_callback(_close_late)
                task.cancel()
        raise failure or OSError("it has no address")

    async def _knock(self, address: str, port: int) -> socket.socket:
        made = _socket_for(self.book, address, port)
        try:
            await asyncio.get_running_loop().sock_connect(made, (address, port))
        except BaseException:
            made.close()
            raise
        return made

    async def aclose(self) -> None:
        """Close every connection."""
        for connection in list(self._open):
            connection.close()
        await asyncio.sleep(0)  # their transports close their sockets in the loop's next round


def _request(
    method: str, place: Place, target: str, headers: Mapping[str, str] | Sequence[tuple[str, str]], body: bytes | None
) -> bytes:
    default = 443 if place.scheme == "https" else 80
    fields = [("Host", place.host if place.port == default else f"{place.host}:{place.port}")]
    fields += headers.items() if isinstance(headers, Mapping) else headers
    if body is not None or method in _WITH_BODY:
        fields.append(("Content-Length", str(len(body or b""))))
    try:
        return request_head(method, target, fields) + (body or b"")
    except ValueError as error:  # UnicodeEncodeError too
        raise httpx.UnsupportedProtocol(str(error)) from error


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def tls_context() -> ssl.SSLContext:
    """Return a context that verifies host names against the system's authorities and Mozilla's."""
    import certifi

    context = ssl.create_default_context()
    with contextlib.suppress(OSError, ssl.SSLError):
        context.load_verify_locations(certifi.where())
    return context


def _socket_for(book: AddressBook, address: str, port: int) -> socket.socket:
    """Open a socket for an address that was decided: the last check, whatever happened before."""
    if not book.may_dial(address, port):
        raise OSError(f"{address} was not decided")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family=family, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    made.setblocking(False)  # noqa: FBT003
    return made
