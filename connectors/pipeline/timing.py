"""When: how long an outcome may still change, how long to pause between attempts, whether we stood still too long."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from connectors.errors import FatalError
from connectors.ledger import lease

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connectors.ledger import Ledger, Run
    from connectors.ledger.values import Holding
    from connectors.settings import DeliveryOptions

FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_LONGEST_ASKED_S: Final = 900.0
_FENCE: Final = 0.25  # of the time after which a silent holder loses its lease


def since_boot() -> float:
    """Return seconds by the clock that counts since boot and that nobody can set."""
    return lease.tick_ms() / 1000


class Timing:
    """Every wait of a delivery, by one clock.

    Args:
        tick: what the settling time is measured by.
        first_pause_s: the base of the full jitter between two attempts.
    """

    def __init__(
        self,
        ledger: Ledger,
        options: DeliveryOptions,
        *,
        tick: Callable[[], float] = since_boot,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._ledger = ledger
        self._options = options
        self.tick = tick
        self.sleep = sleep
        self._rng = rng or random.Random()  # noqa: S311 - jitter
        self.first_pause_s = first_pause_s
        self._settle_s: float | None = options.settle
        self._first_seen: dict[int, float] = {}

    async def settling_s(self, run: Run) -> float:
        """Return how long after a call its pages may still appear: told, else learned by a probe, else guessed."""
        if self._settle_s is None:
            learned = await self._ledger.sending.probed(run.destination)
            self._settle_s = learned if learned is not None else min(60.0, 2 * self._options.timeout)
        return self._settle_s

    async def until_settled(self, run: Run, key: int, *, boot: str, tick_ms: int) -> None:
        """Wait out the settling time; after a restart of the machine, or on another one, all of it from now on."""
        settle_s = await self.settling_s(run)
        same_clock = boot and boot == lease.this_boot()
        began = tick_ms / 1000 if same_clock else self._first_seen.setdefault(key, self.tick())
        left = began + settle_s - self.tick()
        if left > 0:
            await self.sleep(min(left, settle_s))

    async def by_age(self, run: Run, missing: list[Holding]) -> tuple[list[Holding], list[Holding]]:
        """Divide what is missing into what may still appear, and what is lost."""
        settle_s = await self.settling_s(run)
        late: list[Holding] = []
        lost: list[Holding] = []
        for holding in missing:
            fresh = holding.boot == lease.this_boot() and holding.tick / 1000 + settle_s > self.tick()
            (late if holding.state == "delivered" and fresh else lost).append(holding)
        return late, lost

    async def until_all_settled(self, run: Run, late: list[Holding]) -> None:
        """Wait until the newest of these can appear no more."""
        newest = max(late, key=lambda holding: holding.tick)
        await self.until_settled(run, -newest.version_id, boot=newest.boot, tick_ms=newest.tick)

    async def pause(self, attempt: int, asked_s: float | None) -> None:
        """Wait before the next attempt: full jitter, or as long as the server asked."""
        longest = min(_LONGEST_PAUSE_S, self.first_pause_s * 2**attempt)
        await self.sleep(max(self._rng.uniform(0, longest), min(asked_s or 0.0, _LONGEST_ASKED_S)))

    async def fence(self, run: Run, began: float) -> None:
        """Make sure, when time has passed unnoticed (a stopped process, a suspended machine), that the source is ours.

        Raises:
            FatalError: another process took it over.
        """
        if self.tick() - began > self._ledger.stale_s * _FENCE and not await self._ledger.holds(run):
            raise FatalError("This process stood still so long that another one took its source over; it stops here.")

    def fence_from_now(self, run: Run) -> Callable[[], Awaitable[None]]:
        """Return a fence against what stands still between now and its call."""
        began = self.tick()
        return lambda: self.fence(run, began)
