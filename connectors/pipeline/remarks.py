"""What the embedded knowledge base warns of while a run is open: who was asleep reads the summary, and no log."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHOSE = "connectors.persona.server"


@contextmanager
def heard() -> Iterator[list[str]]:
    """Hear warnings as long as the block lasts; yields the list into which they come, each once."""
    told: list[str] = []
    listener = _Listener(told)
    logger = logging.getLogger(_WHOSE)
    logger.addHandler(listener)
    try:
        yield told
    finally:
        logger.removeHandler(listener)


class _Listener(logging.Handler):
    def __init__(self, told: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what was said."""
        words = record.getMessage()
        if words not in self._told:
            self._told.append(words)
