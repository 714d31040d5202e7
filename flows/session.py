"""One command's time with Prefect: the run starts at once, and a process beside it follows it with Prefect's flow."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from flows import local_server, messages, mirror
from flows.companion import Companion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from connectors.pipeline.progress import Progress
    from flows.conductor import Conductor

log = logging.getLogger(__name__)

PATIENCE_S = 90.0
STOP_WITHIN_S = 8.0
KNOCK_S = 10
START_S = 0.3
LAST_WORDS_S = 2.0


class Prefect:
    """Prefect for one command: which server, and the process beside us whose flows follow our runs."""

    def __init__(self, state: Path, *, debug: bool = False) -> None:
        self._state = state
        self._debug = debug
        self._companion: Companion | None = None
        self._to_companion: asyncio.WriteTransport | None = None
        self._from_companion: asyncio.ReadTransport | None = None
        self._all_sent = asyncio.Event()
        self._unsent: list[bytes] = []
        self._ready: asyncio.Task[str] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[Any] | None = None
        self._done: asyncio.Future[str] | None = None
        self._temporary = self._following = False
        self.importable = threading.Event()
        """Set once Prefect may be imported here too, for a cluster's runner: it will find its server."""
        self.cancelled = asyncio.Event()
        """Set once somebody cancels the flow run that follows."""
        self.problem = ""
        self.where = ""

    async def begin(self) -> None:
        """Start what takes longest, before all else: it comes up beside the run. A slow server is not waited for."""
        self._ready = asyncio.create_task(self._prepare(), name="prefect")
        await asyncio.wait({self._ready}, timeout=START_S)

    async def _prepare(self) -> str:
        """Return why there is no Prefect; empty when there is."""
        try:
            await self._choose_server()
            if self.where and not await asyncio.to_thread(local_server.is_alive, self.where, timeout_s=KNOCK_S):
                return f"no Prefect server answers at {self.where}"
            self._temporary = not self.where
            self._companion = Companion(self._state, self.where)
            await asyncio.to_thread(self._companion.start)
            if self._temporary:
                self.where = self._companion.api_url
                _point_at(self._state, self.where)
            await self._connect(self._companion)
        except Exception as error:
            log.debug("prefect did not start", exc_info=True)
            return f"{type(error).__name__}: {error}"
        finally:
            self.importable.set()
        return ""

    async def _choose_server(self) -> None:
        """Find a server and point Prefect at it, here and in the processes that we start; without one, we serve one."""
        os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", ",".join(messages.LOGGERS))
        os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
        os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        # Who looks for silent runs waits 90 s (docs/deploy/automations.yaml); by itself Prefect beats once in 180.
        os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "30")
        if not self._debug:
            os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        if named := local_server.named_server():
            self.where = named
        elif known := await asyncio.to_thread(local_server.local_server, self._state):
            self.where = str(known["api_url"])
            _point_at(self._state, self.where)

    async def _connect(self, companion: Companion) -> None:
        loop = asyncio.get_running_loop()
        said = asyncio.StreamReader()
        reading = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(said), companion.says)
        self._from_companion = reading[0]
        self._to_companion, _ = await loop.connect_write_pipe(lambda: _Ending(self._all_sent), companion.hears)
        self._listening = asyncio.create_task(self._listen(said, companion))
        for line in self._unsent:
            self._to_companion.write(line)
        self._unsent.clear()

    async def _listen(self, said: asyncio.StreamReader, companion: Companion) -> None:
        async for line in said:
            match json.loads(line):
                case {"following": True}:
                    self._following = True
                case {"cancelled": True}:
                    self.cancelled.set()
                case {"done": problem} if self._done and not self._done.done():
                    self._done.set_result(problem)
        if self._done and not self._done.done():
            self._done.set_result(f"the process beside ended, see {companion.log_path}")

    def _send(self, message: Mapping[str, Any]) -> None:
        line = json.dumps(message, default=str).encode() + b"\n"
        if self._to_companion is None:
            self._unsent.append(line)
        elif not self._to_companion.is_closing():
            self._to_companion.write(line)

    def follow(self, conductor: Conductor, flow: tuple[str, str], parameters: dict[str, Any]) -> None:
        """Let a flow follow a run that is under way, as soon as Prefect is there.

        Args:
            conductor: carries out the run.
            flow: the flow's module and name.
            parameters: what the flow run is shown with; nothing secret.
        """
        self.cancelled.clear()
        self._telling = asyncio.create_task(self._tell(conductor, flow, parameters))

    async def _tell(self, conductor: Conductor, flow: tuple[str, str], parameters: dict[str, Any]) -> None:
        assert self._ready is not None
        if self.problem:
            return
        self._done = asyncio.get_running_loop().create_future()
        self._send({"follow": flow, "parameters": parameters, "run": mirror.about(conductor)})
        retelling = asyncio.create_task(mirror.retell(conductor, self._send))
        try:
            self.problem = await self._ready
            if not self.problem:
                self.problem = await self._done
        finally:
            retelling.cancel()

    async def story_told(self, say: Callable[[str], None], *, worth_waiting: bool) -> None:
        """Wait until Prefect has written down the run; Ctrl-C ends the waiting, and nothing but the record is lost.

        Args:
            worth_waiting: a run that read nothing is not worth it when only a temporary server would hear of it.
        """
        assert self._telling is not None
        if self._telling.done() or (self._temporary and not worth_waiting):
            await self.give_up_story()
            return
        enough = asyncio.Event()
        given_up = asyncio.create_task(enough.wait())
        with _signals(enough.set):
            done, _ = await asyncio.wait({self._telling}, timeout=1)
            if not done:
                say("Prefect writes down the run (Ctrl-C: do without).")
                first = asyncio.FIRST_COMPLETED
                done, _ = await asyncio.wait({self._telling, given_up}, timeout=PATIENCE_S, return_when=first)
        given_up.cancel()
        if self._telling not in done and not enough.is_set():
            self.problem = f"it was not ready {PATIENCE_S:.0f} s after the work was done"
        await self.give_up_story()

    async def give_up_story(self) -> None:
        """Go on without what Prefect has not written down yet; a flow that is at it gets a moment to end."""
        if self._telling is not None and not self._telling.done():
            await asyncio.wait({self._telling}, timeout=2 if self._following else 0)
            self._telling.cancel()
            await asyncio.wait({self._telling}, timeout=5)

    async def end(self) -> None:
        """Leave nothing running."""
        for task in (self._ready, self._listening):
            if task:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
        if self._from_companion:
            self._from_companion.close()
        if self._to_companion:  # its file is closed below, in a thread: nobody may use it any more
            self._to_companion.close()
            try:
                await asyncio.wait_for(self._all_sent.wait(), LAST_WORDS_S)
            except TimeoutError:
                self._to_companion.abort()
        if self._companion:
            await asyncio.to_thread(self._companion.stop, at_once=not self._following)


class _Ending(asyncio.BaseProtocol):
    """Says when what was written is sent and the pipe closed."""

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended

    def connection_lost(self, _: Exception | None) -> None:
        self._ended.set()


def _point_at(state: Path, api_url: str) -> None:
    for key, value in local_server.environment(local_server.folder_of(state), api_url=api_url).items():
        os.environ.setdefault(key, value)
    os.environ["PREFECT_API_URL"] = api_url


async def conduct(
    conductor: Conductor,
    prefect: Prefect,
    *,
    flow: tuple[str, str],
    parameters: dict[str, Any],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Carry a run out while Prefect follows as soon as it can.

    Ctrl-C, SIGTERM and the end of its terminal stop it at a safe point, and so does who cancels its run in Prefect.

    Returns:
        The summary of its source; Prefect may still have to write down the run: `Prefect.story_told`.
    """
    work = conductor.start()
    prefect.follow(conductor, flow, parameters)
    stopping: list[asyncio.Task[None]] = []

    def stop(*, who: str = "") -> None:
        if not stopping:
            say(f"{who}Stopping at a safe point; what was read and sent is kept.")
            stopping.append(asyncio.create_task(conductor.stop(within_s=STOP_WITHIN_S)))

    async def stop_when_cancelled() -> None:
        await prefect.cancelled.wait()
        stop(who="Cancelled in Prefect. ")

    watching = asyncio.create_task(stop_when_cancelled())
    with _signals(stop):
        await asyncio.wait({work})
    watching.cancel()
    if stopping and not prefect.cancelled.is_set():
        await prefect.give_up_story()
    return work.result()


@contextmanager
def _signals(react: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    heard = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup the terminal may go
        heard.append(signal.SIGHUP)
    for number in heard:
        loop.add_signal_handler(number, react)
    try:
        yield
    finally:
        for number in heard:
            loop.remove_signal_handler(number)


def live_progress() -> Progress:
    """Return the numbers that a run keeps and the display reads."""
    from connectors.pipeline.progress import Progress

    return Progress()
