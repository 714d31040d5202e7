"""Named places where a test may kill this process, or do worse to it; free when nobody asks."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


_met: Counter[str] = Counter()
_plan: tuple[str, int] | None = None
_counting = False
_fate: Callable[[], None] = die


def plan(fault: str, *, counting: bool = False, fate: Callable[[], None] = die) -> None:
    """Let something happen to this process when it reaches a place for the k-th time.

    Args:
        fault: ``place:k``; empty plans nothing.
        counting: only count what is reached, for `met`.
        fate: what happens, in the thread that comes by.
    """
    global _plan, _counting, _fate  # noqa: PLW0603 - one process has one fate
    _fate = fate
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
        _fate()


plan(os.environ.get("PERSONA_INGEST_FAULT", ""))
