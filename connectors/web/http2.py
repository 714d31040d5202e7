"""The same door with HTTP/2 (extra ``http2``): for servers where one connection with many streams pays.

It costs several times the CPU of `door.Door` a request, so nobody gets it without asking.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import ssl
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from connectors.errors import UsageError
from connectors.web.address_book import TlsError
from connectors.web.door import tls_context
from connectors.web.http1 import Fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence

    from connectors.web.address_book import AddressBook, Place


# Its parts log every field that is sent and received, and the operator's own are among them.
for _name in ("hpack", "h2", "httpcore"):
    logging.getLogger(_name).setLevel(logging.INFO)


class Http2Answer:
    """As `door.Answer`."""

    __slots__ = ("_inner", "headers", "status")

    def __init__(self, inner: httpcore.Response) -> None:
        self._inner = inner
        self.status: int = inner.status
        self.headers = Fields((k.decode("latin-1"), v.decode("latin-1")) for k, v in inner.headers)

    async def whole(self) -> bytes:
        """Return the body in one piece."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        try:
            stream: AsyncIterable[bytes] = self._inner.stream  # type: ignore[assignment]
            async for chunk in stream:
                yield chunk
        except Exception as error:
            raise _as_httpx(error) from error

    async def aclose(self) -> None:
        """Give the connection or the stream back."""
        await self._inner.aclose()


class Http2Door:
    """As `door.Door`: dials what the book decided, over HTTP/2 where the server speaks it.

    Raises:
        UsageError: the extra is not installed.
    """

    def __init__(
        self,
        book: AddressBook,
        *,
        connections: int = 20,
        tls: ssl.SSLContext | None = None,
        connect_s: float = 10.0,
        idle_s: float = 20.0,
    ) -> None:
        if importlib.util.find_spec("h2") is None:
            raise UsageError("HTTP/2 needs the extra 'http2': uv sync --extra http2.")
        self.book = book
        self._connections = connections
        self._tls = tls
        self._timeout = {"connect": connect_s, "read": idle_s, "write": idle_s, "pool": None}
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def send(
        self,
        method: str,
        place: Place,
        target: str,
        headers: Mapping[str, str] | Sequence[tuple[str, str]],
        *,
        body: bytes | None = None,
        timeout: Mapping[str, float | None] | None = None,  # noqa: ASYNC109 - httpx's four, handed on
    ) -> Http2Answer:
        """Send one request; see `door.Door.send`."""
        await self.book.addresses(place.host, place.port)
        if self._pool is None:
            context = self._tls or await asyncio.to_thread(tls_context)
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=context,
                http2=True,
                max_connections=self._connections,
                keepalive_expiry=15,
                network_backend=_Decided(self.book),
            )
        default = {"http": 80, "https": 443}[place.scheme]
        host = place.host if place.port == default else f"{place.host}:{place.port}"
        pairs = headers if isinstance(headers, list) else list(dict(headers).items())
        request = httpcore.Request(
            method,
            httpcore.URL(
                scheme=place.scheme.encode(), host=place.host.encode(), port=place.port, target=target.encode("ascii")
            ),
            headers=[(b"Host", host.encode()), *((k.encode("latin-1"), v.encode("latin-1")) for k, v in pairs)],
            content=body,
            extensions={"timeout": dict(timeout) if timeout is not None else self._timeout},
        )
        try:
            return Http2Answer(await self._pool.handle_async_request(request))
        except Exception as error:
            raise _as_httpx(error) from error

    async def aclose(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            await self._pool.aclose()
            self._pool = None


class _Decided(httpcore.AsyncNetworkBackend):
    """Opens connections to decided addresses only; TLS on top proves the host's name."""

    def __init__(self, book: AddressBook) -> None:
        self._book = book
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception | None = None
        for address in await self._book.addresses(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("no sockets in the file system")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _as_httpx(error: Exception) -> Exception:
    """Httpcore's errors are named as httpx's are; one of TLS's handshake, before any request, is told apart."""
    if isinstance(error, httpx.RequestError):
        return error
    if isinstance(error, httpcore.ConnectError) and isinstance(error.__cause__ or error.__context__, ssl.SSLError):
        return TlsError(str(error))
    kind = getattr(httpx, type(error).__name__, None)
    if isinstance(kind, type) and issubclass(kind, httpx.RequestError):
        return kind(str(error) or type(error).__name__)
    return httpx.ReadError(str(error)) if isinstance(error, OSError) else error
