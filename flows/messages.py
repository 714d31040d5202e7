"""What travels between a command and the process beside it, as both ends write and read it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.pipeline.progress import Progress

LOGGERS = ("connectors", "flows")
NO_WORD = "The command that carried out this run ended without a word; the same command goes on from there."
_NUMBERS = ("discovered", "read", "unmodified", "delivered", "batches", "batches_failed", "verified")


def snapshot(progress: Progress) -> dict[str, Any]:
    """Return a run's numbers as they are now."""
    counted = {name: getattr(progress, name) for name in _NUMBERS}
    return counted | {"stage": progress.stage, "rules": dict(progress.rules), "verdicts": dict(progress.verdicts)}


def show(progress: Progress, counted: Mapping[str, Any]) -> None:
    """Let a run's numbers over there be what they were here."""
    for name in _NUMBERS:
        setattr(progress, name, counted[name])
    progress.stage = counted["stage"]
    progress.rules, progress.verdicts = Counter(counted["rules"]), Counter(counted["verdicts"])
