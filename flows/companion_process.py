"""The companion's own program: `python -m flows.companion_process [PORT] [whole]`, messages in, answers out.

With a port it serves Prefect there, from a thread. The runs that the messages on stdin tell of, one after the other, it
tells a server that is as we know servers itself (`flows.teller`); any other is for Prefect's engine and client, and a
flow of ours follows them here. It ends when there will be no more messages. ``whole``: Prefect is imported with all it
brings (`flows.lean`), and its engine follows.
"""

from __future__ import annotations

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

from connectors import memory
from flows import local_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn import Server

    from flows.follower import Follower
    from flows.teller import Teller

    Messages = queue.SimpleQueue[dict[str, Any] | None]

log = logging.getLogger(__name__)

STARTUP_S = 120
RECORD_S = 5
LAST_WORDS_S = 5
_LOOK_EVERY_S = 0.05
_ASK_EVERY_S = 0.1
_SERVING = "prefect server"
_WHOLE = "whole"


def main() -> None:
    """Serve and follow until there is nobody to follow."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    memory.share_arenas()
    words = sys.argv[1:]
    port, whole = int(words[0]) if words and words[0].isdecimal() else None, _WHOLE in words
    imported = threading.Event()
    threading.Thread(target=_leave_with_the_command, args=(imported,), daemon=True).start()
    gc.disable()  # a thousand modules hold hardly a cycle, and looking for some takes a tenth of their import
    try:
        server = _serve(port, whole=whole) if port else None
        follower = _follower(lambda **said: _say(answers, said), serving=port is not None, whole=whole)
        if server is not None:
            _wait_until_it_answers(server, follower)
    except Exception:
        if whole:
            raise
        log.exception("Prefect could not be imported in part; now with all it brings")
        os.dup2(answers.fileno(), 1)
        os.execv(sys.executable, [sys.executable, "-m", "flows.companion_process", *words, _WHOLE])  # noqa: S606
    memory.collect_rarely()
    gc.enable()
    imported.set()
    heard: Messages = queue.SimpleQueue()
    threading.Thread(target=_hear, args=(heard,), daemon=True).start()
    follower.follow_all(heard)
    if server is not None:
        _wait_for(follower.is_written_down, RECORD_S, every_s=_ASK_EVERY_S)
        server.should_exit = True
        _wait_for(lambda: not _is_served(), LAST_WORDS_S)
    os._exit(0)  # Prefect's own ending would import more and wait; all is written


def _follower(answer: Callable[..., None], *, serving: bool, whole: bool) -> Follower | Teller:
    """Return who tells the server of runs: we ourselves, or Prefect's engine where the server is none that we know."""
    api = None
    if not whole:
        from flows import prefect_api

        there = os.environ
        api = prefect_api.PrefectApi(there["PREFECT_API_URL"]) if serving else prefect_api.reach(there, folder=Path())
    if api is not None:
        from flows.teller import Teller

        loggers = prefect_api.extra_loggers(os.environ)
        return Teller(api, answer, watched=not serving, ui=prefect_api.ui_of(os.environ), loggers=loggers)
    if not whole:
        from flows import lean

        lean.prepare(serving=False)
    follower = importlib.import_module("flows.follower")
    made: Follower = follower.Follower(answer, watched=not serving)
    return made


def _say(answers: IO[str], said: dict[str, Any]) -> None:
    with suppress(OSError, ValueError):  # nobody listens any more
        print(json.dumps(said), file=answers, flush=True)


def _leave_with_the_command(imported: threading.Event) -> None:
    """End when the command is over before there was anything here that could follow it."""
    end = select.poll()
    end.register(0, 0)  # that nobody writes any more is told without reading what was written
    end.poll()
    if not imported.is_set():
        os._exit(0)


def _hear(heard: Messages) -> None:
    for line in sys.stdin.buffer:
        heard.put({"at": time.time(), **json.loads(line)})
    heard.put(None)


def _serve(port: int, *, whole: bool) -> Server:
    """Import Prefect's server, and let it come up meanwhile."""
    from flows import lean

    if not whole:
        lean.prepare(serving=True)
    import uvicorn

    from flows.later_routes import LaterRoutes

    with LaterRoutes() as later:
        from prefect.server.api import server as api
    if not whole:
        lean.serve_one_run(api)
    app = later.before(api.create_app())
    told = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="warning", lifespan="on", ws="auto" if whole else "none"
    )
    server = uvicorn.Server(told)
    threading.Thread(target=server.run, name=_SERVING, daemon=True).start()
    return server


def _is_served() -> bool:
    return any(thread.name == _SERVING for thread in threading.enumerate())


def _wait_for(condition: Callable[[], bool], most_s: float, *, every_s: float = _LOOK_EVERY_S) -> None:
    until = time.monotonic() + most_s
    while not condition() and time.monotonic() < until:
        time.sleep(every_s)


def _wait_until_it_answers(server: Server, follower: Follower | Teller) -> None:
    """Wait for the server, and keep its tables for the next new state folder.

    Raises:
        RuntimeError: it does not answer.
    """
    _wait_for(lambda: server.started or not _is_served(), STARTUP_S)
    if not server.started or not follower.is_heard():
        raise RuntimeError("Prefect's server did not come up")
    local_server.keep_empty(Path(os.environ["PREFECT_HOME"]))


if __name__ == "__main__":
    main()
