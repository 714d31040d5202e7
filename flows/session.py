"""One command's time with Prefect: the crawl starts at once, Prefect comes up beside it and its flow adopts the run."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from flows import local_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from connectors.pipeline.progress import Progress
    from flows.conductor import Conductor

log = logging.getLogger(__name__)

HEAD_START_S = 2.0
PATIENCE_S = 90.0
STOP_WITHIN_S = 8.0
FLUSH_S = 5
IMPORTING = "importing Prefect"


class Prefect:
    """Prefect for one command: which server, when it is ready, and the flow modules once they are imported."""

    def __init__(self, state: Path, *, debug: bool = False) -> None:
        self._state = state
        self._debug = debug
        self._own: local_server.TemporaryServer | None = None
        self._ready: asyncio.Task[str] | None = None
        self._telling: asyncio.Task[Any] | None = None
        self._following = self._imported = False
        self.importable = threading.Event()
        """Set once others may import Prefect too: it is here, or will not come."""
        self.problem = ""
        self.where = ""

    def begin(self, *, after: Callable[[], bool]) -> None:
        """Start what takes long; importing Prefect here waits until ``after`` says yes: the crawl comes first."""
        if self._ready is None:
            self._ready = asyncio.create_task(self._prepare(after), name="prefect")

    async def _prepare(self, after: Callable[[], bool]) -> str:
        """Return why there is no Prefect; empty when there is."""
        try:
            answers = await self._choose_server()
            for _ in range(int(HEAD_START_S / 0.05)):
                if after():
                    break
                await asyncio.sleep(0.05)
            await _imported_beside("flows.stages")
            self._imported = True
            self.importable.set()
            if self._own and not await answers:
                return f"its temporary server did not start, see {self._own.log_path}"
            if not self._own and not await asyncio.to_thread(local_server.is_alive, self.where, timeout_s=10):
                return f"no Prefect server answers at {self.where}"
        except Exception as error:
            log.debug("prefect did not start", exc_info=True)
            return f"{type(error).__name__}: {error}"
        finally:
            self.importable.set()
        return ""

    async def _choose_server(self) -> Any:
        """Find or start a server and point this process' Prefect at it; returns what to await, if anything."""
        os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "connectors,flows")
        os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
        os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        if not self._debug:
            os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        if named := local_server.named_server():
            self.where = named
            return None
        if known := await asyncio.to_thread(local_server.local_server, self._state):
            self.where = str(known["api_url"])
            _point_at(self._state, self.where)
            return None
        self._own = local_server.TemporaryServer(self._state)
        await asyncio.to_thread(self._own.start)
        self.where = self._own.api_url
        os.environ.update(local_server.TO_A_TEMPORARY_ONE)
        _point_at(self._state, self.where)
        return asyncio.create_task(self._own.ready())

    def follow(self, conductor: Conductor, flow: tuple[str, str], parameters: dict[str, Any]) -> None:
        """Let a flow adopt a run that is under way, as soon as Prefect is there.

        Args:
            conductor: carries out the run.
            flow: the flow's module and name.
            parameters: what the flow run is shown with; nothing secret.
        """
        self._following = False
        self._telling = asyncio.create_task(self._tell(conductor, flow, parameters))

    async def story_told(self, say: Callable[[str], None], *, worth_waiting: bool) -> None:
        """Wait until Prefect has written down the run; Ctrl-C ends the waiting, and nothing but the record is lost.

        Args:
            worth_waiting: a run that read nothing is not worth it when only a temporary server would hear of it.
        """
        assert self._telling is not None
        if self._telling.done() or (self._own and not worth_waiting):
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

    async def _tell(self, conductor: Conductor, flow: tuple[str, str], parameters: dict[str, Any]) -> Any:
        assert self._ready is not None
        if self.problem:
            return None
        self.problem = await self._ready
        if self.problem:
            return None
        stages = importlib.import_module("flows.stages")
        module: ModuleType = await asyncio.to_thread(importlib.import_module, flow[0])
        try:
            self._following = True
            with stages.adopting(conductor, listening=True):
                return await getattr(module, flow[1])(**parameters, return_state=True)
        except Exception as error:
            log.debug("the flow could not follow", exc_info=True)
            self.problem = f"{type(error).__name__}: {error}"
            conductor.unfollow()
            return None

    async def end(self) -> None:
        """Leave nothing running."""
        if self._ready:
            self._ready.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._ready
        if self._own:
            await asyncio.to_thread(self._flush_then_stop)

    def _flush_then_stop(self) -> None:
        if self._imported:
            flush()
        assert self._own is not None
        self._own.stop()


async def _imported_beside(module: str) -> None:
    """Import a module in a thread that nobody waits for when the command is over before it is imported."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def work() -> None:
        error: Exception | None = None
        try:
            importlib.import_module(module)
        except Exception as wrong:  # noqa: BLE001 - it belongs to whoever awaits the import
            error = wrong
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, done, error)

    threading.Thread(target=work, name=IMPORTING, daemon=True).start()
    await done


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def flush() -> None:
    """Send what Prefect still holds back, so that it does not try to when its server is gone."""
    if "prefect" not in sys.modules:
        return
    with suppress(Exception):
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        APILogWorker.drain_all(timeout=FLUSH_S)
        EventsWorker.drain_all(timeout=FLUSH_S)


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
    """Carry a run out while Prefect follows as soon as it can; Ctrl-C and SIGTERM stop it at a safe point.

    Returns:
        The summary of its source; Prefect may still have to write down the run: `Prefect.story_told`.
    """
    work = conductor.start()
    prefect.follow(conductor, flow, parameters)
    stopping: list[asyncio.Task[None]] = []

    def stop() -> None:
        if not stopping:
            say("Stopping at a safe point; what was read and sent is kept.")
            stopping.append(asyncio.create_task(conductor.stop(within_s=STOP_WITHIN_S)))

    with _signals(stop):
        await asyncio.wait({work})
    if stopping:
        await prefect.give_up_story()
    return work.result()


@contextmanager
def _signals(react: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, react)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def live_progress() -> Progress:
    """Return the numbers that a run keeps and the display reads."""
    from connectors.pipeline.progress import Progress

    return Progress()
