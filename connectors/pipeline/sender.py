"""Sends one batch: attempts, settling what is unknown, dividing what is refused."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from connectors.errors import FatalError, IngestError, RetryableError
from connectors.ledger import faults, transitions
from connectors.pipeline.matching import key_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.ledger import Ledger, Run
    from connectors.ledger.values import BatchWork
    from connectors.models import Outgoing
    from connectors.persona.client import PersonaClient
    from connectors.pipeline.breaker import Breaker
    from connectors.pipeline.reconcile import Findings, Reconciler
    from connectors.pipeline.timing import Timing
    from connectors.settings import DeliveryOptions

log = logging.getLogger(__name__)

IN_FLIGHT: Final = 4
_REFUSALS_THAT_MEAN_ALL: Final = 20
_WAITS_OUT: Final = 2
_TOO_LARGE: Final = 413
_DOWN: Final = "The API seems to be down."

BatchState = Literal["delivered", "failed", "quarantined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """What became of a batch.

    Attributes:
        state: ``failed`` when something of it could not be delivered in this run; ``quarantined`` when all that
            could not was refused for good.
        calls: how many store or stream calls it took.
        detail: the server's last words where something went wrong.
    """

    state: BatchState
    pages: int
    calls: int
    detail: str = ""


@dataclass(slots=True)
class _Effort:
    """What was put into one batch so far: attempts, calls, calls without any answer, and answers of a broken API."""

    tries: int = 0
    calls: int = 0
    silences: int = 0
    faulted: int = 0


class Size:
    """How many pages a batch may have: fewer after calls that no answer came to, and slowly more again.

    Attributes:
        most: pages of the batches that are cut from now on.
        proven: the API took a batch of this run.
    """

    def __init__(self, most: int) -> None:
        self.most = self._largest = self._trusted = most
        self.proven = False
        self._good_in_a_row = 0

    def went_well(self) -> None:
        """A batch was delivered."""
        self.proven = True
        self._good_in_a_row += 1
        if self.most < self._largest and self._good_in_a_row >= IN_FLIGHT * 2:
            self.most = min(self._largest, self.most * 2)
            self._good_in_a_row = 0
        self._trusted = self.most

    def went_unclear(self) -> None:
        """A call had no clear answer."""
        self._good_in_a_row = 0

    def suspect(self, most: int) -> None:
        """Cut no larger batches than this for a while: no answer came to one."""
        self.most = max(1, min(self.most, most))

    def shrink(self, most: int) -> None:
        """Cut no larger batches than this for a while: the API says that one was too large."""
        self.suspect(most)
        self._trusted = self.most

    def acquit(self) -> None:
        """The API is down, whatever is sent: what was suspected since it last took a batch was not too large."""
        self.most = self._trusted


class Sender:
    """Sends single batches, each until it is delivered, refused or given up for this run.

    Args:
        size: learns from what is answered.
        given: the ids of the batches that were handed out; the parts of a divided one are among them at once.
    """

    def __init__(
        self,
        ledger: Ledger,
        persona: PersonaClient,
        options: DeliveryOptions,
        *,
        timing: Timing,
        breaker: Breaker,
        reconciler: Reconciler,
        size: Size,
        given: set[int],
    ) -> None:
        self._sending = ledger.sending
        self._persona = persona
        self._options = options
        self._timing = timing
        self._breaker = breaker
        self._reconciler = reconciler
        self._size = size
        self._given = given
        self._refused_alone = 0

    async def deliver(self, run: Run, batch_id: int) -> BatchOutcome:
        """Send one batch until it is delivered, refused or given up for this run.

        Raises:
            FatalError: the API refuses us, or the state cannot be written.
        """
        effort = _Effort()
        while True:
            work = await self._sending.load(batch_id)
            if work.sent:
                problem = await self._settle(run, work)
                if problem:
                    return await self._give_up(run, work, effort, problem)
                continue
            over = await self._over(run, work, effort) or await self._attempt(run, work, effort)
            if over is not None:
                return over

    async def _over(self, run: Run, work: BatchWork, effort: _Effort) -> BatchOutcome | None:
        """Say what became of the batch if nothing more is to be tried with it as a whole."""
        if not work.pending:
            return BatchOutcome(state="delivered", pages=work.pages, calls=effort.calls)
        if effort.silences >= _WAITS_OUT and len(work.pending) > 1 and not self._breaker.open:
            return await self._divide(run, work, effort, work.detail)
        if effort.tries >= self._options.attempts:
            if effort.faulted >= self._options.attempts and self._size.proven and len(work.pending) > 1:
                return await self._divide(run, work, effort, work.detail)  # one page of it may be what breaks the API
            return await self._give_up(run, work, effort, work.detail)
        return None

    async def _attempt(self, run: Run, work: BatchWork, effort: _Effort) -> BatchOutcome | None:
        """Make one call and record what its answer proves; None when the batch goes on."""
        async with self._breaker.turn() as admitted:
            if not admitted:
                why = work.detail if work.detail.startswith(_DOWN) else f"{_DOWN} {work.detail}".strip()
                return await self._give_up(run, work, effort, why)
            outage = self._breaker.open  # its patience ends this, not the attempts: no page is to blame
            effort.calls += 1
            effort.tries += not outage
            error = await self._send(run, work)
            means = transitions.meaning(error)
            if means in {"not applied", "unknown"}:
                self._breaker.unclear()
            else:
                self._breaker.answered()
            if outage:
                self._size.acquit()
        if error is None:
            self._size.went_well()
            await self._sending.mark_delivered(run, work.id)
            return None
        if means == "refused":
            return await self._refused(run, work, effort, error)
        if means == "stop":
            await self._sending.mark_not_applied(run, work.id, detail=str(error), burned=False)
            raise FatalError(str(error)) from error
        if means == "not applied":
            await self._sending.mark_not_applied(run, work.id, detail=str(error))
        else:
            await self._sending.note(run, work.id, str(error))
            if not self._breaker.open:
                self._learn_from_silence(error, effort, pages=len(work.pending))
        await self._timing.pause(effort.tries, getattr(error, "retry_after_s", None))
        return None

    async def _send(self, run: Run, work: BatchWork) -> IngestError | None:
        """Record the intent, make the call, and return what it answered; None is the documented success."""
        began = self._timing.tick()
        hashes = {page.version_id: key_in(page.content) for page in work.pending}
        allowed = await self._sending.mark_sent(run, work.id, hashes)
        pages = [page for page in work.pending if page.version_id in allowed]
        if not pages:
            return None
        faults.reach("call")
        await self._timing.fence(run, began)
        try:
            await self._call(work, pages)
        except IngestError as error:
            faults.reach("answer")
            return error
        faults.reach("answer")
        return None

    async def _call(self, work: BatchWork, pages: Sequence[Outgoing]) -> None:
        if work.method == "stream":
            await self._persona.stream_pages(work.stream_id, pages)
        else:
            await self._persona.store_pages(pages)

    async def _settle(self, run: Run, work: BatchWork) -> str:
        """Wait until a call that was not answered clearly can show no more, and read what arrived.

        Returns:
            Why that could not be found out; empty when it was.
        """
        await self._timing.until_settled(run, work.id, boot=work.sent_boot, tick_ms=work.sent_tick)
        try:
            found = await self._read_back(run)
        except RetryableError as error:
            return f"Whether it arrived is unknown: {error}"
        await self._sending.settle(run, work.id, set(found.seen))
        return ""

    async def _read_back(self, run: Run) -> Findings:
        """Read what arrived; while nothing answers, wait for it as long as for any call.

        Raises:
            RetryableError: it cannot be read.
        """
        try:
            return await self._reconciler.compare(run)
        except RetryableError as error:
            self._breaker.unclear(writing=False)
            problem = error
        for _ in range(2 * self._options.attempts):  # each of them while something seems to answer
            async with self._breaker.turn(writes=False) as admitted:
                if not admitted:
                    break
                try:
                    return await self._reconciler.compare(run)
                except RetryableError as error:
                    self._breaker.unclear(writing=False)
                    problem = error
        raise problem

    async def _refused(self, run: Run, work: BatchWork, effort: _Effort, error: IngestError) -> BatchOutcome:
        """Find out what of a refused batch was stored all the same, and divide the rest."""
        reason = str(error)
        if len(work.pending) == 1:
            self._refused_alone += 1
            await self._sending.quarantine(run, work.id, reason=reason)
            if self._refused_alone >= _REFUSALS_THAT_MEAN_ALL and not self._size.proven:
                raise FatalError(f"The API refuses every page. Its last words: {reason}")
            return BatchOutcome(state="quarantined", pages=work.pages, calls=effort.calls, detail=reason)
        if getattr(error, "status", None) == _TOO_LARGE:
            self._size.shrink(len(work.pending) // 2)
        try:
            found = await self._reconciler.compare(run)
        except RetryableError as problem:
            return await self._give_up(run, work, effort, f"{reason} Whether a part arrived is unknown: {problem}")
        await self._sending.settle(run, work.id, set(found.seen))
        return await self._divide(run, await self._sending.load(work.id), effort, reason)

    async def _divide(self, run: Run, work: BatchWork, effort: _Effort, reason: str) -> BatchOutcome:
        if not work.pending:
            return BatchOutcome(state="delivered", pages=work.pages, calls=effort.calls)
        heads = await self._sending.split(run, work.id, detail=reason)
        self._given.update(head.id for head in heads)
        parts = [await self.deliver(run, head.id) for head in heads]
        calls = effort.calls + sum(part.calls for part in parts)
        bad = [part for part in parts if part.state != "delivered"]
        if not bad:
            return BatchOutcome(state="delivered", pages=work.pages, calls=calls)
        state: BatchState = "failed" if any(part.state == "failed" for part in bad) else "quarantined"
        return BatchOutcome(state=state, pages=work.pages, calls=calls, detail=bad[-1].detail)

    async def _give_up(self, run: Run, work: BatchWork, effort: _Effort, detail: str) -> BatchOutcome:
        await self._sending.fail(run, work.id, detail=detail)
        log.warning("Batch %s was not delivered: %s", work.number, detail)
        return BatchOutcome(state="failed", pages=work.pages, calls=effort.calls, detail=detail)

    def _learn_from_silence(self, error: IngestError, effort: _Effort, *, pages: int) -> None:
        """Count a call that no answer came to: perhaps the batch is too big, so the next ones are smaller."""
        self._size.went_unclear()
        if getattr(error, "status", None) is None:
            effort.silences += 1
            if self._size.proven:
                self._size.suspect((pages + 1) // 2)
        else:
            effort.faulted += 1
