"""Where documents lie, as their source sees it: a listing of entries, and each entry's bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a listing.

    Attributes:
        path: relative to the root, with ``/``: what globs match and what the order is by.
        stamp: what changes when the file does, as far as the listing says; with ``~`` at its end it may not.
        refused: the rule it is passed over by before it is read, and the sentence; empty when it is read.
    """

    path: str
    uri: str
    size: int
    stamp: str
    modified: str = ""
    refused: tuple[str, str] = ("", "")


class Store(Protocol):
    """Where files lie: a disk or a bucket."""

    def entries(self) -> Iterator[Entry]:
        """List all files in a stable order."""
        ...

    def read(self, entry: Entry) -> tuple[bytes, Entry]:
        """Return a file's bytes, and its entry as it was when they were read.

        Raises:
            OSError: it cannot be read.
            StillChangingError: it was written to meanwhile.
        """
        ...


class StillChangingError(Exception):
    """The file was written to while it was read."""
