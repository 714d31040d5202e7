"""Named places where a test may kill or stop this process; free when nobody asks."""

from __future__ import annotations

import os
import signal
from collections import Counter

_met: Counter[str] = Counter()
_plan: tuple[str, int] | None = None
_counting = False
_how = signal.SIGKILL


def plan(fault: str, *, counting: bool = False, how: signal.Signals = signal.SIGKILL) -> None:
    """Send this process a signal when it reaches a place for the k-th time.

    Args:
        fault: ``place:k``; empty plans nothing.
        counting: only count what is reached, for `met`.
    """
    global _plan, _counting, _how  # noqa: PLW0603 - one process has one fate
    _how = how
    place, _, times = fault.rpartition(":")
    _plan = (place, int(times)) if place else None
    _counting = counting or _plan is not None
    _met.clear()


def met() -> dict[str, int]:
    """Return how often each place was reached since `plan`."""
    return dict(_met)


def reach(place: str) -> None:
    """Come by a named place."""
    if not _counting:
        return
    _met[place] += 1
    if _plan == (place, _met[place]):
        os.kill(os.getpid(), _how)


plan(os.environ.get("PERSONA_INGEST_FAULT", ""))
