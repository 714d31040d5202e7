"""The engine behind the guard: aiohttp, dialling only what an `AddressBook` decided.

aiohttp takes a seventh of httpx's CPU for a request. The fetcher speaks to `Door` directly; everybody else gets the
same door behind httpx's interface (`GuardedTransport`, by `guard.open_client`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import ada_url
import httpx

from connectors.web import urls
from connectors.web.guard import GuardError, TlsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    import aiohttp
    from aiohttp.abc import AbstractResolver

    from connectors.web.guard import AddressBook

_MAX_HEADER_LINE = 16 * 1024
_MAX_HEADERS = 128
_NOT_SENT_FOR_OTHERS = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection"})
_NO_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


@dataclass(frozen=True, slots=True)
class Place:
    """Scheme, host and port of a URL, as its one parser reads them."""

    scheme: str
    host: str
    port: int


@functools.lru_cache(maxsize=4096)
def place_of(origin: str) -> Place:
    """Return where an origin is.

    Raises:
        GuardError: it is no http(s) URL.
    """
    try:
        parsed = ada_url.URL(origin)
    except ValueError as error:
        raise GuardError(f"{urls.redact(origin)} is no URL") from error
    scheme = parsed.protocol[:-1]
    if scheme not in {"http", "https"}:
        raise GuardError(f"{scheme} is neither http nor https")
    return Place(scheme, parsed.hostname, int(parsed.port) if parsed.port else (443 if scheme == "https" else 80))


class Answer:
    """An answer whose head has come; the body comes as it is on the wire, coded as it is."""

    __slots__ = ("_inner", "headers", "status")

    def __init__(self, inner: aiohttp.ClientResponse) -> None:
        self._inner = inner
        self.status: int = inner.status
        self.headers = inner.headers

    @property
    def raw_headers(self) -> Sequence[tuple[bytes, bytes]]:
        """The fields as they came."""
        return self._inner.raw_headers

    async def whole(self) -> bytes:
        """Return the body in one piece: for those whose length is known and small."""
        try:
            return await self._inner.content.read()
        except Exception as error:
            raise _as_httpx(error) from error

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        try:
            async for chunk in self._inner.content.iter_any():
                yield chunk
        except Exception as error:
            raise _as_httpx(error) from error

    async def aclose(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        if self._inner.content.at_eof():
            self._inner.release()
        else:
            self._inner.close()


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
        self._timeout = (connect_s, idle_s)
        self._session: aiohttp.ClientSession | None = None
        self._default_timeout: aiohttp.ClientTimeout | None = None

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
        import yarl

        await self.book.addresses(place.host, place.port)
        session = self._session or await self._open()
        if place.scheme == "https" and self._tls is None:
            self._tls = await asyncio.to_thread(tls_context)
        path, _, query = target.partition("?")
        if query == "" and target.endswith("?"):
            path = target  # an empty query is one all the same
        where = yarl.URL.build(
            scheme=place.scheme,
            host=place.host.strip("[]"),
            port=place.port,
            path=path,
            query_string=query,
            encoded=True,
        )
        try:
            return Answer(
                await session.request(
                    method,
                    where,
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    ssl=self._tls if self._tls is not None else True,
                    timeout=self._default_timeout if timeout is None else _timeout(timeout),
                )
            )
        except Exception as error:
            raise _as_httpx(error) from error

    async def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        connector = aiohttp.TCPConnector(
            resolver=cast("AbstractResolver", _Decided(self.book)),
            use_dns_cache=False,
            limit=self._connections,
            keepalive_timeout=15,
            socket_factory=lambda info: _socket_for(self.book, info),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_MAX_HEADER_LINE,
            max_field_size=_MAX_HEADER_LINE,
            max_headers=_MAX_HEADERS,
            skip_auto_headers=_NO_AUTOMATIC,
        )
        connect_s, idle_s = self._timeout
        self._default_timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s, sock_read=idle_s)
        return self._session

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def tls_context() -> ssl.SSLContext:
    """Return a context that verifies host names against the system's authorities and Mozilla's."""
    import certifi

    context = ssl.create_default_context()
    with contextlib.suppress(OSError, ssl.SSLError):
        context.load_verify_locations(certifi.where())
    return context


def _timeout(wanted: Mapping[str, float | None]) -> aiohttp.ClientTimeout:
    import aiohttp

    return aiohttp.ClientTimeout(
        total=None, connect=wanted.get("pool"), sock_connect=wanted.get("connect"), sock_read=wanted.get("read")
    )


def _socket_for(book: AddressBook, info: Any) -> socket.socket:
    """Open a socket for an address that was decided: the last check, whatever happened before."""
    family, kind, proto, _, where = info
    if not book.may_dial(where[0], where[1]):
        raise OSError(f"{where[0]} was not decided")
    made = socket.socket(family=family, type=kind, proto=proto)
    made.setblocking(False)  # noqa: FBT003
    return made


class _Decided:
    """aiohttp's resolver interface over what the book decided."""

    def __init__(self, book: AddressBook) -> None:
        self._book = book

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[dict[str, Any]]:  # noqa: ARG002
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": socket.IPPROTO_TCP,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in await self._book.addresses(host, port)
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _as_httpx(error: Exception) -> Exception:
    """Say in httpx's words what aiohttp met, keeping the difference between "never left" and "unknown"."""
    import aiohttp

    kinds: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], type[httpx.RequestError]], ...] = (
        (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
        ((aiohttp.ServerTimeoutError, TimeoutError), httpx.ReadTimeout),
        (aiohttp.ClientSSLError, TlsError),  # from the handshake only; what breaks later is a ReadError
        (aiohttp.ClientConnectorError, httpx.ConnectError),
        (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
        ((aiohttp.ServerDisconnectedError, aiohttp.ClientResponseError), httpx.RemoteProtocolError),
        ((aiohttp.ClientError, OSError, ValueError), httpx.ReadError),
    )
    if isinstance(error, httpx.RequestError):
        return error
    if (
        isinstance(error, aiohttp.ClientConnectorError)
        and error.os_error.errno
        and not isinstance(error, aiohttp.ClientSSLError)
    ):
        return httpx.ConnectError(os.strerror(error.os_error.errno).lower())
    for theirs, ours in kinds:
        if isinstance(error, theirs):
            return ours(str(error) or type(error).__name__)
    return error


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpx's transport interface over a `Door`. Bodies come coded as they are on the wire."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        uri = urls.normalise(str(request.url), keep_tracking=True)
        if not uri:
            raise GuardError(f"{urls.redact(str(request.url))[:200]} is no http(s) URL", request=request)
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in request.headers.raw
            if name.lower() not in _NOT_SENT_FOR_OTHERS
        ]
        try:
            answer = await self._door.send(
                request.method,
                place_of(urls.origin(uri)),
                urls.target_of(uri),
                headers,
                body=await request.aread() or None,
                timeout=request.extensions.get("timeout", {}),
            )
        except httpx.RequestError as error:
            error.request = request
            raise
        return httpx.Response(
            answer.status, headers=list(answer.raw_headers), stream=_Body(answer, request), request=request
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._door.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: Answer, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.chunks():
                yield chunk
        except httpx.RequestError as error:
            error.request = self._request
            raise

    async def aclose(self) -> None:
        await self._answer.aclose()
