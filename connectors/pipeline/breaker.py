"""Stops sending while the API is down, and finds out with one call at a time when it is back."""

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
    """

    def __init__(
        self,
        *,
        patience_s: float,
        first_pause_s: float = _FIRST_PAUSE_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience_s = patience_s
        self._first_pause_s = first_pause_s
        self._sleep = sleep
        self._now = now
        self._in_a_row = 0
        self._opened_at: float | None = None
        self._pause_s = first_pause_s
        self._trying = asyncio.Lock()

    @property
    def open(self) -> bool:
        """Whether the API seems to be down."""
        return self._opened_at is not None

    async def admit(self) -> bool:
        """Wait until a call may be made; False when the outage has lasted too long.

        While the breaker is open one caller at a time is let through, after a pause that grows. Whoever was
        admitted calls `answered` or `unclear` before anybody else is.
        """
        if not self.open:
            return True
        await self._trying.acquire()
        if self._opened_at is None:
            self._trying.release()
            return True
        if self._now() - self._opened_at > self._patience_s:
            self._trying.release()
            return False
        try:
            await self._sleep(self._pause_s)
        except BaseException:
            self._trying.release()
            raise
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)
        return True

    def answered(self) -> None:
        """Note a clear answer: the API is there."""
        self._in_a_row = 0
        self._opened_at = None
        self._pause_s = self._first_pause_s
        self._let_next()

    def unclear(self) -> None:
        """Note a call without a clear answer."""
        self._in_a_row += 1
        if self._in_a_row >= OPENS_AFTER and self._opened_at is None:
            self._opened_at = self._now()
        self._let_next()

    def _let_next(self) -> None:
        if self._trying.locked():
            self._trying.release()
