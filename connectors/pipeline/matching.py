"""Recognises our pages in the training data, whose items have an id and a text and nothing else. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from connectors.extractors.tidy import normal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from connectors.models import Item

_HEAD = 24
_SOURCE = "Source: "
_LONGEST_OVERLAP = 2000
_ASCII = bytes(range(128))
_MUCH_WIDE = 2000  # bytes: of scripts that are all wide, characters are folded faster than bytes
_TO_SPACE = bytes(32 if sign < 128 and chr(sign).isspace() else sign for sign in range(256))  # noqa: PLR2004 - ASCII
_WIDE = "\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_WIDE_SPACE = re.compile(b"|".join([sign.encode() for sign in _WIDE]))


def key_in(text: str) -> bytes:
    """Return `key_of` a text's normal form, which is not made where bytes can be folded as they are."""
    raw = text.encode("utf-8", "replace")
    if not text.isascii():
        wide = raw.translate(None, _ASCII)
        if len(wide) > _MUCH_WIDE or _WIDE_SPACE.search(wide):
            return key_of(normal(text))
    # Single spaces stay as they are: only what more of them part is stripped and joined anew.
    parts = map(bytes.strip, raw.translate(_TO_SPACE).split(b"  "))
    return _digest(b" ".join([part for part in parts if part]))


def key_of(normal_text: str) -> bytes:
    """Return the fingerprint under which a normal text is recognised."""
    return _digest(normal_text.encode("utf-8", "replace"))


def _digest(normal_text: bytes) -> bytes:
    return hashlib.blake2b(normal_text, digest_size=16).digest()


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

    Its memory is a few hundred bytes a page: texts that are looked for are known by their keys alone.

    Args:
        wanted: the keys of the texts that we look for.

    Attributes:
        copies: the ids of the items whose text is one that we look for; once it is closed, of those that are there.
        marks: those of the items in ``copies``, by their ids, where they had one and were not `recognised` by it.
        loose: all other items, by the first characters of their normal text.
        unread: the ids of items that were `recognised`, as none of the texts that we look for.
        items: how many items there are.
    """

    wanted: InitVar[Iterable[bytes]]
    copies: dict[bytes, Sequence[str]] = field(init=False)
    marks: dict[str, bytes] = field(default_factory=dict)
    loose: dict[str, list[Loose]] = field(default_factory=lambda: defaultdict(list))
    unread: set[str] = field(default_factory=set)
    items: int = 0

    def __post_init__(self, wanted: Iterable[bytes]) -> None:
        """Make room for what is looked for."""
        self.copies = dict.fromkeys(wanted, ())

    def take(self, item: Item) -> None:
        """Look at one item."""
        key = key_in(item.content)
        if self._is_wanted(key, item.id):
            if item.mark:
                self.marks[item.id] = item.mark
            return
        text = normal(item.content)
        first = item.content.lstrip().partition("\n")[0].strip()
        source = first.removeprefix(_SOURCE) if first.startswith(_SOURCE) else ""
        head = text[:_HEAD]
        self.loose[head].append(Loose(item.id, key, len(text), head, source))

    def recognised(self, item_id: str, key: bytes) -> None:
        """Count an item whose text is known to have this key, and was not read again."""
        if not self._is_wanted(key, item_id):
            self.unread.add(item_id)

    def _is_wanted(self, key: bytes, item_id: str) -> bool:
        self.items += 1
        known = self.copies.get(key)
        if known is None:
            return False
        if isinstance(known, list):
            known.append(item_id)
        else:  # nearly always the only one; a list that grows would keep room
            self.copies[key] = [*known, item_id] if known else (item_id,)
        return True

    def close(self) -> None:
        """Put copies in the order in which they stay, and forget what is not there."""
        for key in [key for key, ids in self.copies.items() if not ids]:
            del self.copies[key]
        for ids in self.copies.values():
            if isinstance(ids, list):
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


class _Found(NamedTuple):
    """Items with one text that stands in a page at one place."""

    start: int
    length: int
    key: bytes
    ids: list[str]


def in_pieces(text: str, loose: Mapping[str, list[Loose]], *, taken: Collection[str] = ()) -> Pieces | None:
    """Find a page in pieces: each contained in the page's text, in order, together covering it (they may overlap).

    Args:
        text: the page's normal text.
        taken: ids that belong to other pages.

    Returns:
        None when something of the page is missing, or it is in one piece.
    """
    chosen: list[_Found] = []
    used: Counter[bytes] = Counter()
    covered = 0
    while covered < len(text):
        found = _reaching_on(text, covered, loose, used=used, taken=taken)
        if found is None:
            return None
        chosen.append(found)
        used[found.key] += 1
        covered = found.start + found.length
        covered += text[covered : covered + 1] == " "
    if len(chosen) < 2:  # noqa: PLR2004 - one piece is no pieces
        return None
    return _shared_out(chosen, used)


def _shared_out(chosen: list[_Found], used: Counter[bytes]) -> Pieces:
    copies = len(chosen[0].ids) // used[chosen[0].key]
    given: Counter[bytes] = Counter()
    items: list[str] = []
    surplus: dict[str, None] = {}
    for found in chosen:
        items.append(found.ids[given[found.key]])
        given[found.key] += 1
        surplus.update(dict.fromkeys(found.ids[used[found.key] : used[found.key] * copies]))
    return Pieces(items=tuple(items), surplus=tuple(surplus))


def _reaching_on(
    text: str, covered: int, loose: Mapping[str, list[Loose]], *, used: Counter[bytes], taken: Collection[str]
) -> _Found | None:
    """Return the longest piece that begins where the last one ended, else one that overlaps it and reaches further."""
    start = covered
    while True:
        longest: _Found | None = None
        for found in _starting(text, start, loose, taken):
            further = found.start + found.length > covered and len(found.ids) > used[found.key]
            if further and (longest is None or found.length > longest.length):
                longest = found
        if longest is not None or covered == 0:
            return longest
        start = text.rfind(" ", 0, max(0, start - 1)) + 1
        if start == 0 or covered - start > _LONGEST_OVERLAP:
            return None


def _starting(text: str, start: int, loose: Mapping[str, list[Loose]], taken: Collection[str]) -> Iterable[_Found]:
    head = text[start : start + _HEAD]
    groups: dict[bytes, _Found] = {}
    for length in range(1, len(head) + 1):  # an item shorter than the head stands under its whole text
        for item in loose.get(head[:length], ()):
            if item.id in taken:
                continue
            if item.key not in groups:
                if key_of(text[start : start + item.length]) != item.key:
                    continue
                groups[item.key] = _Found(start, item.length, item.key, [])
            groups[item.key].ids.append(item.id)
    return groups.values()
