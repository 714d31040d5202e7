"""The crawl itself: takes from the frontier, fetches many at once, gives items one by one, knows when it is done."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from connectors.models import Found, Resource, Skipped
from connectors.web import logins, urls
from connectors.web.fetcher import Ask, Redirect
from connectors.web.media import is_wanted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence

    from connectors.models import Due
    from connectors.web.fetcher import Fetcher
    from connectors.web.frontier import Frontier
    from connectors.web.sites import Sites

    Item = Resource | Skipped

MAX_WORKERS = 64
"""The most fetches in flight over all hosts."""
MAX_WAITING = 16 * 1024**2
"""Bytes of bodies that wait to be taken; while more do, no fetch begins: a count alone bounds no memory."""
_TAKEN_AT_ONCE = 100
_REDIRECTS_REMEMBERED = 10_000
_MAX_HOPS = 10

WHY = {
    "excluded": "one of your exclude globs matches it",
    "not-included": "none of your include globs matches it",
    "out-of-scope": "it lies outside the scope",
    "media": "its name is a picture's, a film's, an archive's or a script's; it was not requested",
    "max-depth": "it is further from the start than you allow",
    "max-pages": "as many pages as you allow were fetched",
    "trap-long-url": "the address is longer than any page's",
    "trap-path-depth": "its path has more segments than any page's",
    "trap-repeated-segment": "a segment of its path comes again and again",
    "trap-click-depth": "it lies at the end of a chain of links that does not end",
    "trap-query-variants": "too many addresses differ from it in their parameters only",
    "trap-query-permutation": "the same parameters in another order were met before",
    "trap-session": "too many addresses differ from it in a random-looking parameter only",
    "trap-same-content": "pages like it differ in numbers only",
    "trap-host-pages": "its host has more addresses than one site may have",
    "trap-hosts": "its domain has more hosts than one site may have",
}
"""One sentence a rule, for whoever asks what became of an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the crawl asks its source about an address.

    Attributes:
        belongs: whether a redirect may lead there.
        refusal: the rule that keeps an address from being requested; it is asked once for each, in order.
        saw: is told of each page that was fetched.
        max_pages: stop requesting after so many were fetched.
    """

    belongs: Callable[[str], bool]
    refusal: Callable[[Due], str]
    saw: Callable[[Resource], None] = lambda _: None
    max_pages: int | None = None


class Crawl:
    """One pass over what the frontier holds and what is learned on the way.

    Every address that was added comes out exactly once. ``items`` ends when nothing is due, nothing is in flight,
    nobody seeds, and each Resource that came out was followed by one call of ``learned``.

    Args:
        answers: what is already known of some addresses, instead of asking them again: the start page.
    """

    def __init__(
        self,
        *,
        fetcher: Fetcher,
        frontier: Frontier,
        sites: Sites,
        rules: Rules,
        answers: dict[str, Resource | Redirect | Skipped] | None = None,
    ) -> None:
        self._fetcher = fetcher
        self._frontier = frontier
        self._sites = sites
        self._rules = rules
        self._answers = answers or {}
        self._lanes: dict[str, deque[Due]] = {}
        self._working: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._out: asyncio.Queue[Item | BaseException | None] = asyncio.Queue(maxsize=MAX_WORKERS)
        self._out_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._awaited: Callable[[], bool] | None = None
        self._changed = asyncio.Event()
        self._added = False
        self._buffered = self._in_flight = self._seeding = self._unlearned = 0
        self._fetched = 0
        self._moved_to: dict[str, str] = {}
        self._moved_from: dict[str, str] = {}

    async def items(self) -> AsyncGenerator[Item]:
        """Yield every address once. Closing the iterator ends all fetches at once."""
        self._spawn(self._feed())
        try:
            while (item := await self._out.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                self._hold(-_size(item))
                yield item
        finally:
            await self._stop()

    def _hold(self, size: int) -> None:
        """Count the bytes that wait to be taken."""
        if size:
            self._out_bytes += size
            (self._room.clear if self._out_bytes > MAX_WAITING else self._room.set)()

    def seed(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run something beside the crawl that adds to the frontier; the crawl is not done before it is."""
        self._seeding += 1
        self._spawn(self._seed(work))

    async def _seed(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        finally:
            self._seeding -= 1
            self._tell()

    async def add(self, found: Sequence[Found]) -> int:
        """Add to the frontier; return how many are new."""
        new = await self._frontier.add(found)
        if new:
            self._added = True
            self._tell()
        return new

    async def report(self, item: Skipped) -> None:
        """Let an address that is no page come out with this outcome, unless it comes out as a page anyway."""
        self._answers[item.uri] = item
        if not await self.add([Found(uri=item.uri, by="sitemap", depth=item.depth)]):
            self._answers.pop(item.uri, None)

    async def learned(self, found: Sequence[Found], *, of: int = 1) -> None:
        """One Resource that came out is dealt with, or several; these are the addresses that they named."""
        try:
            if found:
                await self.add(found)
        finally:
            self._unlearned -= of
            self._tell()

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # one that is cancelled before it began

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        """A fault of ours or of the store ends the crawl loudly: it must never look complete."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - handed to the reader, who raises it
            await self._out.put(error)

    async def _stop(self) -> None:
        self._lanes.clear()  # a worker that ends looks there for more work, and would begin some now
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(self) -> None:
        while True:
            await self._until(lambda: self._buffered < _TAKEN_AT_ONCE // 2)
            self._added = False
            taken = await self._frontier.take(_TAKEN_AT_ONCE)
            for due in taken:
                await self._place(due)
            if taken:
                continue
            if not (self._added or self._busy()):
                await self._out.put(None)
                return
            await self._until(lambda: self._added or not self._busy())

    def _busy(self) -> bool:
        """Say whether something under way may still add to the frontier."""
        return bool(self._buffered or self._in_flight or self._seeding or self._unlearned)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for what only the feeding task waits for: whoever changes something asks before it wakes that task."""
        self._awaited = condition
        while not condition():
            self._changed.clear()
            await self._changed.wait()
        self._awaited = None

    def _tell(self) -> None:
        if self._awaited is not None and self._awaited():
            self._changed.set()

    async def _place(self, due: Due) -> None:
        reported = self._answers.get(due.uri)
        if isinstance(reported, Skipped):
            del self._answers[due.uri]
            await self._out.put(reported)
            return
        rule = self._rules.refusal(due) or await self._over_the_most()
        if rule:
            await self._out.put(Skipped(uri=due.uri, rule=rule, depth=due.depth, detail=WHY.get(rule, "")))
            return
        origin = urls.origin(due.uri)
        self._lanes.setdefault(origin, deque()).append(due)
        self._buffered += 1
        self._staff(origin)

    def _staff(self, origin: str) -> None:
        working = self._working.get(origin, 0)
        if working < self._fetcher.concurrency and len(self._tasks) <= MAX_WORKERS:
            self._working[origin] = working + 1
            self._spawn(self._work(origin))

    async def _over_the_most(self) -> str:
        most = self._rules.max_pages
        if most is None:
            return ""
        await self._until(lambda: self._fetched >= most or self._fetched + self._buffered + self._in_flight < most)
        return "max-pages" if self._fetched >= most else ""

    async def _work(self, origin: str) -> None:
        lane = self._lanes[origin]
        try:
            while lane:
                if not self._room.is_set():
                    await self._room.wait()
                    continue  # others may have emptied the lane meanwhile
                due = lane.popleft()
                self._buffered -= 1
                self._in_flight += 1
                try:
                    item = await self._one(due)
                    if isinstance(item, Resource):
                        self._fetched += 1
                        self._unlearned += 1
                        self._rules.saw(item)
                        self._hold(_size(item))
                    await self._out.put(item)
                finally:
                    self._in_flight -= 1
                    self._tell()
        finally:
            self._working[origin] -= 1
            if not self._working[origin]:
                del self._working[origin]
                if not lane:
                    self._lanes.pop(origin, None)
            self._tasks.discard(asyncio.current_task())
            self._tell()
        if idle := next((other for other in self._lanes if other not in self._working), ""):
            self._staff(idle)

    async def _one(self, due: Due) -> Item:
        said = await self._sites.robots(due.uri)
        if rule := said.refuses(due.uri):
            return self._refused_by_robots(due, rule)
        got = self._answers.pop(due.uri, None)
        if got is None:
            ask = Ask(
                etag=due.etag,
                last_modified=due.last_modified,
                wanted=lambda media_type: is_wanted(media_type, due.uri),
                depth=due.depth,
            )
            got = await self._fetcher.fetch_once(due.uri, ask)
        if isinstance(got, Redirect):
            return await self._moved(due, got)
        if isinstance(got, Resource) and due.by == "redirect":
            passed = self._passed(due.uri) or ((due.via,) if due.via else ())  # of a run that goes on
            return replace(got, depth=due.depth, redirects=passed, requested_uri=passed[0] if passed else due.uri)
        return got if got.depth == due.depth else replace(got, depth=due.depth)

    def _refused_by_robots(self, due: Due, rule: str) -> Skipped:
        detail = f"robots.txt of {urls.origin(due.uri)} forbids it"
        if rule == "robots-unreachable":
            detail = f"robots.txt of {urls.origin(due.uri)} cannot be read, and then nothing may be (RFC 9309)"
        fault = rule == "robots-unreachable" and due.by == "start"
        return Skipped(uri=due.uri, rule=rule, detail=detail, depth=due.depth, fault=fault)

    async def _moved(self, due: Due, got: Redirect) -> Skipped:
        """A hop ends here; where it leads is an address like any other, asked once however many lead there."""
        made = Skipped(
            uri=due.uri,
            rule="redirect",
            detail=f"to {urls.redact(got.to)}",
            status=got.status,
            depth=due.depth,
            seconds=got.seconds,
        )
        if self._leads_back(due.uri, got.to) or len(self._passed(due.uri)) >= _MAX_HOPS:
            return replace(made, rule="redirect-loop", outcome="failed")
        belongs = self._rules.belongs(got.to)
        if logins.wants_login(got.to, due.uri):
            made = replace(made, rule="login", detail=f"{made.detail}, which asks for a login; {logins.ADVICE}")
        elif not belongs:
            made = replace(made, rule="redirect-out-of-scope")
        if not belongs:
            return made
        for memory, key, value in ((self._moved_to, due.uri, got.to), (self._moved_from, got.to, due.uri)):
            if len(memory) >= _REDIRECTS_REMEMBERED:
                del memory[next(iter(memory))]
            memory.setdefault(key, value)
        await self.add([Found(uri=got.to, by="redirect", depth=due.depth, via=due.uri)])
        return made

    def _leads_back(self, uri: str, to: str) -> bool:
        at: str | None = to
        for _ in range(_MAX_HOPS + 1):
            if at is None or at == uri:
                return at == uri
            at = self._moved_to.get(at)
        return False

    def _passed(self, uri: str) -> tuple[str, ...]:
        """Return the addresses that were redirected one after the other until here, first first."""
        passed: list[str] = []
        at = self._moved_from.get(uri)
        while at is not None and at not in passed and len(passed) <= _MAX_HOPS:
            passed.append(at)
            at = self._moved_from.get(at)
        return tuple(reversed(passed))


def _size(item: Item) -> int:
    return len(item.body or b"") if isinstance(item, Resource) else 0
