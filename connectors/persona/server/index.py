"""The index of the embedded knowledge base: passages of items by their words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from connectors.persona.server import text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

TOGETHER_CHARS = 1200
"""Short sections that follow each other are one passage up to so many characters: a row of the index costs more than
their words, and references have a hundred headings a page."""

AT_ONCE = 100

# A passage: where it starts and ends, its sections (where each starts, its heading), and what the index is told.
_Passage = tuple[int, int, bytes, str, str, str]


def add(db: sqlite3.Connection, items: Iterable[tuple[int, str, str]]) -> None:
    """Make items known, each told as its id, the title of its page, and its content."""
    (last,) = db.execute("SELECT coalesce(max(id), 0) FROM passages").fetchone()
    numbered = list(enumerate(_told(items), last + 1))
    db.executemany(
        "INSERT INTO passages (id, item_id, starts, ends, sections) VALUES (?, ?, ?, ?, ?)",
        [(number, item_id, *passage[:3]) for number, (item_id, passage) in numbered],
    )
    db.executemany(
        "INSERT INTO words (rowid, title, heading, body) VALUES (?, ?, ?, ?)",
        [(number, *passage[3:]) for number, (_, passage) in numbered],
    )


def add_all(db: sqlite3.Connection) -> None:
    """Make every item known that is stored, a few at a time."""
    stored = db.execute("SELECT items.id, title, content FROM items JOIN pages ON pages.id = page_id ORDER BY items.id")
    while items := stored.fetchmany(AT_ONCE):
        add(db, items)


def take_back(db: sqlite3.Connection, item_id: int, title: str, content: str) -> None:
    """Forget an item that is known by this title and content."""
    # The index keeps no text: what it was told is said again to take it back.
    ids = [number for (number,) in db.execute("SELECT id FROM passages WHERE item_id = ? ORDER BY id", (item_id,))]
    db.executemany(
        "INSERT INTO words (words, rowid, title, heading, body) VALUES ('delete', ?, ?, ?, ?)",
        [(number, *passage[3:]) for number, passage in zip(ids, _passages(title, content), strict=True)],
    )
    db.execute("DELETE FROM passages WHERE item_id = ?", (item_id,))


def _told(items: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, _Passage]]:
    return ((item_id, passage) for item_id, title, content in items for passage in _passages(title, content))


def _passages(title: str, content: str) -> Iterator[_Passage]:
    # Part of the database's layout, with all that it asks of `text`: an index takes a text back only when it is told
    # the very same. Whoever changes it raises `schema.INDEXED_ANEW`.
    called = text.indexed(title)  # the first passage of an item alone has it: search knows the title of each
    for group in _together(text.sections(content)):
        starts, ends = group[0].starts, group[-1].ends
        places = orjson.dumps([(part.starts, part.heading) for part in group])
        body = text.indexed(text.without_hosts(content[starts:ends]))
        yield starts, ends, places, called, _headings(group), body
        called = ""


def _together(sections: Sequence[text.Section]) -> Iterator[list[text.Section]]:
    group: list[text.Section] = []
    for section in sections:
        if group and section.ends - group[0].starts > TOGETHER_CHARS:
            yield group
            group = []
        group.append(section)
    if group:
        yield group


def _headings(group: Sequence[text.Section]) -> str:
    """Return what the sections of a passage are called, each name once."""
    names: dict[str, None] = {}
    for section in group:
        names.update(dict.fromkeys(section.heading.split(text.UNDER)))
    return text.indexed("\n".join(names))
