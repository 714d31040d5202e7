"""Source: the entries of a feed; their articles are fetched where the feed has only teasers."""

from __future__ import annotations

import asyncio
import html
from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING

from connectors.errors import UsageError
from connectors.models import Hints, Resource, Skipped, sha256_hex
from connectors.sources.feed_parse import Entry, FeedPage, NoFeedError, parse
from connectors.web import urls
from connectors.web.sites import Sites

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from connectors.models import Due, Kind
    from connectors.settings import FeedSource
    from connectors.web.fetcher import Fetcher

PAGES = 50  # of a paged feed
MAX_BYTES = 20 * 1024**2
_OURS = '"entry-'  # begins the validators of what came from the feed itself
_ACCEPT = "application/feed+json, application/atom+xml, application/rss+xml, application/xml;q=0.9, */*;q=0.5"


class Feed:
    """Every entry of a feed and of the pages that follow it, newest first as the feed has them.

    A feed names what is new: an article that it no longer lists is not gone.

    Args:
        options: ``feed`` is its address; ``include`` and ``exclude`` match the articles' addresses.
        fetcher: the polite client.
        known: the validators of the last version of a URI.
    """

    kind: Kind = "feed"

    def __init__(
        self, options: FeedSource, *, fetcher: Fetcher, known: Callable[[str], Awaitable[Due | None]] | None = None
    ) -> None:
        self._options = options
        self._fetcher = fetcher
        self._known = known
        self.cuts: Counter[str] = Counter()
        """What a bound cut off that is no address with an outcome, by the bound's name."""
        self._sites = Sites(fetcher, cuts=self.cuts)
        self._choice = urls.Choice(options.include, options.exclude)
        self._location = urls.normalise(options.feed)
        self._shown = urls.redact(self._location)  # what entries without an address are known by: never a token
        self._seen: set[str] = set()

    async def read(self) -> AsyncIterator[Resource | Skipped]:
        """Yield one item an entry, and one for every address passed on the way to it.

        Raises:
            UsageError: the feed cannot be read.
        """
        try:
            async for item in self._items():
                for outcome in self._outcomes(item):
                    yield outcome
        finally:
            await self._sites.aclose()

    async def learn(self, resource: Resource, links: tuple[str, ...]) -> None:
        """Ignore links: a feed is what it lists."""

    async def _items(self) -> AsyncIterator[Resource | Skipped]:
        """Read entries ahead, as many at once as one host may be asked, and give them in their order."""
        ahead: deque[asyncio.Task[Resource | Skipped]] = deque()
        count = 0
        try:
            async for entry in self._entries():
                if isinstance(entry, Skipped):
                    ahead.append(asyncio.ensure_future(_at_once(entry)))
                    continue
                uri = self._uri(entry)
                if not self._claim(uri):
                    continue
                count += 1
                ahead.append(asyncio.ensure_future(self._item(entry, uri, count)))
                if len(ahead) >= self._options.concurrency:
                    yield await ahead.popleft()
            while ahead:
                yield await ahead.popleft()
        finally:
            for task in ahead:
                task.cancel()

    async def _entries(self) -> AsyncIterator[Entry | Skipped]:
        at = self._location
        read: set[str] = set()
        while at and at not in read and len(read) < PAGES:
            read.add(at)
            got = await self._fetcher.fetch(at, accept=_ACCEPT, max_bytes=MAX_BYTES)
            feed = await _parsed(got)
            if isinstance(feed, str):
                if len(read) == 1:
                    raise UsageError(f"{urls.redact(at)} cannot be read as a feed: {feed}.")
                yield Skipped(uri=urls.redact(at), rule="feed-unreadable", outcome="failed", detail=feed, fault=True)
                return
            self.cuts["ENTRIES"] += feed.cut
            for entry in feed.entries:
                yield entry
            at = feed.following if urls.origin(feed.following) == urls.origin(at) else ""
        self.cuts["PAGES"] += bool(at) and at not in read

    def _uri(self, entry: Entry) -> str:
        return entry.uri or f"{self._shown}#entry={sha256_hex((entry.key or entry.content).encode())[:16]}"

    async def _item(self, entry: Entry, uri: str, count: int) -> Resource | Skipped:
        if rule := self._choice.refusal_of(uri):
            return Skipped(uri=uri, rule=rule, detail=urls.NOT_CHOSEN[rule])
        if self._options.max_pages is not None and count > self._options.max_pages:
            return Skipped(uri=uri, rule="max-pages", detail=f"The limit of {self._options.max_pages} was reached.")
        due = await self._known(uri) if self._known else None
        if entry.is_full or not entry.uri:
            return _from_feed(entry, uri, due)
        return await self._article(entry, uri, due)

    async def _article(self, entry: Entry, uri: str, due: Due | None) -> Resource | Skipped:
        if rule := (await self._sites.robots(uri)).refuses(uri):
            return Skipped(uri=uri, rule=rule, detail="robots.txt keeps us from reading it.")
        etag = "" if due is None or due.etag.startswith(_OURS) else due.etag
        got = await self._fetcher.fetch(uri, etag=etag, last_modified=due.last_modified if due else "")
        if isinstance(got, Skipped):
            return got
        return replace(got, hints=_hints(entry))

    def _outcomes(self, item: Resource | Skipped) -> Iterator[Resource | Skipped]:
        """Give every address that was met on the way to an article its outcome, each once."""
        if isinstance(item, Skipped) or item.uri == item.requested_uri:
            yield item
            return
        detail = f"It leads to {urls.redact(item.uri)}."
        for uri in dict.fromkeys((item.requested_uri, *item.redirects)):
            if uri == item.requested_uri or self._claim(uri):
                yield Skipped(uri=uri, rule="redirect", detail=detail)
        if self._claim(item.uri):
            yield item

    def _claim(self, uri: str) -> bool:
        """Say whether a URI comes up for the first time."""
        fresh = uri not in self._seen
        self._seen.add(uri)
        return fresh


async def _parsed(got: Resource | Skipped) -> FeedPage | str:
    """Return the page of a feed, or the sentence that says why it is none."""
    if isinstance(got, Skipped):
        return got.detail or got.rule
    try:
        return await asyncio.to_thread(parse, got.body or b"", base=got.uri)
    except NoFeedError as error:
        return str(error)


async def _at_once(item: Skipped) -> Skipped:
    return item


def _from_feed(entry: Entry, uri: str, due: Due | None) -> Resource:
    """Make a page of what the feed itself has of an article."""
    title = html.escape(entry.title)
    base = f'<base href="{html.escape(entry.base)}">' if entry.base else ""
    head = f'<head><meta charset="utf-8"><title>{title}</title>{base}</head>'
    page = f"<!doctype html><html>{head}<body><article><h1>{title}</h1>{entry.content}</article></body></html>"
    body = page.encode("utf-8", "replace")
    etag = f'{_OURS}{sha256_hex(body)[:32]}"'
    return Resource(
        uri=uri,
        requested_uri=uri,
        media_type="text/html",
        charset="utf-8",
        body=None if due is not None and due.etag == etag else body,
        etag=etag,
        hints=_hints(entry),
    )


def _hints(entry: Entry) -> Hints:
    return Hints(
        title=entry.title,
        author=entry.author,
        published=entry.published,
        modified=entry.modified,
        section=entry.section,
        language=entry.language,
    )
