"""The one door out: every request of the program leaves through a transport that decides the address and dials it.

Nothing else makes an HTTP client (a test looks for it). What the operator names (exact host and port) is allowed
wherever it is; what a page, a redirect, a sitemap or a feed names must be a public address. The address that was
checked is the address that is dialled, and TLS proves the host's name as always.
"""

from __future__ import annotations

import asyncio
import socket
from time import monotonic
from typing import TYPE_CHECKING, cast

import ada_url
import httpx

from connectors.web import urls
from connectors.web.addresses import is_public

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    Resolver = Callable[[str, int], Awaitable[list[str]]]

RESOLVE_AGAIN_S = 300.0
_MAX_HOSTS = 10_000


class GuardError(httpx.RequestError):
    """The address may not be dialled; no byte left us."""


class UnresolvedError(httpx.ConnectError):
    """The host's name does not resolve; no byte left us."""


class TlsError(httpx.ConnectError):
    """The other side could not prove its name; no byte of the request left us."""


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host by the system's resolver, IPv4 first where it says so.

    Raises:
        OSError: the name does not resolve.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class AddressBook:
    """Decides which addresses a host may be dialled at, once, and remembers it for five minutes.

    Args:
        allowed: URLs or origins that the operator named: their exact host and port may be anywhere.
        resolver: how names become addresses; tests bring their own.
        public: which addresses anybody may dial; tests have no others than loopback.
        again_s: how long a decision holds.
    """

    def __init__(
        self,
        allowed: Iterable[str] = (),
        *,
        resolver: Resolver = resolve,
        public: Callable[[str], bool] = is_public,
        again_s: float = RESOLVE_AGAIN_S,
    ) -> None:
        self._allowed = {_place(form) for url in allowed if (form := urls.normalise(url))}
        self._resolver = resolver
        self._public = public
        self._again_s = again_s
        self._known: dict[tuple[str, int], tuple[float, list[str]]] = {}
        self._asking: dict[tuple[str, int], asyncio.Lock] = {}
        self._dialable: set[tuple[str, int]] = set()

    def is_operators(self, origin: str) -> bool:
        """Say whether the operator named this origin."""
        return _place(origin) in self._allowed

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses to dial, all of them allowed.

        Raises:
            GuardError: one of them is not public and the operator did not name this host and port.
            UnresolvedError: the name does not resolve.
        """
        key = (host, port)
        cached = self._known.get(key)
        if cached is not None and monotonic() - cached[0] < self._again_s:
            return cached[1]
        async with self._asking.setdefault(key, asyncio.Lock()):
            cached = self._known.get(key)
            if cached is not None and monotonic() - cached[0] < self._again_s:
                return cached[1]
            found = await self._decide(host, port)
        self._asking.pop(key, None)
        if len(self._known) >= _MAX_HOSTS:
            self._known.clear()
            self._dialable.clear()
        self._known[key] = (monotonic(), found)
        self._dialable.update((address, port) for address in found)
        return found

    async def _decide(self, host: str, port: int) -> list[str]:
        bare = host.removeprefix("[").removesuffix("]")
        found = [bare] if _is_literal(bare) else await self._ask(bare, port)
        if (host, port) in self._allowed:
            return found
        for address in found:
            if not self._public(address):
                raise GuardError(f"{host} is {address}, which is no public address, and it is not one you named")
        return found

    async def _ask(self, host: str, port: int) -> list[str]:
        try:
            found = await self._resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise UnresolvedError(f"the name {host} does not resolve") from error
        if not found:
            raise UnresolvedError(f"the name {host} does not resolve")
        return found

    def may_dial(self, address: str, port: int) -> bool:
        """Say whether this very address was decided: the last check, made where the socket is opened."""
        return (address, port) in self._dialable


def _place(origin: str) -> tuple[str, int]:
    parsed = ada_url.URL(origin)
    return parsed.hostname, int(parsed.port) if parsed.port else (443 if parsed.protocol == "https:" else 80)


def _is_literal(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except (OSError, ValueError):
        return False
    return True


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
    from connectors.web.door import Door, GuardedTransport

    guarded = GuardedTransport(Door(AddressBook(allowed, resolver=resolver), connections=connections))
    return httpx.AsyncClient(
        transport=_Capped(guarded, max_bytes=max_bytes),
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
        base_url=base_url,
    )
