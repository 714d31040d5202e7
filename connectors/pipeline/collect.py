"""Crawl, clean and record: what a source yields becomes pages in the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectors.errors import UsageError
from connectors.extractors import tidy
from connectors.memory import LARGE, give_back
from connectors.models import Extracted, Resource, Skipped
from connectors.pipeline.canonical import keepers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence

    from connectors.ledger import Ledger, Run
    from connectors.models import Cleaners, CleaningRules, Page, Source
    from connectors.pipeline.progress import Progress

log = logging.getLogger(__name__)

IN_FLIGHT = 48
"""The most items between the source and the ledger, where the cleaners do not want more: keeps two cores busy."""

BYTES_IN_FLIGHT = 16 * 1024**2
"""The most bytes of bodies between the source and the ledger; one larger body goes alone."""
_MET_TOGETHER = 500
FINISH_WITHIN_S = 5.0
"""How long a stopped run may go on with what it had fetched."""

_NOT_INDEXED = {"noindex", "none"}
_NOT_FOLLOWED = {"nofollow", "none"}
_SAME_PAGE_SHARE = 0.5


@dataclass(slots=True, kw_only=True)
class Collector:
    """Carries one source's items to the ledger; every URI ends in exactly one outcome there.

    Attributes:
        render: renders an empty shell of a page by a browser; None: pages that need it are skipped.
        alternate: fetches a page's own Markdown; None: it is not asked for.
        on_pages: called with the number of page versions that became due.
        room: awaited with an item's bytes before it is taken; returns once the outbox has room for more.
    """

    ledger: Ledger
    run: Run
    source: Source
    pool: Cleaners
    rules: CleaningRules
    progress: Progress
    on_pages: Callable[[int], None] = lambda _: None
    room: Callable[[int], Awaitable[None]] | None = None
    render: Callable[[Resource], Awaitable[Resource | Skipped]] | None = None
    render_always: bool = False
    alternate: Callable[[str], Awaitable[Resource | Skipped]] | None = None
    in_flight: int = IN_FLIGHT
    complete: bool = False
    """The source was read to its end: what was not met is not there."""
    _config: str = ""
    _failure: BaseException | None = None
    _tasks: dict[asyncio.Task[None], int] = field(default_factory=dict)
    _held: int = 0  # bytes, of all tasks
    # As they were, with the links they had: to be recorded together.
    _met: list[tuple[Resource, tuple[str, ...]]] = field(default_factory=list)
    _recording: asyncio.Task[None] | None = None
    _slots: asyncio.Semaphore = field(init=False)
    _reading: asyncio.Task[None] = field(init=False)

    async def collect(self) -> None:
        """Read the source to its end; ends early, and resumably, when cancelled.

        Raises:
            UsageError: the source as a whole cannot be read.
            FatalError: the state cannot be written.
        """
        self._config = tidy.config_fingerprint(self.rules)
        items = self.source.read()
        try:
            self._reading = asyncio.create_task(self._read(items))
            await self._reading
            await self._let_go()
            self.complete = True
        except UsageError as error:
            await self._unreadable(error)
            raise
        except asyncio.CancelledError:
            if self._failure is None:
                raise
            raise self._failure from None
        finally:
            await self._wind_down(items)

    async def _read(self, items: AsyncIterator[Resource | Skipped]) -> None:
        """Take every item, and wait until all are dealt with."""
        self._slots = asyncio.Semaphore(max(self.in_flight, self.pool.at_once))
        async for item in items:
            if isinstance(item, Resource) and item.body is None and await self._met_again(item):
                continue
            await self._slots.acquire()
            await self._room_for(_size(item))
            if self.room is not None:
                await self.room(_size(item))
            self._begin(self._take(item), _size(item))
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, work: Coroutine[object, object, None], size: int) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks[task] = size
        self._held += size
        task.add_done_callback(self._done)
        return task

    async def _met_again(self, resource: Resource) -> bool:
        """Deal with a page that is as it was, with others like it in one step; False for one that goes alone."""
        if not hasattr(self.source, "learn_together"):
            return False
        links = self.ledger.links_at_hand(self.run, resource)
        if links is None:
            return False
        self._met.append((resource, links))
        if self._recording is None:
            await self._slots.acquire()
            self._recording = self._begin(self._record_met(), 0)
        elif len(self._met) > _MET_TOGETHER:
            await asyncio.wait({self._recording})
        return True

    async def _record_met(self) -> None:
        source: Any = self.source
        try:
            while met := self._met:
                self._met = []
                await source.learn_together(met)  # their links are durable before they are: see `_take`
                await self.ledger.unchanged(self.run, *[resource for resource, _ in met])
                for resource, _ in met:
                    self.progress.not_modified(resource)
        finally:
            self._recording = None

    async def _unreadable(self, error: UsageError) -> None:
        """Let the books balance for a source that cannot be read at all: what was due failed for that reason."""
        for due in await self.ledger.frontier(self.run).take(IN_FLIGHT):
            detail = str(error)
            await self._skip(
                Skipped(uri=due.uri, rule="source-unreadable", outcome="failed", fault=True, detail=detail)
            )

    async def _wind_down(self, items: AsyncIterator[Resource | Skipped]) -> None:
        """Fetch nothing more; clean and record what was fetched, for `FINISH_WITHIN_S` at most."""
        aclose = getattr(items, "aclose", None)
        if aclose is not None:
            with contextlib.suppress(RuntimeError):
                await aclose()
        if self._tasks and not self._failure:
            await asyncio.wait(self._tasks, timeout=FINISH_WITHIN_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _room_for(self, size: int) -> None:
        while self._tasks and self._held + size > BYTES_IN_FLIGHT:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    def _done(self, task: asyncio.Task[None]) -> None:
        size = self._tasks.pop(task)
        self._held -= size
        self._slots.release()
        if size > LARGE:
            give_back()
        if not task.cancelled() and task.exception() and self._failure is None:
            self._failure = task.exception()
            self._reading.cancel()  # it may wait for an item that comes only when this one was learned from

    async def _take(self, item: Resource | Skipped) -> None:
        if isinstance(item, Skipped):
            await self._skip(item)
            return
        # Links are durable before the page's own outcome is: a crash in between reads one page again and loses none.
        links = await self.ledger.same(self.run, item, self._config)
        if links is None:
            await self._clean(item)
        else:
            await self.source.learn(item, links)
            await self._unchanged(item)

    async def _skip(self, item: Skipped) -> None:
        await self.ledger.skip(self.run, item)
        self.progress.passed(item.outcome, item.rule, item.uri)

    async def _unchanged(self, resource: Resource) -> None:
        await self.ledger.unchanged(self.run, resource)
        if resource.body is None:
            self.progress.not_modified(resource)
        else:
            self.progress.fetched(resource)

    async def _clean(self, resource: Resource) -> None:
        extracted = await self._extracted(resource)
        canonical = self._canonical(resource, extracted)
        links = self._followed(resource, extracted, canonical)
        if links is not extracted.links:
            extracted = dataclasses.replace(extracted, links=links)
        await self.source.learn(resource, links)
        await self._record(resource, extracted, canonical)

    async def _extracted(self, resource: Resource) -> Extracted:
        if self.render and self.render_always and resource.media_type in {"text/html", "application/xhtml+xml"}:
            return await self._rendered(resource)
        extracted = await self.pool.clean(resource, self.rules)
        if extracted.problem == "needs-javascript" and self.render:
            return await self._rendered(resource)
        if extracted.alternate_markdown and self.alternate and not extracted.problem:
            return await self._own_markdown(extracted)
        return extracted

    async def _rendered(self, resource: Resource) -> Extracted:
        assert self.render is not None
        rendered = await self.render(resource)
        if isinstance(rendered, Skipped):
            return Extracted(problem=rendered.rule, detail=rendered.detail)
        return await self.pool.clean(rendered, self.rules)

    async def _own_markdown(self, extracted: Extracted) -> Extracted:
        """Take the site's own Markdown for the content, where it is the same page; the rest stays."""
        assert self.alternate is not None
        fetched = await self.alternate(extracted.alternate_markdown)
        if isinstance(fetched, Skipped) or not fetched.body or len(extracted.pages) != 1:
            return extracted
        written = await self.pool.clean(dataclasses.replace(fetched, media_type="text/markdown"), self.rules)
        if len(written.pages) != 1:
            return extracted
        page = _with_markdown(extracted.pages[0], written.pages[0])
        return dataclasses.replace(extracted, pages=(page,), drafts=(tidy.draft(page, self.rules),))

    @staticmethod
    def _canonical(resource: Resource, extracted: Extracted) -> str:
        canonical = resource.link_canonical or extracted.canonical
        return "" if canonical == resource.uri else canonical

    @staticmethod
    def _followed(resource: Resource, extracted: Extracted, canonical: str) -> tuple[str, ...]:
        if extracted.nofollow or _NOT_FOLLOWED & _words(resource.robots):
            return ()
        return (*extracted.links, canonical) if canonical and canonical not in extracted.links else extracted.links

    async def _record(self, resource: Resource, extracted: Extracted, canonical: str) -> None:
        if extracted.noindex or _NOT_INDEXED & _words(resource.robots):
            extracted = dataclasses.replace(extracted, problem="noindex", detail="The page asks not to be indexed.")
        if extracted.problem or not extracted.pages:
            await self.ledger.fail(self.run, resource, extracted)
            self.progress.passed(extracted.outcome, extracted.problem or "empty", resource.uri)
            return
        another = canonical if canonical and _same_host(canonical, resource.uri) else ""
        hold = bool(another) or any(page.weak for page in extracted.pages)
        if another != extracted.canonical:
            extracted = dataclasses.replace(extracted, canonical=another)
        verdicts = await self.ledger.record(
            self.run, resource, extracted, extracted.drafts, config=self._config, hold=hold
        )
        if all(verdict == "duplicate" for verdict in verdicts):
            self.progress.passed("skipped", "duplicate", resource.uri)
        else:
            self.progress.fetched(resource)
        self.progress.judged(verdicts)
        self.on_pages(sum(verdict in {"new", "changed"} for verdict in verdicts))

    async def _let_go(self) -> None:
        """Decide what waited for the whole site: other URLs of a page, and pages with suspected boilerplate."""
        held = {item.page.uri: item.canonical async for item in self.ledger.held(self.run)}
        if not held:
            return
        speaking = {uri: canonical for uri, canonical in held.items() if canonical}
        lives = {uri: await self._lives(uri) for uri in set(speaking.values()) - speaking.keys()}
        kept = keepers(speaking, lambda uri: lives.get(uri, False))
        repeated = await self.ledger.repeated_blocks(self.run)
        async for item in self.ledger.held(self.run):
            if item.canonical and item.page.uri not in kept and await self._same_page(item.page, item.canonical):
                await self.ledger.drop(self.run, item.page.uri, "canonical", f"{item.canonical} speaks for it")
                continue
            page = tidy.without_repeated(item.page, repeated) if item.page.weak else item.page
            verdict = await self.ledger.release_page(self.run, tidy.draft(page, self.rules))
            self.progress.judged([verdict])
            self.on_pages(verdict in {"new", "changed"})

    async def _lives(self, uri: str) -> bool:
        return await self.ledger.visited(self.run, uri) in {"fetched", "not_modified"}

    async def _same_page(self, page: Page, canonical: str) -> bool:
        """Say whether ``canonical`` holds what this page says: naming the home page everywhere loses nothing."""
        blocks = set(page.blocks)
        if not blocks:
            return True
        theirs = set(await self.ledger.blocks(self.run, canonical))
        return len(blocks & theirs) >= _SAME_PAGE_SHARE * len(blocks)


def _with_markdown(page: Page, written: Page) -> Page:
    metadata: Mapping[str, object] = {
        **page.metadata,
        "strategy": "markdown",
        "word_count": written.metadata.get("word_count"),
    }
    return dataclasses.replace(page, content=written.content, blocks=written.blocks, metadata=metadata, weak=False)


def _size(item: Resource | Skipped) -> int:
    return len(item.body or b"") if isinstance(item, Resource) else 0


def _words(values: Sequence[str]) -> set[str]:
    return {word.strip().lower() for value in values for word in value.split(",")}


def _same_host(first: str, second: str) -> bool:
    return first.split("/", 3)[:3] == second.split("/", 3)[:3]
