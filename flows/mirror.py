"""A run as another process sees it: what its conductor does goes out as messages, and is a run to follow over there."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from connectors.pipeline.progress import Progress
from flows.facts import Facts
from flows.messages import LOGGERS, NO_WORD, show, snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from flows.conductor import Conductor, Step, StepKind

    Send = Callable[[Mapping[str, Any]], None]

COUNTS_EVERY_S = 2.0
MOST_LOG_LINES = 5_000


def about(conductor: Conductor) -> dict[str, Any]:
    """Return what there is to know of a run before it has done anything."""
    run = conductor.run
    return {"name": run.name, "kind": run.kind, "where": run.where, "resumed": run.resumed}


async def retell(conductor: Conductor, send: Send) -> None:
    """Send all that a run does, from its first step to its summary, and what it logs meanwhile."""
    work = conductor.start()
    telling: list[asyncio.Task[None]] = []
    with _logs_sent(send):
        counting = asyncio.create_task(_count(conductor.run.progress, send))
        try:
            async for step in conductor.seen():
                send({"begun": len(telling), "kind": step.kind, "name": step.name})
                telling.append(asyncio.create_task(_ended(len(telling), step, send)))
            await asyncio.wait({work, *telling})
        finally:
            counting.cancel()
    send({"progress": snapshot(conductor.run.progress)})
    if work.cancelled() or work.exception():
        send({"broken": NO_WORD if work.cancelled() else f"{type(work.exception()).__name__}: {work.exception()}"})
    else:
        send({"summary": work.result(), "facts": asdict(conductor.facts), "prompts": conductor.prompts})


async def _ended(number: int, step: Step, send: Send) -> None:
    try:
        good, words = await step.told()
    except asyncio.CancelledError:
        good, words = False, "Cut off; the next run of this source takes it up."
    send({"ended": number, "good": good, "words": words})


async def _count(progress: Progress, send: Send) -> None:
    last: dict[str, Any] = {}
    while True:
        now = snapshot(progress)
        if now != last:
            send({"progress": now})
            last = now
        await asyncio.sleep(COUNTS_EVERY_S)


@contextmanager
def _logs_sent(send: Send) -> Iterator[None]:
    handler = _Sender(send, asyncio.get_running_loop())
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(handler)


class _Sender(logging.Handler):
    """Sends what is logged, from whatever thread."""

    def __init__(self, send: Send, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.INFO)
        self._send = send
        self._loop = loop
        self._left = MOST_LOG_LINES

    def emit(self, record: logging.LogRecord) -> None:
        if self._left <= 0:
            return
        self._left -= 1
        words = record.getMessage() if self._left else f"More than {MOST_LOG_LINES} lines: the rest is not kept here."
        line = {"log": record.name, "level": record.levelno, "words": words, "at": record.created}
        self._loop.call_soon_threadsafe(self._send, line)


class MirroredStep:
    """A step that another process carries out. No dataclass, as `conductor.Step` is none."""

    def __init__(self, kind: StepKind, name: str) -> None:
        self.kind = kind
        self.name = name
        self.ending: asyncio.Future[tuple[bool, str]] = asyncio.get_running_loop().create_future()

    async def told(self) -> tuple[bool, str]:
        """Return whether it went well, and a sentence about what came of it."""
        return await asyncio.shield(self.ending)


@dataclass(slots=True, kw_only=True)
class MirroredRun:
    """What is shown of a run that another process carries out."""

    name: str
    kind: str
    where: str
    resumed: bool
    progress: Progress = field(default_factory=Progress)


class Mirror:
    """Stands for the conductor of a run in another process: what `stages.story` tells of, as the messages come."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        self.run = MirroredRun(**run)
        self.facts = Facts()
        self.prompts: list[str] = []
        self.summary: dict[str, Any] | None = None
        self._inbox: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self._steps: list[MirroredStep] = []
        self._news = asyncio.Event()
        self._work: asyncio.Task[dict[str, Any]] | None = None

    @property
    def steps(self) -> int:
        """How many steps were told of."""
        return len(self._steps)

    def hear(self, message: Mapping[str, Any]) -> None:
        """Take one message of `retell`."""
        self._inbox.put_nowait(message)

    def start(self) -> asyncio.Task[dict[str, Any]]:
        """Listen, in the context (so with the logs) of the flow that asks; the task's result is the run's summary."""
        if self._work is None:
            self._work = asyncio.create_task(self._listen(), name=f"run {self.run.name}")
        return self._work

    async def stop(self, *, within_s: float) -> None:
        """Listen no more; what carries the run out is not ours to stop."""
        work = self.start()
        work.cancel()
        await asyncio.wait({work}, timeout=within_s)

    async def follow(self) -> AsyncIterator[MirroredStep]:
        """Yield every step from the first on, as they come."""
        work, told = self.start(), 0
        while True:
            self._news.clear()
            while told < len(self._steps):
                told += 1
                yield self._steps[told - 1]
            if work.done() or self.summary is not None:
                return
            await self._news.wait()

    async def _listen(self) -> dict[str, Any]:
        try:
            while self.summary is None:
                self._take(await self._inbox.get())
        finally:
            for step in self._steps:
                if not step.ending.done():
                    step.ending.set_result((False, NO_WORD))
            asyncio.get_running_loop().call_soon(self._news.set)  # once this task is done, which its followers ask
        return self.summary

    def _take(self, message: Mapping[str, Any]) -> None:
        match message:
            case {"begun": _, "kind": kind, "name": name}:
                self._steps.append(MirroredStep(kind, name))
                self._news.set()
            case {"ended": number, "good": good, "words": words}:
                self._steps[number].ending.set_result((good, words))
            case {"progress": counted}:
                show(self.run.progress, counted)
            case {"log": name, "level": level, "words": words, "at": at}:
                record = logging.LogRecord(name, level, "", 0, words, None, None)
                record.created = at
                logging.getLogger(name).handle(record)
            case {"summary": summary, "facts": facts, "prompts": prompts}:
                self.facts, self.prompts, self.summary = Facts(**facts), prompts, summary
            case {"broken": why}:
                raise RuntimeError(why)
