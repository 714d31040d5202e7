"""Cleaning on other machines: chunks of resources go out, pages come back, and nothing that is lost there is lost here.

What carries a chunk is a `Cluster` (Dask or Ray, see `flows.cleaners`). It does a chunk again by itself when the
worker that had it is gone, and gives up on one whose workers are gone several times over. Then it is for us to say
which page it was: each is tried once more, alone in the whole cluster, so that no neighbour can be to blame.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from connectors.errors import FatalError
from connectors.extractors import chunk, wire
from connectors.models import Extracted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from connectors.extractors.chunk import Frame
    from connectors.models import CleaningRules, Resource

CHUNK = 32
CHUNK_BYTES = 4 * 1024**2
LINGER_S = 0.05  # how long an item waits for others to travel with
CHUNKS_AT_ONCE = 64
LOOK_S = 5.0
PATIENCE_S = 120.0
CONNECT_S = 180.0  # what connects is imported within it, too


class WorkersLostError(Exception):
    """Every worker that was given a chunk was gone before it had cleaned it."""


class Cluster(Protocol):
    """What carries chunks to other machines. Its methods block; `clean` is called by many threads at once."""

    def open(self) -> None:
        """Connect; called once, before everything else."""

    def slots(self) -> int:
        """Return how many chunks it can have in work at once now: 0 when no worker is there."""
        ...

    def clean(self, frames: Sequence[Frame], version: str) -> list[bytes]:
        """Return what `chunk.clean_chunk` gives on some worker.

        Raises:
            WorkersLostError: every worker that tried was gone before it had an answer.
            FatalError: nobody can; the sentence says why.
        """
        ...

    def close(self) -> None:
        """Let go of it; `clean` is not called any more."""


@dataclass(slots=True, eq=False)
class _Job:
    head: bytes
    body: bytes
    since: float
    done: asyncio.Future[Extracted]


@dataclass(slots=True, kw_only=True)
class Elsewhere:
    """Cleans as `pool.CleanerPool` does, on the workers of a cluster; use it within one event loop.

    Attributes:
        connect_s: how long connecting may take; something else than a cluster may take the call and say nothing.
        patience_s: how long the cluster may be without any worker before the run is stopped, resumably.
        at_once: how many items are worth having in work.
    """

    cluster: Cluster
    chunk: int = CHUNK
    linger_s: float = LINGER_S
    look_s: float = LOOK_S
    connect_s: float = CONNECT_S
    patience_s: float = PATIENCE_S
    at_once: int = 16 * CHUNK
    sent: int = 0
    """How many chunks went out."""
    _slots: int = 0
    _waiting: deque[_Job] = field(default_factory=deque)
    _suspects: deque[_Job] = field(default_factory=deque)
    _out: dict[asyncio.Task[None], list[_Job]] = field(default_factory=dict)
    _alone: bool = False
    _failure: FatalError | None = None
    _watching: asyncio.Task[None] | None = None
    _connected: bool = False
    _clock: asyncio.TimerHandle | None = None
    _closed: bool = False

    async def clean(self, resource: Resource, rules: CleaningRules) -> Extracted:
        """Return what cleaning ``resource`` gives.

        Raises:
            FatalError: the cluster cannot be reached, or cannot clean.
        """
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise RuntimeError("the cleaners are closed")
        self.warm()
        job = _Job(*wire.request(resource, rules), time.monotonic(), asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._feed()
        return await job.done

    def warm(self) -> None:
        """Connect to the cluster now, so that it overlaps with the first fetch."""
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._watched())

    async def close(self) -> None:
        """Let go of the cluster; what is in work there is forgotten."""
        self._closed = True
        self._set_clock(None)
        tasks = [task for task in (self._watching, *self._out) if task is not None]
        for job in self._jobs():
            job.done.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connected:
            self._connected = False
            await _beside(self.cluster.close)

    async def _watched(self) -> None:
        """Connect, then keep an eye on how many workers there are."""
        try:
            await asyncio.wait_for(_beside(self.cluster.open), self.connect_s)
            self._connected = True
            seen = time.monotonic()
            while self._failure is None:
                self._slots = min(CHUNKS_AT_ONCE, await _beside(self.cluster.slots))
                seen = time.monotonic() if self._slots else seen
                if time.monotonic() - seen > self.patience_s:
                    raise FatalError(  # noqa: TRY301 - it ends as what the cluster itself raises
                        f"No worker has been in the cluster for {self.patience_s:g} seconds. Start workers, then run "
                        "the same command again; it goes on where this one stopped."
                    )
                self._feed()
                await asyncio.sleep(self.look_s if self._slots else min(1.0, self.look_s))
        except TimeoutError:
            self._fail(
                FatalError(f"The cluster did not answer for {self.connect_s:g} seconds. Is it one of this kind?")
            )
        except Exception as error:  # noqa: BLE001 - whoever waits for a page hears of it
            self._fail(error)

    def _jobs(self) -> list[_Job]:
        return [*self._waiting, *self._suspects, *(job for jobs in self._out.values() for job in jobs)]

    def _feed(self) -> None:
        """Send what is ripe: a full chunk, or what has waited long enough; suspects go alone."""
        if self._closed or self._failure is not None or not self._slots or self._alone:
            return
        if self._suspects:
            if not self._out:
                self._alone = True
                self._send([self._suspects.popleft()])
            return  # one at a time, so that what becomes of it is its own doing
        while self._waiting and len(self._out) < self._slots:
            wait_s = self._unripe_s()
            if wait_s > 0:
                self._set_clock(wait_s)
                return
            self._send(self._next_chunk())

    def _unripe_s(self) -> float:
        """Return how long to wait for more company before the next chunk goes out."""
        if len(self._waiting) >= self.chunk:
            return 0
        return self._waiting[0].since + self.linger_s - time.monotonic()

    def _next_chunk(self) -> list[_Job]:
        jobs: list[_Job] = []
        size = 0
        while self._waiting and len(jobs) < self.chunk and size < CHUNK_BYTES:
            job = self._waiting.popleft()
            if not job.done.done():  # whoever asked may have gone
                jobs.append(job)
                size += len(job.body)
        return jobs

    def _send(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        self.sent += 1
        task = asyncio.get_running_loop().create_task(self._carried(jobs, alone=self._alone))
        self._out[task] = jobs
        task.add_done_callback(self._back)

    def _back(self, task: asyncio.Task[None]) -> None:
        del self._out[task]
        self._alone = False
        self._feed()

    async def _carried(self, jobs: list[_Job], *, alone: bool) -> None:
        frames = [(job.head, job.body) for job in jobs]
        try:
            outs = _read(await _beside(self.cluster.clean, frames, chunk.own_version()), len(jobs))
        except (WorkersLostError, wire.WireError) as error:
            if alone:
                outs = [Extracted(problem="killed-crash", detail=_told(error))]
            else:
                self._suspects.extend(jobs)
                return
        except Exception as error:  # noqa: BLE001 - whoever waits for a page hears of it
            self._fail(error)
            return
        for job, out in zip(jobs, outs, strict=True):
            if not job.done.done():
                job.done.set_result(out)

    def _fail(self, error: Exception) -> None:
        """Let everybody who waits know that there is no cleaning any more."""
        if self._failure is None:
            gone = f"Cleaning elsewhere failed: {_one_line(error)}"
            self._failure = error if isinstance(error, FatalError) else FatalError(gone)
        for job in self._jobs():
            if not job.done.done():
                job.done.set_exception(self._failure)
        self._waiting.clear()
        self._suspects.clear()

    def _set_clock(self, seconds: float | None) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self._clock = None
        if seconds is not None:
            self._clock = asyncio.get_running_loop().call_later(seconds, self._feed)


async def _beside(work: Callable[..., Any], *args: Any) -> Any:
    """Carry out what blocks in a thread of its own, which nobody waits for when the program is over before."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(settled: Callable[[Any], None], value: Any) -> None:
        if not done.done():
            settled(value)

    def carry_out() -> None:
        try:
            settled, value = done.set_result, work(*args)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits the work
            settled, value = done.set_exception, error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, settled, value)

    threading.Thread(target=carry_out, name="cleaning elsewhere", daemon=True).start()
    return await done


def _read(answers: Sequence[bytes], count: int) -> list[Extracted]:
    if len(answers) != count:
        raise wire.WireError(f"{count} items were sent, {len(answers)} came back")
    return [wire.read_answer(answer[wire.LENGTHS.size :])[0] for answer in answers]


def _told(error: Exception) -> str:
    if isinstance(error, WorkersLostError):
        return "Every worker that cleaned it, with nothing else in work, was gone before it had a page."
    return f"What came back was no page: {_one_line(error)}"


def _one_line(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 300 else text[:299] + "…"  # noqa: PLR2004 - a sentence for a person
