"""A time limit that many tasks share: as `asyncio.timeout`, with one timer for all of them instead of one for each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class Deadline:
    """``with deadline:`` ends what takes longer than ``span_s`` by a TimeoutError; in one task at most once at a time.

    All spans are equal, so who began first is late first.
    """

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._within: dict[asyncio.Task[object], tuple[float, int]] = {}
        self._late: dict[asyncio.Task[object], int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> None:
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._within[task] = loop.time() + self._span_s, task.cancelling()
        if self._timer is None:
            self._timer = loop.call_later(self._span_s, self._look)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = asyncio.current_task(self._loop)
        assert task is not None
        if self._within.pop(task, None) is not None:
            return
        told_before = self._late.pop(task)
        if task.uncancel() <= told_before and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        for task, (late_at, told_before) in list(self._within.items()):
            if late_at > loop.time():
                self._timer = loop.call_at(late_at, self._look)
                return
            del self._within[task]
            self._late[task] = told_before
            task.cancel()
