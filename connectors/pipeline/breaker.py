"""Stops sending while the API is down, and finds out with one question at a time when it is back."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

OPENS_AFTER: Final = 5
_FIRST_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 60.0
_STORES_APART: Final = 5  # pauses of 5, 25, 125, 625, 1800 s: five calls an hour, as many as opened the breaker
_STORES_LONGEST_S: Final = 1800.0


class Breaker:
    """Open after five calls in a row without a clear answer; once one failed, no more are under way than that takes.

    Args:
        patience_s: how long an outage may last until batches are given up for this run; they stay in the ledger.
        answers: asks the API something harmless, and says whether it answered: so an outage costs no store call.
    """

    def __init__(
        self,
        *,
        patience_s: float,
        answers: Callable[[], Awaitable[bool]],
        first_pause_s: float = _FIRST_PAUSE_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience_s = patience_s
        self._answers = answers
        self._first_pause_s = first_pause_s
        self._sleep = sleep
        self._now = now
        self._in_a_row = 0
        self._under_way = 0
        self._opened_at: float | None = None
        self._pause_s = first_pause_s
        self._store_pause_s = first_pause_s
        self._store_at = 0.0
        self._asked_at = float("-inf")
        self._there = False  # the last question was answered, and no call has failed since
        self._trying = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether the API seems to be down."""
        return self._opened_at is not None

    @asynccontextmanager
    async def turn(self, *, writes: bool = True) -> AsyncIterator[bool]:
        """Wait until a call may be made, and be its time; False when the outage has lasted too long.

        While the breaker is open one caller at a time is let through, after a pause that grows and once the API
        answers again; if it answers and yet takes nothing, writing is tried ever more rarely. Whoever was let through
        says `answered` or `unclear` meanwhile, unless the call says nothing of whether the API takes pages.
        """
        while True:
            if self.open:
                await self._trying.acquire()
                try:
                    admitted = await self._wait(writes=writes)
                    if admitted and self.open:
                        async with self._counted():
                            yield True
                        return
                finally:
                    self._trying.release()
                if not admitted:
                    yield False
                    return
            elif self._in_a_row and self._under_way and self._under_way + self._in_a_row >= OPENS_AFTER:
                self._changed.clear()
                await self._changed.wait()
            else:
                async with self._counted():
                    yield True
                return

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._changed.set()

    async def gave_up(self) -> bool:
        """Say whether the outage has lasted too long and the API, asked once a minute at most, still takes nothing."""
        return self._is_too_long() and not await self._ask_once_more(writes=True)

    async def _wait(self, *, writes: bool) -> bool:
        while self.open:
            if self._is_too_long():
                return await self._ask_once_more(writes=writes)
            await self._sleep(self._pause_s)
            self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)
            if await self._ask() and (not writes or self._may_write()):
                return True
        return True

    def _is_too_long(self) -> bool:
        return self._opened_at is not None and self._now() - self._opened_at > self._patience_s

    def _may_write(self) -> bool:
        return self._now() >= self._store_at

    async def _ask_once_more(self, *, writes: bool) -> bool:
        if writes and not self._may_write():
            return False
        return self._there or (self._now() - self._asked_at >= _LONGEST_PAUSE_S and await self._ask())

    async def _ask(self) -> bool:
        self._asked_at = self._now()
        self._there = await self._answers()
        return self._there

    def answered(self) -> None:
        """Note a clear answer: the API is there."""
        self._in_a_row = 0
        self._opened_at = None
        self._pause_s = self._store_pause_s = self._first_pause_s
        self._changed.set()

    def unclear(self, *, writing: bool = True) -> None:
        """Note a call without a clear answer."""
        self._in_a_row += 1
        self._there = False
        if self._in_a_row >= OPENS_AFTER and self._opened_at is None:
            self._opened_at = self._now()
        if writing and self.open:
            self._store_at = self._now() + self._store_pause_s
            self._store_pause_s = min(_STORES_LONGEST_S, self._store_pause_s * _STORES_APART)
        self._changed.set()
