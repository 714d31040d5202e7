"""The order of one run's stages, in plain asyncio: Prefect may come later, or not at all, and sees every step."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Literal

from connectors.errors import FatalError, IngestError, RetryableError, unexpected
from flows.facts import Facts, gather

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from connectors.pipeline.ingest_run import IngestRun

log = logging.getLogger(__name__)

BATCHES_IN_FLIGHT = 3
StepKind = Literal["collect", "deliver", "change", "verify", "prompts", "review"]


class Step:
    """One piece of a run that a person would name; it is carried out once, whoever begins it first.

    No dataclass on purpose: Prefect looks into the dataclasses that a task is given.
    """

    def __init__(self, kind: StepKind, name: str, work: Callable[[], Awaitable[Any]]) -> None:
        self.kind = kind
        self.name = name
        self._work = work
        self._task: asyncio.Task[Any] | None = None
        self._begun = asyncio.Event()

    def begin(self) -> asyncio.Task[Any]:
        """Carry it out in the context (so under the logger) of whoever begins it; a second call changes nothing."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._carry_out())
            self._begun.set()
        return self._task

    async def _carry_out(self) -> Any:
        return await self._work()

    async def outcome(self) -> Any:
        """Begin it if nobody has, and return what came of it; being cancelled here does not cancel the work."""
        return await asyncio.shield(self.begin())

    async def told(self) -> tuple[bool, str]:
        """Return whether it went well, and a sentence about what came of it."""
        try:
            outcome = await self.outcome()
        except Exception as error:  # noqa: BLE001 - the conductor decides what it means for the run; here it is told
            return False, str(error) or type(error).__name__
        return words_of(self.kind, outcome)

    async def begun_elsewhere(self) -> Any:
        """Wait until somebody begins it, and return what came of it."""
        await self._begun.wait()
        return await self.outcome()


def words_of(kind: StepKind, outcome: Any) -> tuple[bool, str]:
    """Say of a step's outcome whether it is good, and what it is: counts, never pages."""
    match kind:
        case "deliver":
            pages = "1 page" if outcome.pages == 1 else f"{outcome.pages} pages"
            calls = "1 call" if outcome.calls == 1 else f"{outcome.calls} calls"
            if outcome.state == "delivered":
                return True, f"{pages} delivered in {calls}."
            return False, f"{pages}: {outcome.state} after {calls}. {outcome.detail}".strip()
        case "verify":
            words = f"{outcome.verified} of {outcome.due} pages are in the knowledge base exactly once."
            return outcome.verified >= outcome.due, words
        case "prompts":
            return True, f"{len(outcome)} prompts were made."
        case "review":
            return True, f"{outcome} findings were submitted for review."
        case _:
            return True, "Done."


class Conductor:
    """Carries out a run: crawl and delivery side by side, then changes, verification, prompts, review.

    Unless a flow follows, steps begin at once; once it follows, its tasks begin them.
    """

    def __init__(self, run: IngestRun, *, in_flight: int = BATCHES_IN_FLIGHT) -> None:
        self.run = run
        self.steps: list[Step] = []
        self.problems: list[str] = []
        self.prompts: list[str] = []
        self.batches: list[dict[str, Any]] = []
        self.summary: dict[str, Any] | None = None
        self.facts = Facts()
        self._slots = asyncio.Semaphore(in_flight)
        self._delivering: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._followed = False
        self._over = False
        self._work: asyncio.Task[dict[str, Any]] | None = None

    def start(self) -> asyncio.Task[dict[str, Any]]:
        """Carry the run out in the background; the task's result is its summary."""
        if self._work is None:
            self._work = asyncio.create_task(self._carry_out(), name=f"run {self.run.name}")
        return self._work

    async def stop(self, *, within_s: float) -> None:
        """Stop at a safe point; what is not over in time is cut off, and recovered by the next run."""
        self.run.stop()
        work = self.start()
        await asyncio.wait({work}, timeout=within_s)
        if not work.done():
            work.cancel()
            await asyncio.wait({work}, timeout=1)

    async def seen(self) -> AsyncIterator[Step]:
        """Yield every step from the first on, as they come."""
        told = 0
        while True:
            self._news.clear()
            while told < len(self.steps):
                told += 1
                yield self.steps[told - 1]
            if self._over:
                return
            await self._news.wait()

    async def follow(self) -> AsyncIterator[Step]:
        """Yield every step from the first on, as they come; the caller begins each of them."""
        self._followed = True
        try:
            async for step in self.seen():
                yield step
        finally:
            self.unfollow()

    def unfollow(self) -> None:
        """Go on without the flow: what it did not begin begins now."""
        self._followed = False
        if not self._over:
            for step in self.steps:
                step.begin()

    async def _do(self, kind: StepKind, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        step = Step(kind, name, work)
        self.steps.append(step)
        self._news.set()
        return await (step.begun_elsewhere() if self._followed else step.outcome())

    async def _carry_out(self) -> dict[str, Any]:
        try:
            await self._stages()
            self.summary = await self._finish()
        finally:
            self._over = True
            self._news.set()
            for task in self._delivering:
                task.cancel()
            await self.run.close()
        return self.summary

    async def _stages(self) -> None:
        run = self.run
        collecting = asyncio.create_task(self._guarded("collect", f"crawl {run.name}", run.collect))
        async for head in run.batches():
            await self._slots.acquire()
            task = asyncio.create_task(self._deliver(head))
            self._delivering.add(task)
            task.add_done_callback(self._delivered)
        await collecting
        if self._delivering:
            await asyncio.wait(set(self._delivering))
        if run.failure is not None and not run.progress.done and not self.batches:
            return  # the source as a whole cannot be read: there is nothing to verify or to ask about
        if not run.stopping:
            await self._guarded("change", "update and remove", run.change)
        if not run.stopping:
            await self._guarded("verify", "verify", run.verify)
        if run.source.prompts and not run.stopping:
            self.prompts = await self._guarded("prompts", "prompts", run.prompts) or []
        if run.source.review and not run.stopping:
            await self._guarded("review", "review", run.review)

    async def _deliver(self, head: Any) -> None:
        pages = "1 page" if head.pages == 1 else f"{head.pages} pages"
        name = f"deliver batch {head.number} ({pages})"
        outcome = await self._guarded("deliver", name, lambda: self.run.deliver(head.id))
        row = {"batch": head.number, "pages": head.pages, "bytes": head.bytes}
        row |= (
            {"state": outcome.state, "calls": outcome.calls, "detail": outcome.detail}
            if outcome
            else {"state": "failed"}
        )
        self.batches.append(row)

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._delivering.discard(task)
        self._slots.release()

    async def _guarded(self, kind: StepKind, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Carry out one step; its error is kept and told, and only what can never work ends the run."""
        try:
            return await self._do(kind, name, work)
        except asyncio.CancelledError:
            raise
        except FatalError as error:
            self.run.failure = error
            self.problems.append(str(error))
            self.run.stop()
        except IngestError as error:
            if self.run.failure is None:
                self.run.failure = error if kind == "collect" else RetryableError(f"{name}: {error}")
            self.problems.append(str(self.run.failure))
        except Exception as error:
            log.exception("%s: %s", self.run.name, name)
            self._failed_unexpectedly(name, error)
        return None

    def _failed_unexpectedly(self, name: str, error: Exception) -> None:
        """Let a bug fail this run as any other fault does: what is known is delivered, and the next run goes on."""
        fault = IngestError(f"{name}: {unexpected(error)}")
        if self.run.failure is None:
            self.run.failure = fault
        self.problems.append(str(fault))

    async def _finish(self) -> dict[str, Any]:
        self.facts = await gather(self.run)
        try:
            summary = await self.run.finish()
        except FatalError as error:
            summary = {"name": self.run.name, "kind": self.run.kind, "run": self.run.id, "state": "stopped"}
            self.problems.append(str(error))
            with contextlib.suppress(IngestError):
                await self.run.close()
        except Exception as error:
            log.exception("%s: finish", self.run.name)
            summary = {"name": self.run.name, "kind": self.run.kind, "run": self.run.id, "state": "failed"}
            self._failed_unexpectedly("finish", error)
        summary["problems"] = list(dict.fromkeys([*summary.get("problems", ()), *self.problems]))
        return summary
