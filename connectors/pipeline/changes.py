"""Changes what the knowledge base already holds; every call here may be repeated."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from connectors.errors import RefusedError, RetryableError
from connectors.ledger import evidence, faults
from connectors.pipeline.matching import key_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from connectors.ledger import Ledger, Run
    from connectors.ledger.values import Holding, Removal, Update
    from connectors.persona.client import PersonaClient

log = logging.getLogger(__name__)

_NOT_FOUND: Final = 404

Approved: TypeAlias = "Collection[str] | None"
"""The addresses that a person agreed to change or remove; None: nobody was asked, and the guards decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A page that a guard keeps in the knowledge base until a person agrees: its address and why it would go."""

    uri: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What was changed in place.

    Attributes:
        updated: pages that got a new text.
        deleted: pages that left.
        withheld: what waits for a person's approval; empty when no guard stopped anything.
        why: which guard did, in a sentence.
        failed: changes that the API did not carry out; the next run repeats them.
    """

    updated: int = 0
    deleted: int = 0
    withheld: tuple[Withheld, ...] = ()
    why: str = ""
    failed: int = 0


class Changer:
    """Carries out changes by id.

    Args:
        attempt: makes a call with its retries.
        prove: reads the training data once, so that delivered versions have known items.
        fence: starts a watch; what it returns makes sure, if much time has passed, that the source is still ours.
    """

    def __init__(
        self,
        ledger: Ledger,
        persona: PersonaClient,
        *,
        attempt: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
        prove: Callable[[Run], Awaitable[None]],
        fence: Callable[[Run], Callable[[], Awaitable[None]]],
    ) -> None:
        self._ledger = ledger
        self._sending = ledger.sending
        self._persona = persona
        self._attempt = attempt
        self._prove = prove
        self._fence = fence

    async def change(self, run: Run, *, complete: bool, approved: Approved) -> Changes:
        """Update changed pages and delete vanished ones, as far as evidence and guards allow."""
        if run.purpose in {"import", "sync"}:
            await self._sending.count_evidence(run, complete=complete)
        withheld, why = await self._bury(run, approved=approved)
        await self._sending.promote_duplicates(run)
        if await self._sending.waiting_for_proof(run):
            await self._prove(run)
        halved, pages = await self._sending.sizes_of_updates(run)
        updated = failed = 0
        if evidence.looks_like_a_redesign(halved, pages=pages) and approved is None:
            why = (
                f"{why} {halved} of {pages} pages would lose half of their text: perhaps the site was redesigned "
                "and the extraction broke."
            ).strip()
            withheld += [Withheld(uri=change.page.uri, reason="halved") async for change in self._sending.updates(run)]
        else:
            updated, failed = await self._update_all(run, approved)
        deleted, undeleted = await self._remove_all(run)
        return Changes(updated=updated, deleted=deleted, withheld=tuple(withheld), why=why, failed=failed + undeleted)

    async def remove(self, run: Run) -> int:
        """Delete what is marked to leave; how many pages did."""
        return (await self._remove_all(run))[0]

    async def sweep(self, surplus: Sequence[str]) -> int:
        """Delete surplus copies of ours; returns how many could be deleted."""
        swept = 0
        for item in surplus:
            faults.reach("sweep")
            try:
                await self._delete(item)
            except (RetryableError, RefusedError) as error:
                log.warning("The surplus copy %s was not deleted: %s", item, error)
            else:
                swept += 1
        return swept

    async def restore(self, run: Run, changed: Sequence[Holding]) -> None:
        """Give items that somebody changed our text again."""
        for holding in changed:
            if len(holding.items) == 1:
                texts = await self._ledger.sending.contents([holding.version_id])
                await self._put(holding.items[0], texts[holding.version_id])
                log.info("Restored %s, which somebody had changed, for run %s.", holding.uri, run.id)

    async def _bury(self, run: Run, *, approved: Approved) -> tuple[list[Withheld], str]:
        candidates = await self._sending.candidates(run)
        _, pages = await self._sending.sizes_of_updates(run)
        leaving = sum(reason != "duplicate" for _, _, reason in candidates)
        if approved is not None:
            candidates = [found for found in candidates if found[1] in approved]
        elif evidence.too_many_deletions(len(candidates), pages=pages) or evidence.empties(leaving, pages=pages):
            why = f"{len(candidates)} of {pages} pages would be deleted at once: a person should agree first."
            return [Withheld(uri=uri, reason=reason) for _, uri, reason in candidates], why
        await self._sending.bury(run, [page for page, _, _ in candidates])
        return [], ""

    async def _update_all(self, run: Run, approved: Approved) -> tuple[int, int]:
        updated = failed = 0
        async for change in self._sending.updates(run):
            if approved is not None and change.page.uri not in approved:
                continue
            try:
                updated += await self._update(run, change)
            except RetryableError as error:
                failed += 1
                log.warning("%s was not updated: %s", change.page.uri, error)
        return updated, failed

    async def _update(self, run: Run, change: Update) -> int:
        still_ours = self._fence(run)
        await self._sending.intend_update(run, change.page.version_id, key_in(change.page.content))
        faults.reach("put")
        await still_ours()
        try:
            await self._put(change.item_id, change.page.content)
        except RefusedError as error:
            if error.status == _NOT_FOUND:
                await self._sending.update_lost_its_item(run, change)
            else:
                await self._sending.refuse_update(run, change.page.version_id, reason=str(error))
            return 0
        faults.reach("put answer")
        await self._sending.updated(run, change)
        return 1

    async def _remove_all(self, run: Run) -> tuple[int, int]:
        deleted = failed = 0
        for removal in await self._sending.removals(run):
            try:
                await self._remove(run, removal)
            except (RetryableError, RefusedError) as error:
                failed += 1
                log.warning("%s was not deleted: %s", removal.uri, error)
            else:
                deleted += removal.reason != "replaced"
        return deleted, failed

    async def _remove(self, run: Run, removal: Removal) -> None:
        still_ours = self._fence(run)
        await self._sending.intend_removal(run, removal.version_id)
        for item in removal.items:
            faults.reach("delete")
            await still_ours()
            await self._delete(item)
        await self._sending.removed(run, removal)

    async def _put(self, item: str, content: str) -> None:
        await self._attempt(lambda: self._persona.update_training_data(item, content))

    async def _delete(self, item: str) -> None:
        try:
            await self._attempt(lambda: self._persona.delete_training_data(item))
        except RefusedError as error:
            if error.status != _NOT_FOUND:
                raise
