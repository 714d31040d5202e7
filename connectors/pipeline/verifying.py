"""The end of a run: everything is read back, and what is missing, double or changed is put right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connectors.pipeline.reconcile import Coverage, Findings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connectors.ledger import Ledger, Run
    from connectors.pipeline.changes import Changer
    from connectors.pipeline.reconcile import Reconciler
    from connectors.pipeline.timing import Timing

_ROUNDS: Final = 6


class Verifier:
    """Makes sure that every page of a source is in the knowledge base exactly once.

    Args:
        drain: sends what is due; ``again`` takes up what was given up before.
        more_to_send: says whether anything is due now.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        reconciler: Reconciler,
        changer: Changer,
        timing: Timing,
        drain: Callable[[Run, bool], Awaitable[None]],
        more_to_send: Callable[[Run], Awaitable[bool]],
    ) -> None:
        self._sending = ledger.sending
        self._reconciler = reconciler
        self._changer = changer
        self._timing = timing
        self._drain = drain
        self._more_to_send = more_to_send

    async def verify(self, run: Run, *, repair: bool) -> Coverage:
        """Read back, send again what is missing, delete surplus copies; ``repair`` also undoes what others changed."""
        swept = missing = left = 0
        found = Findings()
        for round_number in range(_ROUNDS):
            await self._drain(run, round_number == 0)
            found = await self._reconciler.compare(run)
            await self._reconciler.accept(run, found)
            done = await self._changer.sweep(found.surplus)
            swept, left = swept + done, len(found.surplus) - done
            if repair:
                await self._changer.restore(run, found.changed)
            await self._changer.remove(run)
            late, lost = await self._timing.by_age(run, found.missing)
            if lost:
                missing += len(lost)
                await self._sending.lose(run, [holding.version_id for holding in lost])
            if late:
                await self._timing.until_all_settled(run, late)
            if not late and not lost and not left and not await self._more_to_send(run):
                break
        states = await self._sending.coverage(run)
        # A page with a copy too many is not there exactly once.
        verified = max(0, states.get("verified", 0) - left)
        return _coverage(states, found, verified=verified, missing=missing, surplus=swept)

    async def look(self, run: Run) -> Coverage:
        """Read back and say what is there; change nothing."""
        found = await self._reconciler.compare(run)
        states = await self._sending.coverage(run)
        seen = len(found.in_state("delivered", "verified", "sent"))
        return _coverage(states, found, verified=seen, missing=len(found.missing), surplus=len(found.surplus))


def _coverage(states: dict[str, int], found: Findings, *, verified: int, missing: int, surplus: int) -> Coverage:
    return Coverage(
        due=sum(states.values()),
        verified=verified,
        missing=missing,
        surplus_deleted=surplus,
        foreign_changed=len(found.changed),
        quarantined=states.get("quarantined", 0),
        unknown=states.get("sent", 0) + states.get("updating", 0),
        changed=tuple(holding.uri for holding in found.changed),
    )
