"""The one door out: every request of the program leaves through a transport that decides the address and dials it.

Nothing else makes an HTTP client (a test looks for it). The address that was checked (`address_book`) is the address
that is dialled (`door`), and TLS proves the host's name as always. The fetcher speaks to the door directly; here it
is behind httpx's interface, for everybody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import httpx

from connectors.web import urls
from connectors.web.address_book import AddressBook, GuardError, place_of, resolve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from connectors.web.address_book import Resolver
    from connectors.web.door import Answer, Door

_NOT_SENT_FOR_OTHERS = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection"})


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
        return httpx.Response(answer.status, headers=_raw(answer), stream=_Body(answer, request), request=request)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._door.aclose()


def _raw(answer: Answer) -> list[tuple[bytes, bytes]]:
    return [
        (name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape"))
        for name, value in answer.headers.pairs
    ]


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


class _Capped(httpx.AsyncBaseTransport):
    """Bodies decoded within bounds, for clients that read with httpx's own methods."""

    def __init__(self, inner: httpx.AsyncBaseTransport, *, max_bytes: int) -> None:
        self._inner = inner
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        coding = answer.headers.pop("content-encoding", "")
        answer.headers.pop("content-length", None)
        return httpx.Response(
            answer.status_code,
            headers=answer.headers,
            stream=_CappedBody(answer, coding, self._max_bytes),
            request=request,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _CappedBody(httpx.AsyncByteStream):
    def __init__(self, answer: httpx.Response, coding: str, max_bytes: int) -> None:
        self._answer = answer
        self._coding = coding
        self._max_bytes = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        from connectors.web.decode import BoundedDecoder, DecodeError, TooLargeError

        try:
            decoder = BoundedDecoder(self._coding, max_bytes=self._max_bytes)
            async for chunk in cast("httpx.AsyncByteStream", self._answer.stream):
                for piece in decoder.feed(chunk):
                    yield piece
            decoder.finish()
        except (DecodeError, TooLargeError) as error:
            raise httpx.DecodingError(str(error)) from error

    async def aclose(self) -> None:
        await self._answer.aclose()


def open_client(
    allowed: Iterable[str],
    *,
    timeout_s: float = 60.0,
    max_bytes: int = 256 * 1024 * 1024,
    connections: int = 20,
    base_url: str = "",
    resolver: Resolver = resolve,
) -> httpx.AsyncClient:
    """Return an httpx client whose every request goes through the door; close it with ``aclose``.

    It follows no redirect, reads no proxy or certificate setting from the environment, and its answers are decoded
    under a cap (over it, or damaged: `httpx.DecodingError`).

    Args:
        allowed: origins or URLs that the operator named, such as the API's base URL: their exact host and port are
            dialled wherever they are; any other must be public.
        timeout_s: for connecting, and for each silence while reading.
        max_bytes: cap on an answer, on the wire and decoded.
        connections: the most open at once.
        base_url: what relative URLs are relative to.
        resolver: how names become addresses.

    The errors are httpx's: `GuardError`, `httpx.ConnectError` (`UnresolvedError` and `TlsError` are kinds of it) and
    `httpx.ConnectTimeout` mean that no byte of the request left us; anything else may have arrived.
    """
    from connectors.web.door import Door

    guarded = GuardedTransport(Door(AddressBook(allowed, resolver=resolver), connections=connections))
    return httpx.AsyncClient(
        transport=_Capped(guarded, max_bytes=max_bytes),
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
        base_url=base_url,
    )
