"""Prefect's own engine follows a command's runs: for a server that `teller` does not know, with all of Prefect."""

from __future__ import annotations

import asyncio
import importlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flows import local_server, stages, told
from flows.messages import NO_WORD
from flows.mirror import Mirror

if TYPE_CHECKING:
    import queue
    from collections.abc import Callable

    Messages = queue.SimpleQueue[dict[str, Any] | None]

FLUSH_S = 5
LAST_WORDS_S = 5


class Follower:
    """Lets one flow after the other follow what the messages tell of.

    Args:
        answer: says how far it is, as `session` hears it.
        watched: others see the flow runs too, and may cancel one.
    """

    def __init__(self, answer: Callable[..., None], *, watched: bool) -> None:
        self._answer = answer
        self._watched = watched
        self._mirror: Mirror | None = None
        self._telling: asyncio.Task[None] | None = None
        self._steps: dict[str, int] = {}

    def follow_all(self, heard: Messages) -> None:
        """Go on until there are no more messages."""
        asyncio.run(self._follow_all(heard))
        flush()

    async def _follow_all(self, heard: Messages) -> None:
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

    def is_heard(self) -> bool:
        """Say whether the server answers; Prefect's client asks again itself."""
        return True

    def is_written_down(self) -> bool:
        """Say whether the server knows how every step ended: it hears of them by events, a moment later."""
        ended = local_server.count(os.environ["PREFECT_API_URL"], "task_runs", **told.ended_steps_of(self._steps))
        return ended is None or ended >= sum(self._steps.values())


def flush() -> None:
    """Send what Prefect still holds back."""
    with suppress(Exception):
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        APILogWorker.drain_all(timeout=FLUSH_S)
        EventsWorker.drain_all(timeout=FLUSH_S)
