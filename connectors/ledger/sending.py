"""The delivering half of the ledger: each verb is one durable call."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from connectors.ledger import holdings, lease, outbox, vanishing

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

    from connectors.ledger.values import BatchHead, BatchWork, Holding, Removal, Run, Update
    from connectors.ledger.writer import Writer

T = TypeVar("T")
_CHUNK = 2000
_UPDATES = 100
NO_MARKS: Mapping[int, bytes] = MappingProxyType({})


class Sending:
    """What is due to be sent, and what the knowledge base should hold. `Ledger.sending` is the one instance."""

    def __init__(self, writer: Writer, now: Callable[[], int]) -> None:
        self._writer = writer
        self._now = now
        self._cut_to: dict[int, int] = {}  # what stayed out of a batch for good is not looked at for each one

    # -- batches ------------------------------------------------------------------------------------------------------

    async def cut(
        self, run: Run, *, most: int, max_bytes: int, method: str, final: bool, short: bool = False
    ) -> list[BatchHead]:
        """Put pending versions into batches.

        Args:
            final: nothing more will come; everything is looked at, also what had to stay out before.
            short: a batch need not be full.
        """
        function = partial(
            outbox.cut,
            run=run,
            behind=0 if final else self._cut_to.get(run.id, 0),
            most=most,
            max_bytes=max_bytes,
            method=method,
            short=final or short,
            now=self._now(),
        )
        heads, self._cut_to[run.id] = await self._write(run, function)
        return heads

    async def waiting_bytes(self, run: Run) -> int:
        """Return how many bytes of text wait in the outbox."""
        return await self._writer.call(partial(outbox.waiting_bytes, run=run))

    async def adopt(self, run: Run) -> list[BatchHead]:
        """Make the open batches of earlier runs this run's own; every open batch with something to do."""
        return await self._write(run, partial(outbox.adopt, run=run))

    async def promote_duplicates(self, run: Run) -> int:
        """Make duplicates due whose twin has another text now or is gone; how many."""
        return await self._write(run, partial(outbox.promote_duplicates, run=run))

    async def load(self, batch: int) -> BatchWork:
        """Return a batch with what is still to be sent and what may have arrived."""
        return await self._writer.call(partial(outbox.load, batch=batch))

    async def mark_sent(self, run: Run, batch: int, hashes: Mapping[int, bytes]) -> set[int]:
        """Record the intent to send; on the disk before this returns.

        Returns:
            The versions that may leave now: one that a newer text overtook may not.
        """
        tick = lease.tick_ms()
        boot = lease.this_boot()
        function = partial(outbox.mark_sent, batch=batch, hashes=hashes, boot=boot, tick=tick, now=self._now())
        return await self._write(run, function, synced=True)

    async def mark_delivered(self, run: Run, batch: int) -> None:
        """Record the documented success of the last call."""
        tick = lease.tick_ms()
        boot = lease.this_boot()
        function = partial(outbox.mark_delivered, run=run, batch=batch, boot=boot, tick=tick, now=self._now())
        await self._write(run, function)

    async def mark_not_applied(self, run: Run, batch: int, *, detail: str, burned: bool = True) -> None:
        """Record that the last call surely had no effect; ``burned`` counts it as an attempt."""
        await self._write(run, partial(outbox.mark_not_applied, batch=batch, detail=detail, burned=burned))

    async def note(self, run: Run, batch: int, detail: str) -> None:
        """Keep what the last call answered."""
        await self._write(run, partial(outbox.note, batch=batch, detail=detail))

    async def settle(self, run: Run, batch: int, found: Collection[int]) -> int:
        """Record what reading back showed of an unknown batch; how many pages had arrived."""
        tick = lease.tick_ms()
        boot = lease.this_boot()
        function = partial(outbox.settle, run=run, batch=batch, found=found, boot=boot, tick=tick, now=self._now())
        return await self._write(run, function)

    async def split(self, run: Run, batch: int, *, detail: str) -> list[BatchHead]:
        """Divide what a batch still has to send between two new ones."""
        return await self._write(run, partial(outbox.split, run=run, batch=batch, detail=detail, now=self._now()))

    async def quarantine(self, run: Run, batch: int, *, reason: str) -> None:
        """Set the one page of a batch aside, with the server's words."""
        await self._write(run, partial(outbox.quarantine, batch=batch, reason=reason, now=self._now()))

    async def fail(self, run: Run, batch: int, *, detail: str) -> None:
        """Give a batch up for this run."""
        await self._write(run, partial(outbox.fail, batch=batch, detail=detail, now=self._now()))

    # -- what the knowledge base should hold --------------------------------------------------------------------------

    async def expected(self, run: Run, states: Collection[str]) -> AsyncIterator[Holding]:
        """Yield the versions in some states, without their details."""
        after = 0
        function = partial(holdings.expected, run=run, states=states, most=_CHUNK)
        while chunk := await self._writer.call(partial(function, after_id=after)):
            for holding in chunk:
                yield holding
            after = chunk[-1].version_id

    async def detailed(self, found: Sequence[Holding]) -> list[Holding]:
        """Return these versions with their details."""
        return await self._writer.call(partial(holdings.detailed, found=found))

    async def marks_elsewhere(self, run: Run) -> dict[bytes, tuple[str, bytes]]:
        """Return by which bytes the items of other sources in the same knowledge base are known: their ids and keys."""
        return await self._writer.call(partial(holdings.marks_elsewhere, run=run))

    async def claimed_elsewhere(self, run: Run) -> tuple[Counter[bytes], set[str]]:
        """Return what other sources hold in the same knowledge base: how often which text, and which items."""
        return await self._writer.call(partial(holdings.claimed_elsewhere, run=run))

    async def ghosts(self, run: Run) -> set[bytes]:
        """Return the texts that we once delivered and that should be gone."""
        return await self._writer.call(partial(holdings.ghosts, run=run))

    async def contents(self, versions: Sequence[int]) -> dict[int, str]:
        """Return the delivered texts of versions."""
        return await self._writer.call(partial(holdings.contents, chosen=versions))

    async def confirm(self, run: Run, seen: Mapping[int, Sequence[str]], marks: Mapping[int, bytes] = NO_MARKS) -> None:
        """Record versions that were seen exactly once, the items they are, and the marks of those that are one item."""
        await self._write(run, partial(holdings.confirm, run=run, seen=seen, marks=marks))

    async def remember(self, run: Run, seen: Mapping[int, Sequence[str]], marks: Mapping[int, bytes]) -> None:
        """Record which items versions are, and by which marks they are known again."""
        await self._write(run, partial(holdings.remember, run=run, seen=seen, marks=marks))

    async def lose(self, run: Run, versions: Sequence[int]) -> None:
        """Record that delivered versions are not there: they are due again."""
        await self._write(run, partial(holdings.lose, chosen=versions))

    async def revive(self, run: Run, versions: Sequence[int]) -> None:
        """Take out of quarantine what proved to have arrived after all."""
        await self._write(run, partial(holdings.revive, chosen=versions))

    async def coverage(self, run: Run) -> dict[str, int]:
        """Count the newest versions of live pages by state."""
        return await self._writer.call(partial(holdings.coverage, run=run))

    async def probed(self, destination: str) -> float | None:
        """Return the settling time that a probe of this knowledge base taught us."""
        return await self._writer.call(partial(holdings.probed, destination=destination))

    async def keep_probe(self, destination: str, *, returned: str, visible_s: float, largest_batch: int | None) -> None:
        """Keep what a probe taught us."""
        now = self._now()
        told = {"returned": returned, "visible_s": visible_s, "largest_batch": largest_batch, "at": now}
        await self._writer.call(partial(holdings.keep_probe, destination=destination, told=told))

    # -- changes ------------------------------------------------------------------------------------------------------

    async def updates(self, run: Run) -> AsyncIterator[Update]:
        """Yield the versions that replace another in place."""
        after = 0
        function = partial(holdings.updates, run=run, most=_UPDATES)
        while chunk := await self._writer.call(partial(function, after_id=after)):
            for change in chunk:
                yield change
            after = chunk[-1].page.version_id

    async def waiting_for_proof(self, run: Run) -> int:
        """Count changed or vanished pages whose delivered version has no known item yet."""
        return await self._writer.call(partial(holdings.waiting_for_proof, run=run))

    async def sizes_of_updates(self, run: Run) -> tuple[int, int]:
        """Return how many due updates halve a page's text, and how many live pages there are."""
        return await self._writer.call(partial(holdings.sizes_of_updates, run=run))

    async def intend_update(self, run: Run, version: int, key: bytes) -> None:
        """Record that an item is about to get this version's text; on the disk before this returns."""
        await self._write(run, partial(holdings.intend_update, version=version, key=key), synced=True)

    async def updated(self, run: Run, change: Update) -> None:
        """Record that an item has the new text."""
        tick = lease.tick_ms()
        await self._write(run, partial(holdings.updated, run=run, change=change, boot=lease.this_boot(), tick=tick))

    async def update_lost_its_item(self, run: Run, change: Update) -> None:
        """Record that the item to update is gone: the new version is due as a page of its own."""
        await self._write(run, partial(holdings.update_lost_its_item, run=run, change=change))

    async def refuse_update(self, run: Run, version: int, *, reason: str) -> None:
        """Set an update aside that the API refuses."""
        await self._write(run, partial(holdings.refuse_update, version=version, reason=reason))

    async def removals(self, run: Run) -> list[Removal]:
        """Return the versions that are to leave the knowledge base."""
        return await self._writer.call(partial(holdings.removals, run=run))

    async def intend_removal(self, run: Run, version: int) -> None:
        """Record that a version's items are about to be deleted; on the disk before this returns."""
        await self._write(run, partial(holdings.intend_removal, version=version), synced=True)

    async def removed(self, run: Run, removal: Removal) -> None:
        """Record that a version's items are gone."""
        await self._write(run, partial(holdings.removed, run=run, removal=removal))

    async def count_evidence(self, run: Run, *, complete: bool) -> None:
        """Weigh what this run saw of the pages that it did not find; once for each run."""
        await self._write(run, partial(vanishing.count_evidence, run=run, complete=complete))

    async def candidates(self, run: Run) -> list[tuple[int, str, str]]:
        """Return the pages that would leave: id, address and why (gone, absent, duplicate)."""
        return await self._writer.call(partial(vanishing.candidates, run=run))

    async def bury(self, run: Run, pages: Collection[int]) -> None:
        """Mark pages as gone: their versions in the knowledge base are to be deleted."""
        await self._write(run, partial(vanishing.bury, run=run, chosen=pages))

    async def pardon(self, run: Run) -> int:
        """Forget the evidence against the pages that would leave; how many they are."""
        return await self._write(run, partial(vanishing.pardon, run=run))

    async def _write(self, run: Run, function: partial[T], *, synced: bool = False) -> T:
        return await self._writer.write(function, source=run.source_id, synced=synced)
