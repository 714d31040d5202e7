"""How fast one host is asked: so many at once, so far apart, and slower when it answers slowly or asks us to."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic

MAX_PAUSE_S = 120.0
_SLOW_S = 2.0
_SLOWER_THAN_BEST = 4.0
_FIRST_PENALTY_S = 0.25
_MAX_PENALTY_S = 30.0
_FORGIVEN_S = 0.05
_IN_VAIN_S = 60.0
_PAUSE_IN_VAIN_S = 1.0
_MOST_ASKED_S = 900.0
_GOOD_AGAIN = 20


def seconds_until_retry(retry_after: str, *, now: datetime) -> float:
    """Say how long a Retry-After header asks us to wait.

    Args:
        retry_after: the field's value as sent: whole seconds (``"120"``) or an HTTP date.
        now: timezone-aware; when the answer arrived.

    Returns:
        Seconds, 0.0 or more; a date that has passed gives 0.0.

    Raises:
        ValueError: the value is neither form.

    Source: RFC 9110, section 10.2.3.
    """
    value = retry_after.strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        then = parsedate_to_datetime(value)
    except (TypeError, IndexError, OverflowError) as error:
        raise ValueError(f"{value!r} is neither seconds nor a date") from error
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - now).total_seconds())


class Lane:
    """The way to one host: whoever wants to ask it enters, asks, and leaves.

    Args:
        concurrency: the most at once; an answer of 429 or 503, or one much slower than the host's best, halves what
            is used of it, and each good one gives some back.
        delay_s: between the starts of two requests.
        in_vain_s: how long addresses that were refused ("not now", no answer in time) are waited for before waiting
            is in vain, unless it helps one of them.
    """

    def __init__(self, *, concurrency: int, delay_s: float = 0.0, in_vain_s: float = _IN_VAIN_S) -> None:
        self._concurrency = concurrency
        self._in_vain_s = in_vain_s
        self._refused_since: float | None = None
        self._asked_s = 0.0
        self._good_in_a_row = 0
        self.delay_s = delay_s
        self._limit = float(concurrency)
        self._penalty_s = 0.0
        self._best_s = float("inf")
        self._in_flight = 0
        self._next_start = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._last_cut = 0.0

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        return max(1, int(self._limit))

    @property
    def in_vain(self) -> bool:
        """Addresses were refused for a while and waiting helped none: their answer has nothing to do with our speed."""
        if self._refused_since is None:
            return False
        return monotonic() - self._refused_since >= self._in_vain_s + min(self._asked_s, _MOST_ASKED_S)

    @property
    def idle(self) -> bool:
        """Nobody is inside and nobody waits."""
        return not self._in_flight and not self._waiting

    async def enter(self) -> None:
        """Wait for a turn."""
        now = monotonic()
        if not self._waiting and self._in_flight < self.limit and now >= self._next_start:
            self._start(now)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._wake()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Give the turn back."""
        self._in_flight -= 1
        if self._waiting:
            self._wake()

    def _start(self, now: float) -> None:
        self._in_flight += 1
        self._next_start = max(self._next_start, now + self.delay_s + self._penalty_s)

    def _wake(self) -> None:
        while self._waiting and self._in_flight < self.limit:
            now = monotonic()
            if now < self._next_start:
                if self._timer is None:
                    loop = asyncio.get_running_loop()
                    self._timer = loop.call_later(self._next_start - now + 0.001, self._on_time)
                return
            turn = self._waiting.popleft()
            if not turn.done():
                self._start(now)
                turn.set_result(None)

    def _on_time(self) -> None:
        self._timer = None
        self._wake()

    def pause(self, seconds: float) -> None:
        """Start nothing for so long, at most two minutes; a second, where waiting was in vain."""
        now = monotonic()
        until = now + min(seconds, _PAUSE_IN_VAIN_S if self.in_vain else MAX_PAUSE_S)
        longer = until - max(now, self._next_start)
        self._asked_s += max(0.0, longer)  # what we are asked to wait is not in vain so soon
        self._next_start = max(self._next_start, until)

    def good(self, seconds: float) -> None:
        """An answer came after so long: learn what this host is like."""
        self._best_s = min(self._best_s * 1.01, seconds)
        self._good_in_a_row += 1
        if self._good_in_a_row >= _GOOD_AGAIN:
            self.helped()
        if seconds > _SLOW_S and seconds > _SLOWER_THAN_BEST * self._best_s:
            self._halve(seconds)
            return
        self._limit = min(float(self._concurrency), self._limit + 1 / self._limit)
        self._penalty_s = self._penalty_s * 0.8 if self._penalty_s > _FORGIVEN_S else 0.0

    def overloaded(self) -> None:
        """It answered 429 or 503, or not in time: ask less often."""
        self._good_in_a_row = 0
        if self._refused_since is None:
            self._refused_since = monotonic()
        if self._halve(1.0):
            longest = _PAUSE_IN_VAIN_S if self.in_vain else _MAX_PENALTY_S
            self._penalty_s = min(longest, max(_FIRST_PENALTY_S, self._penalty_s * 2))

    def helped(self) -> None:
        """An address that had been refused answered: waiting is worth it."""
        self._refused_since = None
        self._asked_s = 0.0

    def _halve(self, span_s: float) -> bool:
        """Halve once for all the answers that were under way together."""
        now = monotonic()
        if now - self._last_cut < span_s:
            return False
        self._last_cut = now
        self._limit = max(1.0, self._limit / 2)
        return True
