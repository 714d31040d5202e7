"""Stops sending while the API is down, and finds out with one question at a time when it is back."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OPENS_AFTER: Final = 5
_FIRST_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 60.0


class Breaker:
    """Open after five calls in a row without a clear answer.

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
        self._opened_at: float | None = None
        self._pause_s = first_pause_s
        self._asked_at = float("-inf")
        self._there = False  # the last question was answered, and no call has failed since
        self._admitted = False
        self._trying = asyncio.Lock()

    @property
    def open(self) -> bool:
        """Whether the API seems to be down."""
        return self._opened_at is not None

    async def admit(self) -> bool:
        """Wait until a call may be made; False when the outage has lasted too long.

        While the breaker is open one caller at a time is let through, after a pause that grows and once the API
        answers again. Whoever was admitted calls `answered`, `unclear` or `unsaid` before anybody else is.
        """
        if not self.open:
            return True
        await self._trying.acquire()
        try:
            admitted = await self._wait()
        except BaseException:
            self._trying.release()
            raise
        if admitted and self.open:
            self._admitted = True
        else:
            self._trying.release()
        return admitted

    async def gave_up(self) -> bool:
        """Say whether the outage has lasted too long and the API, asked once a minute at most, is still away."""
        return self._is_too_long() and not await self._ask_once_more()

    async def _wait(self) -> bool:
        while self.open:
            if self._is_too_long():
                return await self._ask_once_more()
            await self._sleep(self._pause_s)
            self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)
            if await self._ask():
                return True
        return True

    def _is_too_long(self) -> bool:
        return self._opened_at is not None and self._now() - self._opened_at > self._patience_s

    async def _ask_once_more(self) -> bool:
        return self._there or (self._now() - self._asked_at >= _LONGEST_PAUSE_S and await self._ask())

    async def _ask(self) -> bool:
        self._asked_at = self._now()
        self._there = await self._answers()
        return self._there

    def answered(self) -> None:
        """Note a clear answer: the API is there."""
        self._in_a_row = 0
        self._opened_at = None
        self._pause_s = self._first_pause_s
        self._let_next()

    def unclear(self) -> None:
        """Note a call without a clear answer."""
        self._in_a_row += 1
        self._there = False
        if self._in_a_row >= OPENS_AFTER and self._opened_at is None:
            self._opened_at = self._now()
        self._let_next()

    def unsaid(self) -> None:
        """Note a call that says nothing of whether the API takes pages."""
        self._let_next()

    def _let_next(self) -> None:
        if self._admitted:
            self._admitted = False
            self._trying.release()
