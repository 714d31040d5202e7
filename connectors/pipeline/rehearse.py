"""A dry run: the whole crawl over a copy of the ledger, and what it would do to the knowledge base."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from connectors.pipeline.changes import Changes
from connectors.pipeline.ingest_run import IngestRun
from connectors.pipeline.reconcile import Coverage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from connectors.pipeline.deliver import BatchHead, BatchOutcome

_DIFF_LINES = 40
_CONTEXT_LINES = 1


@dataclass(slots=True, kw_only=True)
class Rehearsal(IngestRun):
    """A run that calls nothing: its stages say what they would do."""

    would: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let everything in: nothing will be sent."""
        IngestRun.__post_init__(self)
        self.collector.room = None

    async def batches(self) -> AsyncIterator[BatchHead]:
        """Yield nothing, once the crawl is over."""
        await self.collect()
        nothing: tuple[BatchHead, ...] = ()
        for head in nothing:
            yield head

    async def deliver(self, batch_id: int) -> BatchOutcome:
        """Deliver nothing: a dry run has no batches."""
        raise AssertionError(f"a dry run has no batch {batch_id}")

    async def change(self) -> Changes:
        """Work out what would be added, changed and deleted, and how many calls that takes."""
        await self.ledger.sending.count_evidence(self.run, complete=self.complete)
        vanished = await self.ledger.sending.candidates(self.run)
        rewritten = await self.ledger.rewritten(self.run)
        changed = {uri for uri, _, _ in rewritten}
        added = [row.uri async for row in self.ledger.pages(self.run, only="brought") if row.uri not in changed]
        calls = {
            "store": ceil(len(added) / self.source.batch_size),
            "update": len(rewritten),
            "delete": len(vanished),
            "read": 1,
        }
        self.would = {
            "add": added,
            "change": [{"uri": uri, "diff": diff(before, after)} for uri, before, after in rewritten],
            "delete": [{"uri": uri, "reason": reason} for _, uri, reason in vanished],
            "calls": calls | {"total": sum(calls.values())},
        }
        return Changes()

    async def verify(self) -> Coverage:
        """Verify nothing."""
        return Coverage(due=0, verified=0)

    async def prompts(self) -> list[str]:
        """Ask for nothing."""
        return []

    async def review(self) -> int:
        """Submit nothing."""
        return 0

    async def summary(self) -> dict[str, Any]:
        """Return the run's numbers and what it would do."""
        return {**await IngestRun.summary(self), "dry_run": True, "would": self.would}


def diff(before: str, after: str) -> list[str]:
    """Return a unified diff of two texts without its head, at most 40 lines."""
    lines = list(
        difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=_CONTEXT_LINES),
    )[2:]
    rest = len(lines) - _DIFF_LINES
    return lines if rest <= 0 else [*lines[:_DIFF_LINES], f"... {rest} more lines"]
