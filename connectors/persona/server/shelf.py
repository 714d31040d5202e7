"""What a search looked at: passages, how often words stand, what was found; kept for who asks many questions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import orjson

from connectors.persona.server.text import UNDER, folded, quoted

if TYPE_CHECKING:
    import sqlite3

KEPT_CHARS = 8_000_000
KEPT_ANSWERS = 1000
COUNTED = 20_000
"""A word that stands in more passages is as common as one that stands in so many."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An item and the page it stands on; ``called`` is the title, folded."""

    id: int
    page_id: int
    title: str
    called: str
    source: str
    language: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of a passage.

    Attributes:
        starts: where it stands in the item; up to ``ends``.
        at: where it stands in the folded text of the passage; up to ``to``.
        called: its headings, folded; ``own`` is the last of them, empty right under the title.
        begins: it begins with its heading, and is not what goes on of a long section.
    """

    starts: int
    ends: int
    at: int
    to: int
    heading: str
    called: str
    own: str
    begins: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A row of the index: sections that follow each other, and their text, folded."""

    item: Item
    said: str
    sections: tuple[Section, ...]


class Shelf(Generic[Found]):
    """What was looked at and may be asked for again: somebody who asks many questions of one state keeps one.

    Args:
        most_chars: of the texts that it keeps; then it begins anew.
    """

    def __init__(self, *, most_chars: int = KEPT_CHARS) -> None:
        self._most_chars = most_chars
        self.chars = 0
        self._items: dict[int, Item] = {}
        self._passages: dict[int, Passage] = {}
        self._counts: dict[str, int] = {}
        self._last: int | None = None
        self._found: dict[tuple[str, ...], tuple[int, list[Found]]] = {}

    def found(self, words: tuple[str, ...], limit: int) -> list[Found] | None:
        """Return the first hits of a question about these words; None when so many were not looked for."""
        looked_for, hits = self._found.get(words, (0, []))
        return hits[:limit] if limit <= looked_for else None

    def keep(self, words: tuple[str, ...], limit: int, hits: list[Found]) -> None:
        """Keep what was found: many a question made of a topic is about the topic's own words."""
        if len(self._found) < KEPT_ANSWERS:
            self._found[words] = limit, hits

    def tidy(self) -> None:
        """Put the texts away when they are too many; between two questions."""
        if self.chars >= self._most_chars:
            self.chars = 0
            self._items.clear()
            self._passages.clear()

    def count(self, db: sqlite3.Connection, word: str) -> int:
        """Return in how many passages a word stands, `COUNTED` at most."""
        if word not in self._counts:
            (self._counts[word],) = db.execute(
                "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)", (quoted(word), COUNTED)
            ).fetchone()
        return self._counts[word]

    def weight(self, db: sqlite3.Connection, word: str) -> float:
        """Return how telling a word is."""
        if self._last is None:  # about the number of passages, and no need to count them
            (self._last,) = db.execute("SELECT coalesce(max(id), 0) FROM passages").fetchone()
        count = self.count(db, word)
        return math.log(1 + (max(self._last - count, 0) + 0.5) / (count + 0.5))

    def passage(self, db: sqlite3.Connection, passage_id: int) -> Passage:
        """Return a passage."""
        if passage_id not in self._passages:
            item_id, ends, places = db.execute(
                "SELECT item_id, ends, sections FROM passages WHERE id = ?", (passage_id,)
            ).fetchone()
            self._passages[passage_id] = found = _passage(self._item(db, item_id), orjson.loads(places), ends)
            self.chars += len(found.said)
        return self._passages[passage_id]

    def _item(self, db: sqlite3.Connection, item_id: int) -> Item:
        if item_id not in self._items:
            # Sections are cut from it here and not in SQL, which would count through the whole text for each.
            page_id, title, source, lang, content = db.execute(
                "SELECT pages.id, title, source, language, content FROM items JOIN pages ON pages.id = page_id"
                " WHERE items.id = ?",
                (item_id,),
            ).fetchone()
            self._items[item_id] = Item(
                id=item_id,
                page_id=page_id,
                title=title,
                called=folded(title),
                source=source,
                language=lang,
                content=content,
            )
            self.chars += len(content)
        return self._items[item_id]


def _passage(item: Item, places: list[tuple[int, str]], ends: int) -> Passage:
    sections, said, at = [], [], 0
    for (starts, heading), until in zip(places, [*(place[0] for place in places[1:]), ends], strict=True):
        said.append(folded(item.content[starts:until]))
        called = folded(heading)
        sections.append(
            Section(
                starts=starts,
                ends=until,
                at=at,
                to=at + len(said[-1]),
                heading=heading,
                called=called,
                own=called.rpartition(UNDER)[2],
                begins=item.content.startswith("#", starts),
            )
        )
        at += len(said[-1])
    return Passage(item=item, said="".join(said), sections=tuple(sections))
