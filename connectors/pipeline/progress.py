"""What a run has done so far: live numbers for a terminal, a log line or an artifact."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.models import Due, Found, Resource
    from connectors.web.frontier import FrontierStore

EXAMPLES = 5
Stage = Literal["starting", "crawling", "delivering", "verifying", "enriching", "done"]


@dataclass(slots=True)
class Progress:
    """Counts of one run, kept in memory: the ledger's own numbers are the truth at the end.

    ``discovered`` is what came into the frontier, or was left there by the run that this one goes on with; 0 for a
    source without one. The other numbers are URIs (``read`` …) or page versions.
    """

    stage: Stage = "starting"
    discovered: int = 0
    read: int = 0
    unmodified: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)
    delivered: int = 0
    batches: int = 0
    batches_failed: int = 0
    verified: int = 0
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=3))

    @property
    def done(self) -> int:
        """How many URIs have their outcome."""
        return self.read + self.unmodified + self.rules.total()

    def fetched(self, resource: Resource) -> None:
        """Count a page that was read; what was read and is none is ``passed`` instead, so that each URI counts once."""
        self.read += 1
        self.recent.append(resource.uri)

    def not_modified(self, resource: Resource) -> None:
        """Count a page that is as it was."""
        self.unmodified += 1
        self.recent.append(resource.uri)

    def passed(self, outcome: str, rule: str, uri: str) -> None:
        """Count a URI that was skipped or failed, and keep a few examples of each rule."""
        key = f"{outcome}:{rule}"
        self.rules[key] += 1
        kept = self.examples.setdefault(key, [])
        if len(kept) < EXAMPLES:
            kept.append(uri)

    def judged(self, verdicts: Sequence[str]) -> None:
        """Count page versions by verdict."""
        self.verdicts.update(verdicts)


class CountedFrontier:
    """A frontier that lets a run's progress know what comes into it."""

    def __init__(self, store: FrontierStore, progress: Progress) -> None:
        self._store = store
        self._progress = progress

    async def add(self, found: Sequence[Found]) -> int:
        """Keep these; return how many are new."""
        new = await self._store.add(found)
        self._progress.discovered += new
        return new

    async def take(self, limit: int) -> list[Due]:
        """Return the oldest that are due."""
        return await self._store.take(limit)

    async def counts(self) -> tuple[int, int]:
        """Return discovered, and due."""
        return await self._store.counts()
