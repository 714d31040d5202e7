"""Which addresses a host may be dialled at: decided once for each, and dialled as decided.

What the operator names (exact host and port) is allowed wherever it is; what a page, a redirect, a sitemap or a feed
names must be a public address.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import ada_url
import httpx

from connectors.web import urls
from connectors.web.addresses import is_public

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    Resolver = Callable[[str, int], Awaitable[list[str]]]

RESOLVE_AGAIN_S = 300.0
_MAX_HOSTS = 10_000


class GuardError(httpx.RequestError):
    """The address may not be dialled; no byte left us."""


class UnresolvedError(httpx.ConnectError):
    """The host's name does not resolve; no byte left us."""


class TlsError(httpx.ConnectError):
    """The other side could not prove its name; no byte of the request left us."""


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
        places = (place_of(form) for url in allowed if (form := urls.normalise(url)))
        self._allowed = {(place.host, place.port) for place in places}
        self._resolver = resolver
        self._public = public
        self._again_s = again_s
        self._known: dict[tuple[str, int], tuple[float, list[str]]] = {}
        self._asking: dict[tuple[str, int], asyncio.Lock] = {}
        self._dialable: set[tuple[str, int]] = set()

    def is_operators(self, origin: str) -> bool:
        """Say whether the operator named this origin."""
        place = place_of(origin)
        return (place.host, place.port) in self._allowed

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


def _is_literal(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except (OSError, ValueError):
        return False
    return True
