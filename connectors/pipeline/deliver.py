"""Delivers batches over an API without idempotency keys: no page lost, none twice, once everything is read back."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

from connectors.errors import FatalError, IngestError, RetryableError
from connectors.extractors.tidy import normal
from connectors.ledger import faults, transitions
from connectors.ledger.values import BatchHead
from connectors.pipeline.breaker import Breaker
from connectors.pipeline.changes import Approved, Changer, Changes
from connectors.pipeline.matching import key_of
from connectors.pipeline.reconcile import Coverage, Reconciler
from connectors.pipeline.timing import FIRST_PAUSE_S, Timing, since_boot
from connectors.pipeline.verifying import Verifier

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from connectors.ledger import Ledger, Run
    from connectors.ledger.values import BatchWork
    from connectors.models import Item, Outgoing
    from connectors.persona.client import PersonaClient
    from connectors.pipeline.reconcile import Findings
    from connectors.settings import DeliveryOptions

__all__ = ["BatchHead", "BatchOutcome", "Changes", "Coverage", "Delivery"]

log = logging.getLogger(__name__)

MOST_BYTES: Final = 900_000  # many a server takes no more than a megabyte
IN_FLIGHT: Final = 4
_PATIENCE_S: Final = 60.0
_REFUSALS_THAT_MEAN_ALL: Final = 20
_WAITS_OUT: Final = 2
_TOO_LARGE: Final = 413

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


class Delivery:
    """Sends what is due, finds out what arrived, and makes the knowledge base equal to the ledger.

    Args:
        options: how batches are cut, and how long and how often is tried.
        tick: seconds by the clock that counts since boot: what the settling time is measured by.
        first_pause_s: the base of the full jitter between two attempts.
    """

    def __init__(
        self,
        ledger: Ledger,
        persona: PersonaClient,
        options: DeliveryOptions,
        *,
        tick: Callable[[], float] = since_boot,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
        first_pause_s: float = FIRST_PAUSE_S,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._ledger = ledger
        self._sending = ledger.sending
        self._persona = persona
        self._options = options
        self._timing = Timing(ledger, options, tick=tick, sleep=sleep, rng=rng, first_pause_s=first_pause_s)
        self._most = options.batch_size
        self._good_in_a_row = 0
        self._ever_delivered = False
        self._refused_alone = 0
        self._given: set[int] = set()
        self._breaker = Breaker(
            patience_s=patience_s, answers=self._answers, first_pause_s=first_pause_s * 5, sleep=sleep, now=tick
        )
        self._reconciler = Reconciler(ledger, persona, pause=self._timing.pause)
        self._changer = Changer(
            ledger,
            persona,
            attempt=self._repeat,
            prove=self._reconciler.confirm,
            fence=self._timing.fence_from_now,
        )
        self._verifier = Verifier(
            ledger,
            reconciler=self._reconciler,
            changer=self._changer,
            timing=self._timing,
            drain=self._drain,
            more_to_send=self._more_to_send,
        )

    # -- batches ------------------------------------------------------------------------------------------------------

    async def cut(self, run: Run, *, final: bool, partial: bool = False) -> list[BatchHead]:
        """Cut what is pending into batches; the open ones of earlier runs come first. Each is returned once.

        Args:
            final: nothing more will come.
            partial: a batch need not be full.
        """
        if final:
            await self._sending.promote_duplicates(run)
        heads = [head for head in await self._sending.adopt(run) if head.id not in self._given] if final else []
        if not self._given and not final:
            heads = await self._sending.adopt(run)
        heads += await self._sending.cut(
            run,
            most=self._most,
            max_bytes=MOST_BYTES,
            method=self._options.delivery,
            final=final,
            short=partial,
        )
        self._given.update(head.id for head in heads)
        return heads

    async def waiting_bytes(self, run: Run) -> int:
        """Return how many bytes of text wait to be sent."""
        return await self._sending.waiting_bytes(run)

    def take_up_again(self) -> None:
        """Let the next cut return also what was given up; only while nothing is under way."""
        self._given.clear()

    async def due(self, run: Run) -> list[BatchHead]:
        """Return everything that is to be settled or sent, as batches."""
        self._given.clear()
        return await self.cut(run, final=True)

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
            if effort.faulted >= self._options.attempts and self._ever_delivered and len(work.pending) > 1:
                return await self._divide(run, work, effort, work.detail)  # one page of it may be what breaks the API
            return await self._give_up(run, work, effort, work.detail)
        return None

    async def _attempt(self, run: Run, work: BatchWork, effort: _Effort) -> BatchOutcome | None:
        """Make one call and record what its answer proves; None when the batch goes on."""
        async with self._breaker.turn() as admitted:
            if not admitted:
                return await self._give_up(run, work, effort, f"The API seems to be down. {work.detail}".strip())
            outage = self._breaker.open  # its patience ends this, not the attempts: no page is to blame
            effort.calls += 1
            effort.tries += not outage
            error = await self._send(run, work)
            means = transitions.meaning(error)
            if means in {"not applied", "unknown"}:
                self._breaker.unclear()
            else:
                self._breaker.answered()
        if error is None:
            self._went_well()
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
            if not outage:
                self._learn_from_silence(error, effort, pages=len(work.pending))
        await self._timing.pause(effort.tries, getattr(error, "retry_after_s", None))
        return None

    async def _send(self, run: Run, work: BatchWork) -> IngestError | None:
        """Record the intent, make the call, and return what it answered; None is the documented success."""
        began = self._timing.tick()
        hashes = {page.version_id: key_of(normal(page.content)) for page in work.pending}
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

    async def _answers(self) -> bool:
        """Say whether the API answers a reading, without reading it all."""
        try:
            async with aclosing(cast("AsyncGenerator[Item]", self._persona.training_data())) as items:
                await anext(items, None)
        except RetryableError:
            return False
        return True

    async def gave_up(self) -> bool:
        """Say whether the API has been away for so long that this run waits for it no more."""
        return await self._breaker.gave_up()

    async def _refused(self, run: Run, work: BatchWork, effort: _Effort, error: IngestError) -> BatchOutcome:
        """Find out what of a refused batch was stored all the same, and divide the rest."""
        reason = str(error)
        if len(work.pending) == 1:
            self._refused_alone += 1
            await self._sending.quarantine(run, work.id, reason=reason)
            if self._refused_alone >= _REFUSALS_THAT_MEAN_ALL and not self._ever_delivered:
                raise FatalError(f"The API refuses every page. Its last words: {reason}")
            return BatchOutcome(state="quarantined", pages=work.pages, calls=effort.calls, detail=reason)
        if getattr(error, "status", None) == _TOO_LARGE:
            self._most = max(1, min(self._most, len(work.pending) // 2))
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

    def _went_well(self) -> None:
        self._ever_delivered = True
        self._good_in_a_row += 1
        if self._most < self._options.batch_size and self._good_in_a_row >= IN_FLIGHT * 2:
            self._most = min(self._options.batch_size, self._most * 2)
            self._good_in_a_row = 0

    def _learn_from_silence(self, error: IngestError, effort: _Effort, *, pages: int) -> None:
        """Count a call that no answer came to: perhaps the batch is too big, so the next ones are smaller."""
        self._good_in_a_row = 0
        if getattr(error, "status", None) is None:
            effort.silences += 1
            if self._ever_delivered:
                self._most = max(1, min(self._most, (pages + 1) // 2))
        else:
            effort.faulted += 1

    # -- changes and verification -------------------------------------------------------------------------------------

    async def change(self, run: Run, *, complete: bool = False, approved: Approved = None) -> Changes:
        """Update changed pages in place and delete vanished ones, as far as the evidence and the guards allow.

        Args:
            complete: this run saw the whole source.
            approved: addresses that a person agreed to, of those that a guard held back; only these are touched.
        """
        return await self._changer.change(run, complete=complete, approved=approved)

    async def verify(self, run: Run, *, repair: bool | None = None) -> Coverage:
        """Read everything back; every page of the source should be there exactly once.

        Args:
            repair: None (the end of a run) sends again what is missing and deletes surplus copies; True also undoes
                what somebody changed in our items; False only looks.

        Raises:
            RetryableError: the training data cannot be read.
            FatalError: the API refuses us.
        """
        if repair is False:
            return await self._verifier.look(run)
        return await self._verifier.verify(run, repair=bool(repair))

    async def _drain(self, run: Run, again: bool) -> None:  # noqa: FBT001 - a callback's one question
        """Send what is due; ``again`` takes up what was given up before, now that a whole reading may be possible."""
        if again and not await self._breaker.gave_up():
            self._given.clear()
        slots = asyncio.Semaphore(IN_FLIGHT)

        async def one(head: BatchHead) -> None:
            async with slots:
                await self.deliver(run, head.id)

        tasks = [asyncio.create_task(one(head)) for head in await self.cut(run, final=True)]
        try:
            await asyncio.gather(*tasks)  # and no TaskGroup: callers expect our errors, not groups of them
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _more_to_send(self, run: Run) -> bool:
        heads = await self.cut(run, final=True)
        self._given.difference_update(head.id for head in heads)
        return bool(heads)

    async def _repeat(self, call: Callable[[], Awaitable[None]]) -> None:
        """Make a call that may be repeated, until it is answered.

        Raises:
            RetryableError: it was not, in all attempts.
            RefusedError: the API says no.
        """
        problem = RetryableError("No attempt was allowed.")
        for attempt in range(1, self._options.attempts + 1):
            async with self._breaker.turn() as admitted:
                if not admitted:
                    raise RetryableError("The API seems to be down.")
                try:
                    await call()
                except RetryableError as error:
                    self._breaker.unclear()
                    problem = error
                except IngestError:
                    self._breaker.answered()
                    raise
                else:
                    self._breaker.answered()
                    return
            if attempt < self._options.attempts:
                await self._timing.pause(attempt, problem.retry_after_s)
        raise problem
