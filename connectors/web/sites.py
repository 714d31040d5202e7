"""What each origin says about itself: its robots.txt and its sitemaps, asked for once."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING

from connectors.models import Found, Resource, Skipped
from connectors.web import robots, sitemaps, urls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from connectors.web.fetcher import Fetcher
    from connectors.web.robots import Robots

log = logging.getLogger(__name__)

ENTRIES_AT_ONCE = 1_000
_ORIGINS_REMEMBERED = 2_000
_ROBOTS_HOPS = 5


class Sites:
    """robots.txt and sitemaps of the origins that a crawl meets.

    Args:
        fetcher: the polite client.
        cuts: counts what a bound cut off, by the bound's name.
    """

    def __init__(self, fetcher: Fetcher, *, cuts: Counter[str] | None = None) -> None:
        self._fetcher = fetcher
        self._cuts = Counter() if cuts is None else cuts
        self._robots: dict[str, asyncio.Task[Robots]] = {}
        self.problems: dict[str, Skipped] = {}

    async def robots(self, uri: str) -> Robots:
        """Return what the robots.txt of this URI's origin says."""
        origin = urls.origin(uri)
        asked = self._robots.get(origin)
        if asked is None:
            if len(self._robots) >= _ORIGINS_REMEMBERED:
                self._robots.pop(next(iter(self._robots)))
            asked = self._robots[origin] = asyncio.ensure_future(self._ask_robots(origin))
        if asked.done():
            return asked.result()
        return await asyncio.shield(asked)

    async def _ask_robots(self, origin: str) -> Robots:
        got = await self._fetcher.fetch(
            f"{origin}/robots.txt", accept="text/plain,*/*;q=0.5", max_bytes=robots.MAX_ROBOTS_BYTES, cut=True
        )
        if isinstance(got, Skipped):
            self.problems[origin] = got
            if got.rule in {"redirect-loop", "bad-redirect"}:
                return robots.ALLOW_ALL  # RFC 9309, 2.3.1.2: more than five hops may count as "unavailable"
            return robots.after_status(got.status) or robots.UNREACHABLE
        if len(got.redirects) > _ROBOTS_HOPS:
            return robots.ALLOW_ALL
        self._cuts["MAX_ROBOTS_BYTES"] += len(got.body or b"") >= robots.MAX_ROBOTS_BYTES
        said = await asyncio.to_thread(robots.parse, got.body or b"", agent=self._fetcher.agent)
        self._fetcher.ask_delay(origin + "/", said.crawl_delay_s)
        return said

    async def aclose(self) -> None:
        """Ask nothing more."""
        asking = [task for task in self._robots.values() if not task.done()]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def listed(self, locations: dict[str, bool]) -> AsyncIterator[list[Found] | Skipped]:
        """Yield what sitemaps list, a thousand at a time, indexes followed; a sitemap that fails as Skipped.

        Args:
            locations: of sitemaps in normal form; True when somebody named it, False for a guess that may be missing.
        """
        waiting = [(location, 0, named) for location, named in locations.items()]
        asked: set[str] = set()
        while waiting:
            location, depth, named = waiting.pop(0)
            if location in asked:
                continue
            shown = urls.redact(location)  # a sitemap is no page: its address is kept for people alone
            if len(asked) >= sitemaps.MAX_SITEMAPS:
                yield _unreadable(shown, f"more than {sitemaps.MAX_SITEMAPS} sitemaps", rule="trap-sitemaps")
                return
            asked.add(location)
            got = await self._fetcher.fetch(
                location, accept="application/xml,text/xml,text/plain,*/*;q=0.5", max_bytes=sitemaps.MAX_SITEMAP_BYTES
            )
            if isinstance(got, Skipped):
                if named or got.fault:
                    yield _unreadable(shown, got.detail, fault=got.fault, status=got.status)
                continue
            read = await self._read(got)
            self._cuts["MAX_NESTING"] += read.problem == sitemaps.TOO_DEEP
            if read.problem and named:
                yield _unreadable(shown, read.problem)
            for at in range(0, len(read.pages), ENTRIES_AT_ONCE):
                yield [
                    Found(uri=entry.uri, by="sitemap", depth=1, via=shown, modified=entry.modified)
                    for entry in read.pages[at : at + ENTRIES_AT_ONCE]
                ]
            if read.sitemaps and depth >= sitemaps.MAX_DEPTH:
                yield _unreadable(shown, "sitemap indexes nest too deep", rule="trap-sitemaps")
                continue
            waiting.extend((further, depth + 1, True) for further in read.sitemaps)

    async def _read(self, got: Resource) -> sitemaps.Sitemap:
        body = got.body or b""
        if len(body) < 64 * 1024:  # a thread costs more than so small a parse
            return sitemaps.parse(body, base=got.uri)
        return await asyncio.to_thread(sitemaps.parse, body, base=got.uri)


def _unreadable(
    location: str, detail: str, *, rule: str = "sitemap-unreadable", fault: bool = False, status: int = 0
) -> Skipped:
    log.warning("The sitemap %s is not read: %s", urls.redact(location), detail)
    return Skipped(
        uri=location,
        rule=rule,
        outcome="skipped" if rule.startswith("trap-") else "failed",
        detail=detail,
        fault=fault,
        status=status,
    )
