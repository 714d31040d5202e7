"""The training data skimmed: an item whose bytes were read before is known by them, and not read again."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from connectors.persona.training import LONGEST_ITEM, BrokenStreamError, Reader

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from connectors.models import Item

_FIRST: Final = re.compile(rb'"training_data"\s*:\s*\[\s*(\{\s*"(?:id|content)"\s*:\s*")')
_LONGEST_HEAD: Final = 4096


def mark_of(data: bytes | bytearray) -> bytes:
    """Return the 128 bits under which an item's bytes are known; SHA-256 is what processors have instructions for."""
    return hashlib.sha256(data).digest()[:16]


class Skimmer:
    """A `Reader` that gives the mark of an item instead of the item, where ``known`` holds it.

    Every item begins with the same bytes, ``{"id":"`` or as this server writes it, and they never stand within a text,
    whose quotation marks are escaped. So items are cut without being read. One that is known is taken out of the
    answer, with its comma; all the rest goes to a `Reader`, which judges it as ever: nothing is known but bytes, from
    one item's beginning to the next, that a `Reader` once found to be one item.

    Args:
        known: marks of items that are not to be read again.
    """

    def __init__(self, known: Container[bytes] = frozenset(), *, max_item_bytes: int = LONGEST_ITEM) -> None:
        self._known = known
        self._reader = Reader(max_item_bytes=max_item_bytes)
        self._max_item_bytes = max_item_bytes
        self._held = bytearray()
        self._head: bytes | None = None  # empty: items are not told apart
        self._searched = 0
        self._at_an_item = False

    def feed(self, data: bytes) -> Iterator[Item | bytes]:
        """Yield the items that these bytes complete, or their marks.

        Raises:
            BrokenStreamError: they are not the documented answer, or one item is over the bound.
        """
        if self._head == b"":
            yield from self._reader.feed(data)
            return
        self._held += data
        if self._head is None:
            yield from self._begin()
        if self._head:
            yield from self._pieces(self._head)

    def finish(self) -> Sequence[Item]:
        """Say that no more bytes come, and return what they had not completed: the last item.

        Raises:
            BrokenStreamError: the document is not complete, or not a success with a list.
        """
        left = list(self._reader.feed(bytes(self._held)))
        self._held.clear()
        self._reader.finish()
        return left

    def _begin(self) -> Iterator[Item]:
        """Find out how items begin; an answer that does not tell is read as it is."""
        found = _FIRST.search(self._held)
        if found is None and len(self._held) < _LONGEST_HEAD:
            return
        self._head = b"" if found is None else found[1]
        end = len(self._held) if found is None else found.start(1)
        before = bytes(self._held[:end])
        del self._held[:end]
        yield from self._reader.feed(before)
        self._at_an_item = self._reader.between_items

    def _pieces(self, head: bytes) -> Iterator[Item | bytes]:
        held, known = self._held, self._known
        start = 0
        while (end := held.find(head, max(start + len(head), self._searched))) >= 0:
            piece = held[start:end]
            start = self._searched = end
            mark = mark_of(piece)
            if self._at_an_item and mark in known:
                yield mark
            else:
                yield from self._read(bytes(piece), mark)
        del held[:start]
        self._searched = max(0, len(held) - len(head) + 1)
        if len(held) > self._max_item_bytes:
            raise BrokenStreamError(f"one item is over {self._max_item_bytes} bytes")

    def _read(self, piece: bytes, mark: bytes) -> Sequence[Item]:
        """Read what stands between two beginnings; it has a mark where it proves to be one item and its comma."""
        whole = self._at_an_item
        items = list(self._reader.feed(piece))
        self._at_an_item = self._reader.between_items and piece.rstrip().endswith(b",")
        return [replace(items[0], mark=mark)] if whole and self._at_an_item and len(items) == 1 else items
