"""The cleaning processes: warm, fed without waiting, killed when an item takes too much, and replaced."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from connectors.errors import FatalError
from connectors.extractors import wire
from connectors.media_types import HTML
from connectors.models import Extracted

if TYPE_CHECKING:
    from typing import BinaryIO

    from connectors.models import CleaningRules, Resource

MAX_MEMORY = 1024**3
WALL_S = 60.0
START_S = 120.0
DEPTH = 2  # one item in work and the next one waiting in the socket, so that a child never waits for our event loop
FAILED_STARTS = 3
_HEAVY = 512 * 1024
_ROOT = Path(__file__).resolve().parents[2]
_PASSED_ON = frozenset(
    {
        "PATH",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "SYSTEMROOT",
        "PYTHONPYCACHEPREFIX",
    }
)
_MEMORY_WORDS = (b"memory allocation of", b"MemoryError", b"bad_alloc", b"out of memory", b"Cannot allocate memory")


def processors() -> int:
    """Return how many processors this process may use."""
    with contextlib.suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(slots=True, eq=False)
class _Job:
    head: bytes
    body: bytes
    heavy: bool  # nothing waits behind it
    done: asyncio.Future[Extracted]
    tries: int = 0


class CleanerPool:
    """Processes that turn resources into pages; use it within one event loop.

    They start when there is work for them, one at a time, and stay. An item that is killed is answered by an
    `Extracted` with the problem ``killed-memory``, ``killed-time`` or ``killed-crash``; the other items do not notice.

    Args:
        workers: the most processes.
        max_memory: bytes that parsing may take in one process, beyond its libraries.
        wall_s: seconds that one item may take; a large one more (`wire.allowed_s`).
    """

    def __init__(self, workers: int = 0, max_memory: int = MAX_MEMORY, wall_s: float = WALL_S) -> None:
        self.workers = workers or processors()
        self.max_memory = max_memory
        self.wall_s = wall_s
        self.at_once = DEPTH * self.workers
        self._room = asyncio.Semaphore(self.at_once)
        self._waiting: deque[_Job] = deque()
        self._children: set[_Child] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed_starts = 0
        self._closed = False

    async def clean(self, resource: Resource, rules: CleaningRules) -> Extracted:
        """Return what cleaning ``resource`` gives; waits while ``2 * workers`` items are in work."""
        async with self._room:
            if self._closed:
                raise RuntimeError("the cleaner pool is closed")
            head, body = wire.request(resource, rules)
            heavy = len(body) > _HEAVY or resource.media_type not in {HTML, "application/xhtml+xml"}
            job = _Job(head, body, heavy, asyncio.get_running_loop().create_future())
            self._waiting.append(job)
            self._feed()
            return await job.done

    def warm(self) -> None:
        """Start the first process now, so that its imports overlap with the first fetch."""
        if not self._children and not self._closed:
            self._start()

    def pids(self) -> list[int]:
        """Return the process ids of the children that live."""
        return [child.process.pid for child in self._children]

    async def close(self) -> None:
        """End every process; items still in work are cancelled."""
        self._closed = True
        children = list(self._children)
        for child in children:
            for job in child.jobs:
                job.done.cancel()
            child.hang_up()
        for job in self._waiting:
            job.done.cancel()
        self._waiting.clear()
        await asyncio.gather(*(child.ended() for child in children))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _feed(self) -> None:
        """Hand waiting items to the children that have room; start another child when all are busy."""
        while self._waiting and not self._closed:
            if self._waiting[0].done.done():  # whoever asked has gone
                self._waiting.popleft()
                continue
            free = min((child for child in self._children if child.has_room()), key=lambda c: len(c.jobs), default=None)
            if (free is None or free.jobs) and self._may_start():
                self._start()
                continue
            if free is None:
                return
            free.take(self._waiting.popleft())

    def _may_start(self) -> bool:
        return len(self._children) < self.workers and all(child.ready for child in self._children)

    def _start(self) -> None:
        child = _Child(self, *_spawn(self.max_memory, self.wall_s))
        self._children.add(child)
        self._background(child.connect())

    def _background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def became_ready(self) -> None:
        """Take note that a child has loaded its libraries."""
        self._failed_starts = 0
        self._feed()

    def lost(self, child: _Child) -> None:
        """Take note that a child's socket has closed."""
        self._children.discard(child)
        self._background(self._bury(child))

    async def _bury(self, child: _Child) -> None:
        """Settle what a dead child had in work: the item that killed it is answered, those behind it go elsewhere."""
        code = await child.ended()
        jobs = list(child.jobs)
        if not child.ready and not self._closed:
            self._failed_starts += 1
        if jobs and child.ready:
            self._settle(jobs.pop(0), child.verdict(code))
        self._waiting.extendleft(reversed(jobs))
        if self._failed_starts >= FAILED_STARTS:
            self._give_up(f"The cleaning processes do not start: {child.last_words() or f'exit code {code}'}")
        child.stderr.close()
        self._feed()

    def _settle(self, job: _Job, extracted: Extracted) -> None:
        """Answer a job, or try it once more where what came before it in the same process may be to blame."""
        if job.done.done():
            return
        if extracted.problem in {"killed-memory", "killed-crash"} and job.tries < 2:  # noqa: PLR2004 - one more try
            self._waiting.appendleft(job)
        else:
            job.done.set_result(extracted)

    def answered(self, job: _Job, extracted: Extracted) -> None:
        """Take note of a child's answer."""
        self._settle(job, extracted)
        self._feed()

    def _give_up(self, sentence: str) -> None:
        while self._waiting:
            job = self._waiting.popleft()
            if not job.done.done():
                job.done.set_exception(FatalError(sentence))


@dataclass(slots=True, eq=False)
class _Child(asyncio.Protocol):
    """One process: what it has in work, oldest first, and the clock that runs on the oldest."""

    pool: CleanerPool
    process: subprocess.Popen[bytes]
    socket: socket.socket
    stderr: BinaryIO
    ready: bool = False
    retiring: bool = False
    killed: str = ""
    hung_up: bool = False
    jobs: deque[_Job] = field(default_factory=deque)
    _buffer: bytearray = field(default_factory=bytearray)
    _transport: asyncio.Transport | None = None
    _clock: asyncio.TimerHandle | None = None

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        self._set_clock(START_S)
        await loop.create_unix_connection(lambda: self, sock=self.socket)

    def has_room(self) -> bool:
        if not self.ready or self.retiring or self.killed or len(self.jobs) >= DEPTH:
            return False
        return not self.jobs or not self.jobs[-1].heavy

    def take(self, job: _Job) -> None:
        assert self._transport is not None
        job.tries += 1
        self.jobs.append(job)
        self._transport.writelines((job.head, job.body))
        if len(self.jobs) == 1:
            self._set_clock(self._allowed_s())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.hung_up:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= wire.LENGTHS.size:
            length, extra = wire.LENGTHS.unpack_from(self._buffer)
            if length > wire.MAX_ANSWER or extra:
                self.kill("crash")
                return
            end = wire.LENGTHS.size + length
            if len(self._buffer) < end:
                return
            frame = bytes(memoryview(self._buffer)[wire.LENGTHS.size : end])
            del self._buffer[:end]
            self._on_frame(frame)

    def _on_frame(self, frame: bytes) -> None:
        if not frame:
            self.ready = True
            self._set_clock(None)
            self.pool.became_ready()
            return
        try:
            extracted, self.retiring = wire.read_answer(frame)
            job = self.jobs.popleft()
        except (wire.WireError, IndexError):
            self.kill("crash")
            return
        self._set_clock(self._allowed_s() if self.jobs else None)
        if self.retiring and not self.jobs:
            self.hang_up()
        self.pool.answered(job, extracted)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._set_clock(None)
        self.pool.lost(self)

    def _allowed_s(self) -> float:
        """Return the seconds that the item in work may take."""
        return wire.allowed_s(len(self.jobs[0].body) if self.jobs else 0, self.pool.wall_s)

    def _set_clock(self, seconds: float | None) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self._clock = None
        if seconds is not None:
            self._clock = asyncio.get_running_loop().call_later(seconds, self.kill, "time")

    def kill(self, why: str) -> None:
        self.killed = why
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the socket: a child that reads it ends. One that is being connected is closed once it is."""
        self.hung_up = True
        if self._transport is not None:
            self._transport.abort()

    async def ended(self) -> int:
        """Wait until the process has ended, and see to it that it does; return its exit code."""
        for _ in range(100):
            if (code := self.process.poll()) is not None:
                return code
            await asyncio.sleep(0.01)
        self.process.kill()
        return await asyncio.to_thread(self.process.wait)

    def last_words(self) -> str:
        with contextlib.suppress(ValueError, OSError):
            self.stderr.seek(max(0, self.stderr.seek(0, os.SEEK_END) - 2000))
            lines = self.stderr.read().decode("utf-8", "replace").strip().splitlines()
            return lines[-1].strip()[:200] if lines else ""
        return ""

    def verdict(self, code: int) -> Extracted:
        """Say what killed the item that was in work."""
        if self.killed == "time" or code == -signal.SIGXCPU:
            told = f"Cleaning it took longer than {self._allowed_s():g} seconds."
            return Extracted(problem="killed-time", detail=told)
        words = self.last_words()
        if any(word in words.encode() for word in _MEMORY_WORDS):
            return Extracted(problem="killed-memory", detail="Cleaning it took more memory than a cleaner may have.")
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Extracted(problem="killed-crash", detail=f"The process that cleaned it ended by {how}.")


def _spawn(max_memory: int, wall_s: float) -> tuple[subprocess.Popen[bytes], socket.socket, BinaryIO]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003 - the standard library's signature
    stderr = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - it lives as long as the child
    command = [sys.executable, "-P", "-X", "utf8", "-m", "connectors.extractors.worker"]
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, str(os.getpid()), str(max_memory), str(wall_s)],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=_environment(),
            cwd="/",
            start_new_session=True,  # Ctrl-C in a terminal goes to the parent alone
        )
    return process, ours, stderr


def _environment() -> dict[str, str]:
    """Return what a child may know of ours: no secret is among it."""
    kept = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    one_thread = dict.fromkeys(("RAYON_NUM_THREADS", "TOKIO_WORKER_THREADS", "OMP_NUM_THREADS"), "1")
    return kept | one_thread | {"PYTHONPATH": os.pathsep.join(paths), "MALLOC_ARENA_MAX": "2"}
