"""Delivers batches over an API without idempotency keys: no page lost, none twice, once everything is read back."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, cast

from connectors.errors import IngestError, RetryableError
from connectors.ledger.values import BatchHead
from connectors.pipeline.breaker import Breaker
from connectors.pipeline.changes import Approved, Changer, Changes
from connectors.pipeline.reconcile import Coverage, Reconciler
from connectors.pipeline.sender import IN_FLIGHT, BatchOutcome, Sender, Size
from connectors.pipeline.timing import FIRST_PAUSE_S, Timing, since_boot
from connectors.pipeline.verifying import Verifier

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from connectors.ledger import Ledger, Run
    from connectors.models import Item
    from connectors.persona.client import PersonaClient
    from connectors.settings import DeliveryOptions

__all__ = ["BatchHead", "BatchOutcome", "Changes", "Coverage", "Delivery"]

MOST_BYTES: Final = 900_000  # many a server takes no more than a megabyte
_PATIENCE_S: Final = 60.0


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
        self._size = Size(options.batch_size)
        self._given: set[int] = set()
        self._breaker = Breaker(
            patience_s=patience_s, answers=self._answers, first_pause_s=first_pause_s * 5, sleep=sleep, now=tick
        )
        self._reconciler = Reconciler(ledger, persona, pause=self._timing.pause)
        self._sender = Sender(
            ledger,
            persona,
            options,
            timing=self._timing,
            breaker=self._breaker,
            reconciler=self._reconciler,
            size=self._size,
            given=self._given,
        )
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
        if self._breaker.open:
            self._size.acquit()
        heads += await self._sending.cut(
            run,
            most=self._size.most,
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
        return await self._sender.deliver(run, batch_id)

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
