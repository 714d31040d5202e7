"""One run of one source, from its first request to its summary."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from connectors import errors, memory
from connectors.pipeline import enriching, summaries
from connectors.pipeline.outbox import Outbox
from connectors.pipeline.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from connectors.ledger import Counts, Ledger, Run
    from connectors.models import Cleaners
    from connectors.persona.client import PersonaClient
    from connectors.pipeline.collect import Collector
    from connectors.pipeline.deliver import BatchHead, BatchOutcome, Changes, Delivery
    from connectors.pipeline.progress import Progress
    from connectors.pipeline.reconcile import Coverage
    from connectors.settings import AnySource

Purpose = Literal["import", "sync"]
_CUT_SHORT = {
    "max-pages",
    "robots-unreachable",
    "source-unreadable",
    "sitemap-unreadable",
    "feed-unreadable",
    "unreadable-folder",
}
"""What makes a crawl incomplete although it came to its end: what it did not meet may still be there."""


@dataclass(slots=True, kw_only=True)
class IngestRun:
    """An open run. The flow (or a test) calls its stages; each is safe to call again.

    Attributes:
        where: where the pages go, in words: ``the embedded knowledge base`` or the API's address.
        progress: live numbers.
        remarks: what the embedded knowledge base warned of.
        outbox: keeps the crawl from running too far ahead of delivery.
        rules_before: under which addresses were passed over before this run was stopped and went on.
    """

    source: AnySource
    run: Run
    ledger: Ledger
    persona: PersonaClient
    pool: Cleaners
    collector: Collector
    delivery: Delivery
    where: str
    progress: Progress
    purpose: Purpose
    rules_before: frozenset[str] = frozenset()
    remarks: list[str] = field(default_factory=list)
    closers: list[Any] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)
    coverage: Coverage | None = None
    changes: Changes | None = None
    crawl_s: float = 0.0
    delivering: Stopwatch = field(default_factory=Stopwatch)
    failure: errors.IngestError | None = None
    stopping: bool = False
    outbox: Outbox = field(init=False)
    prompts_made: list[str] = field(default_factory=list)
    reviewed: int = 0
    _subject: enriching.Subject | None = None
    _collecting: asyncio.Task[None] | None = None
    _due: asyncio.Event = field(default_factory=asyncio.Event)
    _due_pages: int = 0
    _closed: bool = False

    def __post_init__(self) -> None:
        """Hear from the collector when pages become due, and let it wait while too many are."""
        self.outbox = Outbox(self.run, self.delivery, hurry=self._due.set)
        self.collector.on_pages = self.on_pages
        self.collector.room = self.outbox.room

    @property
    def id(self) -> str:
        """The run's number in the ledger, as people write it."""
        return str(self.run.id)

    @property
    def name(self) -> str:
        """The source's name."""
        return self.run.source

    @property
    def kind(self) -> str:
        """The source's kind."""
        return self.run.kind

    @property
    def resumed(self) -> bool:
        """Whether this run goes on where one that was stopped left off."""
        return self.run.resumed

    @property
    def complete(self) -> bool:
        """Whether the whole source was seen: only then is what was not met evidence of anything."""
        rules = self.rules_before | {key.partition(":")[2] for key in self.progress.rules}
        return self.collector.complete and self.failure is None and not _CUT_SHORT & rules

    def start(self) -> asyncio.Task[None]:
        """Begin to crawl and clean in the background; `collect` awaits it."""
        if self._collecting is None:
            self._collecting = asyncio.create_task(self._collect(), name=f"collect {self.name}")
        return self._collecting

    async def collect(self) -> None:
        """Crawl, clean and record, to the end or until `stop`.

        Raises:
            UsageError: the source as a whole cannot be read; what to do next.
            FatalError: the state cannot be written.
        """
        await asyncio.shield(self.start())

    async def _collect(self) -> None:
        began = time.perf_counter()
        self.progress.stage = "crawling"
        try:
            await self.collector.collect()
        except asyncio.CancelledError:
            if not self.stopping:
                raise
        except errors.IngestError as error:
            self.failure = error
            raise
        finally:
            self.crawl_s = time.perf_counter() - began
            self._due.set()
            await self.pool.close()  # nothing is cleaned any more, and reading back takes memory of its own
            memory.give_back()

    def on_pages(self, count: int) -> None:
        """Note that so many page versions became due."""
        self._due_pages += count
        if self._due_pages >= self.source.batch_size:
            self._due.set()

    async def batches(self) -> AsyncIterator[BatchHead]:
        """Yield batches to deliver while the crawl goes on; ends when everything due was yielded."""
        task = self.start()
        while True:
            over = task.done()
            self._due_pages = 0
            self._due.clear()
            heads = await self.delivery.cut(self.run, final=over and not self.stopping, partial=self.outbox.crowded)
            self.outbox.handed_out(len(heads))
            for head in heads:
                self.progress.batches += 1
                yield head
            if over or self.stopping:
                return
            waiting = asyncio.create_task(self._due.wait())
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()

    async def deliver(self, batch_id: int) -> BatchOutcome:
        """Deliver one batch, with its retries, and say what became of it."""
        try:
            with self.delivering.running():
                outcome = await self.delivery.deliver(self.run, batch_id)
        finally:
            self.outbox.came_back()
        if outcome.state == "delivered":
            self.progress.delivered += outcome.pages
        else:
            self.progress.batches_failed += 1
        return outcome

    async def change(self) -> Changes:
        """Update what changed at the source and remove what is gone, as far as evidence and guards allow."""
        with self.delivering.running():
            self.changes = await self.delivery.change(self.run, complete=self.complete)
        return self.changes

    async def verify(self) -> Coverage:
        """Read the knowledge base back and say whether every page is there exactly once."""
        self.progress.stage = "verifying"
        self.coverage = await self.delivery.verify(self.run)
        self.progress.verified = self.coverage.verified
        return self.coverage

    async def prompts(self) -> list[str]:
        """Ask for prompts about what the run brought, and for what earlier runs are owed; keeps and returns them."""
        self.progress.stage = "enriching"
        self.prompts_made = await enriching.ask_for_prompts(self._brought(), self.persona)
        owed = await enriching.ask_again(self.ledger, self.run, self.persona)
        self.prompts_made = list(dict.fromkeys([*self.prompts_made, *owed]))
        return self.prompts_made

    async def review(self) -> int:
        """Submit findings for review; returns how many."""
        self.progress.stage = "enriching"
        found = await enriching.submit_findings(self._brought(), self.persona)
        self.reviewed = len(found)
        self._subject = None
        return self.reviewed

    def _brought(self) -> enriching.Subject:
        if self._subject is None:
            self._subject = enriching.Subject(self.ledger, self.run, only="brought")
        return self._subject

    def stop(self) -> None:
        """Stop at the next safe point: what was fetched and sent stays so, the next run goes on from here."""
        self.stopping = True
        self.outbox.stop()
        if self._collecting and not self._collecting.done():
            self._collecting.cancel()
        self._due.set()

    async def finish(self) -> dict[str, Any]:
        """Close the run's books and return the summary of this source (docs: the public interface)."""
        summary = await self.summary()
        if self.stopping:
            await self.ledger.release(self.run)
        else:
            await self.ledger.finish(self.run, state=summary["state"], complete=self.complete, summary=summary)
        self.progress.stage = "done"
        await self.close()
        return summary

    async def summary(self) -> dict[str, Any]:
        """Return the numbers of this run so far, from the ledger."""
        counts = await self.ledger.counts(self.run)
        summary = summaries.of(counts)
        summary.update(
            name=self.name,
            kind=self.kind,
            run=self.id,
            where=self.where,
            verified=self.coverage.verified if self.coverage else 0,
            prompts=len(self.prompts_made),
            reviewed=self.reviewed,
            seconds={
                "total": round(time.perf_counter() - self.started, 3),
                "crawl": round(self.crawl_s, 3),
                "deliver": round(self.delivering.seconds, 3),
            },
        )
        summary["problems"] = self._problems(counts)
        cuts = {"answer": self.persona.answers_cut, "OUTBOX_BYTES": self.outbox.waits}
        cuts |= getattr(self.collector.source, "cuts", {})
        told = summaries.notes(counts, cuts, resumed=self.resumed, coverage=self.coverage)
        summary["notes"] = told + self.remarks
        if self.changes and self.changes.withheld:
            summary["approval"] = summaries.approval(self.changes, run=self.id)
        summary["state"] = self._state(summary)
        return summary

    def _problems(self, counts: Counts) -> list[str]:
        if self.stopping and self.failure is None:
            return []  # a person stopped it: what is not done yet is the next run's, and nothing is to be put right
        return summaries.problems(
            counts, kind=self.kind, coverage=self.coverage, failure=self.failure, changes=self.changes
        )

    def _state(self, summary: dict[str, Any]) -> str:
        if self.stopping or isinstance(self.failure, errors.FatalError):
            return "stopped"
        if summary["problems"]:
            return "failed"
        return "awaiting-approval" if self.changes and self.changes.withheld else "completed"

    async def close(self) -> None:
        """Let go of processes, connections and the ledger; an unfinished run stays resumable."""
        if self._closed:
            return
        self._closed = True
        if self._collecting and not self._collecting.done():
            self._collecting.cancel()
            await asyncio.gather(self._collecting, return_exceptions=True)
        for closer in self.closers:
            await closer()
