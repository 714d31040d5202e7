"""Compares the training data with the ledger: what is there once, what is missing, which copies are too many."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from connectors.errors import RetryableError
from connectors.extractors.tidy import normal
from connectors.ledger import faults
from connectors.pipeline.matching import Reading, id_order, in_pieces

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from connectors.ledger import Ledger, Run
    from connectors.ledger.values import Holding
    from connectors.persona.client import PersonaClient

LOOKED_FOR = ("sent", "delivered", "verified", "updating", "deleting", "quarantined")
_RECORDED = ("delivered", "verified", "quarantined")
_READS = 4
_CONFIRMED_AT_ONCE = 1000
_SHORTEST, _LONGEST = 0.5, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What a source's pages look like in the knowledge base.

    Attributes:
        due: pages that should be there.
        verified: pages seen there exactly once.
        missing: delivered pages that were not there (and, unless we only looked, were sent again).
        surplus_deleted: further copies of ours that were deleted; when we only looked, that would be.
        foreign_changed: items of ours that somebody else changed.
        changed: their addresses.
        unknown: pages whose arrival is still unknown.
    """

    due: int
    verified: int
    missing: int = 0
    surplus_deleted: int = 0
    foreign_changed: int = 0
    quarantined: int = 0
    unknown: int = 0
    changed: tuple[str, ...] = ()


@dataclass(slots=True)
class Findings:
    """What one reading shows of one source.

    Attributes:
        seen: the items of each version that is there.
        looked_for: the versions that may be there, by state.
        news: those of ``seen`` that are to be recorded: not verified yet, or as other items than these.
        marks: those of the items that were read as a whole version, by the version, where they are news.
    """

    seen: dict[int, Sequence[str]] = field(default_factory=dict)
    looked_for: dict[str, list[int]] = field(default_factory=dict)
    news: list[int] = field(default_factory=list)
    marks: dict[int, bytes] = field(default_factory=dict)
    missing: list[Holding] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)
    changed: list[Holding] = field(default_factory=list)

    def in_state(self, *states: str) -> list[int]:
        """Return the versions that were seen and are in one of these states."""
        return [version for state in states for version in self.looked_for.get(state, ()) if version in self.seen]


def _parts(versions: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(versions), _CONFIRMED_AT_ONCE):
        yield versions[start : start + _CONFIRMED_AT_ONCE]


class Reconciler:
    """Reads the training data of one knowledge base and compares; several who ask at once share a reading."""

    def __init__(
        self, ledger: Ledger, persona: PersonaClient, *, pause: Callable[[int, float | None], Awaitable[None]]
    ) -> None:
        self._ledger = ledger
        self._persona = persona
        self._pause = pause
        self._reading = asyncio.Lock()
        self._next: dict[int, asyncio.Task[Findings]] = {}

    async def compare(self, run: Run) -> Findings:
        """Read everything once, from now on, and say what is there.

        Raises:
            RetryableError: the training data could not be read after several attempts.
        """
        task = self._next.get(run.id)
        if task is None:
            task = asyncio.create_task(self._compare(run))
            self._next[run.id] = task
        return await asyncio.shield(task)

    async def accept(self, run: Run, found: Findings) -> None:
        """Record what was seen: what is there once is verified, what we had set aside and is there was not refused."""
        revived = found.in_state("quarantined")
        if revived:
            await self._ledger.sending.revive(run, revived)
        for part in _parts(found.news):
            await self._ledger.sending.confirm(run, {version: found.seen[version] for version in part}, found.marks)
        for part in _parts(list(found.marks.keys() - set(found.news))):
            await self._ledger.sending.remember(run, {version: found.seen[version] for version in part}, found.marks)

    async def confirm(self, run: Run) -> None:
        """Read once and record what is there: changes need the items of what they replace."""
        await self.accept(run, await self.compare(run))

    async def _compare(self, run: Run) -> Findings:
        try:
            async with self._reading:
                self._next.pop(run.id, None)  # whoever asks from now on needs a later reading
                holdings = [holding async for holding in self._ledger.sending.expected(run, LOOKED_FOR)]
                ghosts = await self._ledger.sending.ghosts(run)
                known = await self._ledger.sending.marks_elsewhere(run)
                own = {holding.mark: (holding.items[0], holding.key) for holding in holdings if holding.mark}
                reading = await self._read(holdings, ghosts, known | own)
                texts, claimed = await self._ledger.sending.claimed_elsewhere(run)
                if not reading.unread <= claimed:  # another source let go of what we did not read: it may be of ours
                    reading = await self._read(holdings, ghosts, own)
                    texts, claimed = await self._ledger.sending.claimed_elsewhere(run)
                comparison = _Comparison(
                    self._ledger, reading, holdings=holdings, ghosts=ghosts, texts=texts, claimed=claimed
                )
                return await comparison.findings()
        finally:
            self._next.pop(run.id, None)

    async def _read(
        self, holdings: Sequence[Holding], ghosts: set[bytes], known: Mapping[bytes, tuple[str, bytes]]
    ) -> Reading:
        """Read everything; of an item whose bytes are known it is known which one it is and which text it has."""
        for attempt in range(1, _READS + 1):
            reading = Reading(chain((holding.key for holding in holdings), ghosts))
            faults.reach("read")
            try:
                async for item in self._persona.training_data_but(known):
                    if isinstance(item, bytes):
                        reading.recognised(*known[item])
                    else:
                        reading.take(item)
            except RetryableError as error:
                if attempt == _READS:
                    raise
                await self._pause(attempt, error.retry_after_s)
            else:
                reading.close()
                return reading
        raise AssertionError("unreachable")


class _Comparison:
    """One reading against one source's versions."""

    def __init__(
        self,
        ledger: Ledger,
        reading: Reading,
        *,
        holdings: list[Holding],
        ghosts: set[bytes],
        texts: Counter[bytes],
        claimed: set[str],
    ) -> None:
        self._ledger = ledger
        self._reading = reading
        self._holdings = holdings
        self._ghosts = ghosts
        self._reserved = texts
        self._taken = set(claimed)
        self._found = Findings()
        for holding in holdings:
            self._found.looked_for.setdefault(holding.state, []).append(holding.version_id)

    async def findings(self) -> Findings:
        """Match whole texts, then pieces, then ``Source:`` lines; then judge what is left."""
        for key, ids in self._reading.copies.items():
            if theirs := sum(item in self._taken for item in ids):
                self._reserved[key] -= theirs
        held, shared = self._keys()
        for holding in self._holdings:
            if holding.key not in shared:
                self._whole(holding.key, [holding])
        for key, holdings in shared.items():
            self._whole(key, holdings)
        for key in self._ghosts - held:
            self._found.surplus += self._free(key)[self._spare(key) :]
            self._taken.update(self._found.surplus)
        left = [holding for holding in self._holdings if holding.version_id not in self._found.seen]
        left = await self._pieces(await self._ledger.sending.detailed(left) if left else left)
        self._judge(self._by_source(left))
        return self._found

    def _keys(self) -> tuple[set[bytes], dict[bytes, list[Holding]]]:
        """Return the keys of what we hold, and the few that several versions have, with those versions."""
        held: set[bytes] = set()
        shared: dict[bytes, list[Holding]] = {}
        for holding in self._holdings:
            if holding.key in held:
                shared[holding.key] = []
            held.add(holding.key)
        for holding in self._holdings if shared else ():
            if holding.key in shared:
                shared[holding.key].append(holding)
        return held, shared

    def _spare(self, key: bytes) -> int:
        """Return how many free copies belong to other sources that did not verify theirs yet."""
        return max(0, self._reserved.get(key, 0))

    def _free(self, key: bytes) -> list[str]:
        return [item for item in self._reading.copies.get(key, ()) if item not in self._taken]

    def _whole(self, key: bytes, holdings: list[Holding]) -> None:
        """Give each version one copy, the one it had before if that is still there; the rest is surplus."""
        for holding in sorted(holdings, key=lambda holding: not holding.items):
            free = self._free(key)
            if not free:
                return
            mine = [item for item in holding.items if item in free]
            # Of several copies the lowest stays, whatever we called ours: a second reader decides the same.
            chosen = free[0] if holding.state != "deleting" or not mine else mine[0]
            copies = self._reading.copies[key]
            self._take(holding, copies if len(copies) == 1 else (chosen,))
            mark = self._reading.marks.get(chosen)
            if mark and holding.state in _RECORDED:
                self._found.marks[holding.version_id] = mark
        free = self._free(key)
        surplus = free[: max(0, len(free) - self._spare(key))]
        self._found.surplus += surplus
        self._taken.update(surplus)

    def _take(self, holding: Holding, ids: Sequence[str]) -> None:
        self._found.seen[holding.version_id] = ids
        if holding.state in _RECORDED and (holding.state != "verified" or tuple(ids) != holding.items):
            self._found.news.append(holding.version_id)
        self._taken.update(ids)

    async def _pieces(self, left: list[Holding]) -> list[Holding]:
        still: list[Holding] = []
        for start in range(0, len(left), 200):
            part = left[start : start + 200]
            texts = await self._ledger.sending.contents([holding.version_id for holding in part])
            for holding in part:
                text = normal(texts.get(holding.version_id, ""))
                pieces = in_pieces(text, self._reading.loose, taken=self._taken) if text else None
                if pieces is None:
                    still.append(holding)
                    continue
                self._take(holding, pieces.items)
                self._found.surplus += pieces.surplus
                self._taken.update(pieces.surplus)
        return still

    def _by_source(self, left: list[Holding]) -> list[Holding]:
        """Where no text comes back as it was sent, a page is the item whose first line names it."""
        if self._found.seen or not left:
            return left
        known = {item for holding in self._holdings for item in holding.items}
        named = self._reading.by_source()
        still: list[Holding] = []
        for holding in left:
            items = [item for item in named.get(holding.uri, ()) if item.id not in self._taken | known]
            if holding.state in {"sent", "delivered"} and not holding.items and items:
                self._take(holding, (min((item.id for item in items), key=id_order),))
            else:
                still.append(holding)
        return still

    def _judge(self, left: list[Holding]) -> None:
        if not left:
            return
        there = self._reading.loose_ids() | {item for ids in self._reading.copies.values() for item in ids}
        updating = {holding.page_id for holding in self._holdings if holding.state == "updating"}
        for holding in left:
            if holding.state not in {"delivered", "verified"} or holding.page_id in updating:
                continue
            remains = [item for item in holding.items if item in there and item not in self._taken]
            if holding.state == "verified" and holding.items and len(remains) == len(holding.items):
                self._found.changed.append(holding)
                continue
            self._found.missing.append(holding)
            if len(holding.items) > 1:
                self._found.surplus += remains  # what is left of a page in pieces that somebody tore
                self._taken.update(remains)
