"""The companion's own program: `python -m flows.companion_process [PORT] [whole]`, messages in, answers out.

With a port it serves Prefect there, from a thread. It follows the runs that the messages on stdin tell of, one after
the other, and ends when there will be no more. ``whole``: Prefect is imported with all it brings (`flows.lean`).
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import os
import queue
import select
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from flows import local_server
from flows.mirror import NO_WORD, Mirror

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn import Server

    Messages = queue.SimpleQueue[dict[str, Any] | None]

log = logging.getLogger(__name__)

STARTUP_S = 120
FLUSH_S = 5
RECORD_S = 5
LAST_WORDS_S = 5
_LOOK_EVERY_S = 0.1
_GARBAGE_EVERY = 50_000
_SERVING = "prefect server"
_WHOLE = "whole"


def main() -> None:
    """Serve and follow until there is nobody to follow."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    words = sys.argv[1:]
    imported = threading.Event()
    threading.Thread(target=_leave_with_the_command, args=(imported,), daemon=True).start()
    gc.disable()  # two thousand modules hold hardly a cycle, and looking for some takes a tenth of their import
    try:
        server = _import(int(words[0]) if words and words[0].isdecimal() else None, whole=_WHOLE in words)
    except Exception:
        if _WHOLE in words:
            raise
        log.exception("Prefect could not be imported in part; now with all it brings")
        os.dup2(answers.fileno(), 1)
        os.execv(sys.executable, [sys.executable, "-m", "flows.companion_process", *words, _WHOLE])  # noqa: S606
    gc.freeze()
    gc.set_threshold(_GARBAGE_EVERY)
    gc.enable()
    imported.set()
    heard: Messages = queue.SimpleQueue()
    threading.Thread(target=_hear, args=(heard,), daemon=True).start()
    if server is None or _answers(server):
        follower = Follower(answers, watched=server is None)
        asyncio.run(follower.follow_all(heard))
        flush()
        if server is not None:
            _wait_for(follower.is_written_down, RECORD_S)
    if server is not None:
        server.should_exit = True
        _wait_for(lambda: not _is_served(), LAST_WORDS_S)
    os._exit(0)  # Prefect's own ending would import more and wait; all is written


def _leave_with_the_command(imported: threading.Event) -> None:
    """End when the command is over before there was anything here that could follow it."""
    end = select.poll()
    end.register(0, 0)  # that nobody writes any more is told without reading what was written
    end.poll()
    if not imported.is_set():
        os._exit(0)


def _hear(heard: Messages) -> None:
    for line in sys.stdin.buffer:
        heard.put(json.loads(line))
    heard.put(None)


def _import(port: int | None, *, whole: bool) -> Server | None:
    """Import Prefect, and serve it meanwhile where there is a port."""
    if not whole:
        from flows import lean

        lean.prepare(serving=port is not None)
    server = _serve(port, whole=whole) if port else None
    importlib.import_module("flows.stages")
    return server


def _serve(port: int, *, whole: bool) -> Server:
    import uvicorn

    from flows import lean
    from flows.later_routes import LaterRoutes

    with LaterRoutes() as later:
        from prefect.server.api import server as api
    if not whole:
        lean.serve_one_run(api)
    app = later.before(api.create_app())
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="on"))
    threading.Thread(target=server.run, name=_SERVING, daemon=True).start()
    return server


def _is_served() -> bool:
    return any(thread.name == _SERVING for thread in threading.enumerate())


def _wait_for(condition: Callable[[], bool], most_s: float) -> None:
    until = time.monotonic() + most_s
    while not condition() and time.monotonic() < until:
        time.sleep(_LOOK_EVERY_S)


def _answers(server: Server) -> bool:
    """Wait until the server answers, and keep its tables for the next new state folder."""
    _wait_for(lambda: server.started or not _is_served(), STARTUP_S)
    if server.started:
        local_server.keep_empty(Path(os.environ["PREFECT_HOME"]))
    return server.started


class Follower:
    """Lets one flow after the other follow what the messages tell of.

    Args:
        answers: where it says how far it is.
        watched: others see the flow runs too, and may cancel one.
    """

    def __init__(self, answers: IO[str], *, watched: bool) -> None:
        self._answers = answers
        self._watched = watched
        self._mirror: Mirror | None = None
        self._telling: asyncio.Task[None] | None = None
        self._steps: dict[str, int] = {}

    async def follow_all(self, heard: Messages) -> None:
        """Go on until there are no more messages."""
        while (message := await asyncio.to_thread(heard.get)) is not None:
            if "follow" in message:
                await self._let_go()
                self._mirror = Mirror(message["run"])
                self._telling = asyncio.create_task(self._tell(self._mirror, message))
            elif self._mirror is not None:
                self._mirror.hear(message)
        await self._let_go()

    async def _let_go(self) -> None:
        """Give a flow that will hear no more of its run a moment to say so."""
        if self._mirror is not None and self._telling is not None and not self._telling.done():
            self._mirror.hear({"broken": NO_WORD})
            await asyncio.wait({self._telling}, timeout=LAST_WORDS_S)

    async def _tell(self, mirror: Mirror, message: dict[str, Any]) -> None:
        from flows import stages

        try:
            module, name = message["follow"]
            flow = getattr(importlib.import_module(module), name)
            self._answer(following=True)
            on_cancel = (lambda: self._answer(cancelled=True)) if self._watched else None
            with stages.adopting(mirror, listening=True, on_cancel=on_cancel):
                state = await flow(**message["parameters"], return_state=True)
            self._steps[str(state.state_details.flow_run_id)] = mirror.steps
        except Exception as error:  # noqa: BLE001 - the run goes on without its record, and says so
            self._answer(done=f"{type(error).__name__}: {error}")
        else:
            self._answer(done="")

    def _answer(self, **words: Any) -> None:
        with suppress(OSError, ValueError):  # nobody listens any more
            print(json.dumps(words), file=self._answers, flush=True)

    def is_written_down(self) -> bool:
        """Say whether the server knows how every step ended: it hears of them by events, a moment later."""
        ended = local_server.count(
            os.environ["PREFECT_API_URL"],
            "task_runs",
            task_runs={"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]}}},
            flow_runs={"id": {"any_": list(self._steps)}},
        )
        return ended is None or ended >= sum(self._steps.values())


def flush() -> None:
    """Send what Prefect still holds back."""
    with suppress(Exception):
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        APILogWorker.drain_all(timeout=FLUSH_S)
        EventsWorker.drain_all(timeout=FLUSH_S)


if __name__ == "__main__":
    main()
