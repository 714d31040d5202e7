"""Source: exactly what a sitemap lists."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from connectors.errors import UsageError
from connectors.models import Skipped
from connectors.web import urls
from connectors.web.crawl import Crawl, Rules
from connectors.web.frontier import Frontier
from connectors.web.media import passed_over_by_name
from connectors.web.sites import Sites

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from connectors.models import Due, Kind, Resource
    from connectors.settings import SitemapSource
    from connectors.web.fetcher import Fetcher
    from connectors.web.frontier import FrontierStore


class Sitemap:
    """Every page and document that a sitemap, or the sitemaps of an index, list; no link is followed.

    What it lists counts wherever it is: the operator chose the list. `guard` still refuses private addresses.
    """

    kind: ClassVar[Kind] = "sitemap"

    def __init__(self, options: SitemapSource, *, fetcher: Fetcher, store: FrontierStore) -> None:
        self._options = options
        self._fetcher = fetcher
        self._location = urls.normalise(options.sitemap)
        if not self._location:
            raise UsageError(f"{options.sitemap!r} is no web address: write it like https://example.com/sitemap.xml")
        self._choice = urls.Choice(options.include, options.exclude)
        self._frontier = Frontier(store)
        self.cuts: Counter[str] = Counter()
        """What a bound cut off that is no address with an outcome, by the bound's name."""
        self._sites = Sites(fetcher, cuts=self.cuts)
        self._crawl: Crawl | None = None

    async def read(self) -> AsyncGenerator[Resource | Skipped]:
        """Yield each listed address once.

        Raises:
            UsageError: the sitemap cannot be read.
        """
        self._crawl = crawl = Crawl(
            fetcher=self._fetcher,
            frontier=self._frontier,
            sites=self._sites,
            rules=Rules(belongs=lambda _: True, refusal=self._refusal, max_pages=self._options.max_pages),
        )
        listing = self._sites.listed({self._location: True})
        first = await anext(listing, None)
        if (
            isinstance(first, Skipped)
            and first.uri == urls.redact(self._location)
            and first.rule == "sitemap-unreadable"
        ):
            raise UsageError(
                f"{urls.redact(self._location)} cannot be read as a sitemap: {first.detail}; give a sitemap's address."
            )
        crawl.seed(lambda: self._seed(crawl, first, listing))
        items = crawl.items()
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()
            await self._sites.aclose()

    async def learn(self, resource: Resource, links: tuple[str, ...]) -> None:
        """A Resource that ``read`` yielded is dealt with."""
        await self.learn_together([(resource, links)])

    async def learn_together(self, met: Sequence[tuple[Resource, tuple[str, ...]]]) -> None:
        """Some Resources are dealt with; no link of theirs is followed."""
        assert self._crawl is not None, "learn comes after read"
        await self._crawl.learned((), of=len(met))

    async def _seed(self, crawl: Crawl, first: object, listing: AsyncIterator[object]) -> None:
        listed = first
        while listed is not None:
            if isinstance(listed, Skipped):
                await crawl.report(listed)
            elif isinstance(listed, list):
                await crawl.add(listed)
            listed = await anext(listing, None)

    def _refusal(self, due: Due) -> str:
        return self._choice.refusal_of(due.uri) or ("media" if passed_over_by_name(due.uri) else "")
