"""Recognises our pages in the training data, whose items have an id and a text and nothing else. Pure."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from connectors.extractors.tidy import normal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from connectors.models import Item

_HEAD = 24
_SOURCE = "Source: "


def key_of(normal_text: str) -> bytes:
    """Return the fingerprint under which a normal text is recognised."""
    return hashlib.blake2b(normal_text.encode("utf-8", "replace"), digest_size=16).digest()


def id_order(item_id: str) -> tuple[int, str]:
    """Order ids so that ``9`` comes before ``10``: of several copies the lowest stays."""
    return len(item_id), item_id


class Loose(NamedTuple):
    """An item that is no whole page of ours: perhaps a piece of one, perhaps changed, perhaps somebody else's."""

    id: str
    key: bytes
    length: int
    head: str
    source: str


@dataclass(slots=True)
class Reading:
    """One reading of the whole training data, as far as we need it.

    Attributes:
        copies: the ids of the items whose text is one that we look for.
        loose: all other items, by the first characters of their normal text.
        items: how many items there are.
    """

    wanted: Collection[bytes]
    copies: dict[bytes, list[str]] = field(default_factory=lambda: defaultdict(list))
    loose: dict[str, list[Loose]] = field(default_factory=lambda: defaultdict(list))
    items: int = 0

    def take(self, item: Item) -> None:
        """Look at one item."""
        self.items += 1
        text = normal(item.content)
        key = key_of(text)
        if key in self.wanted:
            self.copies[key].append(item.id)
            return
        first = item.content.lstrip().partition("\n")[0].strip()
        source = first.removeprefix(_SOURCE) if first.startswith(_SOURCE) else ""
        head = text[:_HEAD]
        self.loose[head].append(Loose(item.id, key, len(text), head, source))

    def close(self) -> None:
        """Put copies in the order in which they stay."""
        for ids in self.copies.values():
            ids.sort(key=id_order)
        for items in self.loose.values():
            items.sort(key=lambda item: id_order(item.id))

    def loose_ids(self) -> set[str]:
        """Return the ids of all loose items."""
        return {item.id for items in self.loose.values() for item in items}

    def by_source(self) -> dict[str, list[Loose]]:
        """Return loose items by the address in their first line."""
        found: dict[str, list[Loose]] = defaultdict(list)
        for items in self.loose.values():
            for item in items:
                if item.source:
                    found[item.source].append(item)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """A page that came back in several items.

    Attributes:
        items: one item for each piece, in the order of the text.
        surplus: items that are further copies of pieces; no more copies than there are of the first piece, which
            holds the ``Source:`` line and so proves to be ours.
    """

    items: tuple[str, ...]
    surplus: tuple[str, ...]


def in_pieces(text: str, loose: Mapping[str, list[Loose]], *, taken: Collection[str] = ()) -> Pieces | None:
    """Find a page in pieces: each contained in the page's text, in order, together covering it (they may overlap).

    Args:
        text: the page's normal text.
        taken: ids that belong to other pages.

    Returns:
        None when something of the page is missing.
    """
    chosen: list[list[str]] = []
    covered = 0
    for start, groups in _candidates(text, loose, taken):
        if start > covered + 1:
            break
        best = max(groups, key=lambda group: group[0])
        if start + best[0] > covered:
            chosen.append(best[1])
            covered = start + best[0]
    if covered < len(text) or not chosen or len(chosen) == 1:
        return None
    used = {ids[0] for ids in chosen}
    pages = len(chosen[0])
    surplus = [item for ids in chosen for item in ids[1:pages] if item not in used]
    return Pieces(items=tuple(ids[0] for ids in chosen), surplus=tuple(dict.fromkeys(surplus)))


def _candidates(
    text: str, loose: Mapping[str, list[Loose]], taken: Collection[str]
) -> Iterable[tuple[int, list[tuple[int, list[str]]]]]:
    """Yield, for each place where a piece may begin, the pieces that do begin there: length and ids."""
    places = [0]
    ends: set[int] = set()
    index = 0
    while index < len(places):
        start = places[index]
        index += 1
        groups: dict[bytes, tuple[int, list[str]]] = {}
        for item in _starting(text, start, loose):
            if item.id in taken:
                continue
            if item.key not in groups:
                if key_of(text[start : start + item.length]) != item.key:
                    continue
                groups[item.key] = (item.length, [])
            groups[item.key][1].append(item.id)
        found = [group for group in groups.values() if group[1]]
        if found:
            yield start, found
            ends.update(start + length for length, _ in found)
        # A piece begins where another ends, or, where pieces overlap, at some word before that.
        following = text.find(" ", start) + 1
        nexts = {end + (text[end : end + 1] == " ") for end in ends if end > start}
        if following > 0:
            nexts.add(following)
        later = [place for place in nexts if start < place < len(text)]
        if later:
            places.append(min(later))
        ends = {end for end in ends if end > start}


def _starting(text: str, start: int, loose: Mapping[str, list[Loose]]) -> Iterable[Loose]:
    head = text[start : start + _HEAD]
    for length in range(1, len(head) + 1):  # an item shorter than the head stands under its whole text
        yield from loose.get(head[:length], ())
