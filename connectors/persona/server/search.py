"""Search in the embedded knowledge base: which sections of which pages speak about a question."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from connectors.persona.server.languages import language, language_of
from connectors.persona.server.store import item_name
from connectors.persona.server.text import folded, words

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

MAX_TERMS = 24
CANDIDATES = 60
KEPT_ITEMS = 1000
# Tuned on 100 questions that the benchmark does not count (tests/benchmarks/retrieval).
TITLE_WEIGHT, HEADING_WEIGHT, BODY_WEIGHT = 4.0, 3.0, 1.0
COMMON = 0.2
NAMED, DEFINES, LISTS, BEGINS = 0.5, 0.5, 0.8, 1.0
_LINK = re.compile(r"\[[^\]]*\]\([^)]*\)")
_NAME_LINE = re.compile(
    r"^[ \t]*[-*+][ \t]+(?:\[[^\]\n]*\]\([^)\n]*\)|`[^`\n]*`|\S+(?:[ \t]\S+){0,3})[ \t]*$", re.MULTILINE
)
_DEFINITION = r"[*`_]*(?:\(|[ \t]*$|[ \t]*:|[ \t]+[-=–—][ \t])"  # noqa: RUF001 - dashes of glossaries


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A word that the question is about, and how telling it is (0 in every section, large when rare)."""

    word: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A section that was found.

    Attributes:
        score: larger is better.
        covered: the share of the question's meaning that stands in the section, its title or its heading; 0 to 1.
    """

    item: str
    page_id: int
    title: str
    source: str
    language: str
    heading: str
    passage: str
    score: float
    covered: float


class Shelf:
    """Sections that were looked at and may come again: somebody who asks many questions of one state keeps one."""

    def __init__(self) -> None:
        self._items: dict[int, tuple[Any, ...]] = {}
        self._read: dict[tuple[int, int], tuple[str, str, float]] = {}

    def item(self, db: sqlite3.Connection, item_id: int) -> tuple[Any, ...]:
        """Return an item's page, title, source, language and content."""
        if item_id not in self._items:
            if len(self._items) >= KEPT_ITEMS:
                self._items.clear()
                self._read.clear()
            # Sections are cut from it here and not in SQL, which would count through the whole text for each.
            self._items[item_id] = db.execute(
                "SELECT pages.id, title, source, language, content FROM items JOIN pages ON pages.id = page_id"
                " WHERE items.id = ?",
                (item_id,),
            ).fetchone()
        return self._items[item_id]

    def passage(self, item_id: int, content: str, starts: int, ends: int) -> tuple[str, str, float]:
        """Return a section's text, the same folded, and how much of it only names things."""
        key = (item_id, starts)
        if key not in self._read:
            passage = content[starts:ends]
            said = folded(passage)
            self._read[key] = passage, said, _enumerates(said)
        return self._read[key]


def search(db: sqlite3.Connection, question: str, *, limit: int = 10, shelf: Shelf | None = None) -> list[Hit]:
    """Return the best section of each page that speaks about the question, best page first."""
    found = terms(db, question)
    if not found:
        return []
    best: dict[int, Hit] = {}
    for hit in _candidates(db, found, shelf or Shelf()):
        known = best.get(hit.page_id)
        if known is None or hit.score > known.score:
            best[hit.page_id] = hit
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.page_id))[:limit]


def terms(db: sqlite3.Connection, question: str) -> list[Term]:
    """Return the words a question is about, in order; all its words when it has only small ones."""
    said = list(dict.fromkeys(words(question)))
    stop = language(language_of(question)).stop | language("en").stop
    telling = [word for word in said if word not in stop] or said
    (sections,) = db.execute("SELECT count(*) FROM sections").fetchone()
    return [Term(word=word, weight=_weight(db, word, sections)) for word in telling[:MAX_TERMS]]


def _weight(db: sqlite3.Connection, word: str, sections: int) -> float:
    (count,) = db.execute("SELECT count(*) FROM words WHERE words MATCH ?", (quoted(word),)).fetchone()
    return math.log(1 + (sections - count + 0.5) / (count + 0.5))


def quoted(word: str) -> str:
    """Return a word as a phrase of the full-text query language, in which nothing is special."""
    return '"' + word.replace('"', " ").replace("\x00", " ") + '"'


def _candidates(db: sqlite3.Connection, found: Sequence[Term], shelf: Shelf) -> list[Hit]:
    # A word on most pages finds nothing by itself, and looking through them all takes the time.
    least = COMMON * max(term.weight for term in found)
    singles = [quoted(term.word) for term in found if term.weight >= least]
    # Neighbours in the question that are neighbours in the text count as a word of their own.
    pairs = [quoted(f"{one.word} {two.word}") for one, two in pairwise(found)]
    # A dotted name is a phrase; its last part is what pages about it say.
    lasts = [quoted(re.split(r"[.\-:/]", term.word)[-1]) for term in found if re.search(r"[.\-:/]", term.word)]
    rows = db.execute(
        "SELECT item_id, starts, ends, sections.heading, score FROM ("
        "  SELECT rowid, bm25(words, ?, ?, ?) AS score FROM words WHERE words MATCH ? ORDER BY score LIMIT ?"
        ") JOIN sections ON sections.id = rowid",
        (TITLE_WEIGHT, HEADING_WEIGHT, BODY_WEIGHT, " OR ".join([*singles, *pairs, *lasts]), CANDIDATES),
    ).fetchall()
    starts_of = [stem(term.word) for term in found]
    hits = []
    for item_id, starts, ends, heading, score in rows:
        page_id, title, source, lang, content = shelf.item(db, item_id)
        passage, said, lists = shelf.passage(item_id, content, starts, ends)
        # What stands right under a heading that names the matter explains it; the rest of the section is about parts.
        own = heading.rpartition(" › ")[2] or title  # noqa: RUF001 - the sign is meant
        begins = 1.0 + BEGINS * coverage(found, own) if passage.startswith("#") else 1.0
        names = folded(f"{title}\n{heading}\n")
        named = [_stands(start, names) for start in starts_of]
        covered = _share(found, [here or _stands(start, said) for here, start in zip(named, starts_of, strict=True)])
        worth = (1.0 + NAMED * _share(found, named)) * (1.0 + DEFINES * _defined(found, said)) * (1.0 - LISTS * lists)
        hits.append(
            Hit(
                item=item_name(item_id),
                page_id=page_id,
                title=title,
                source=source,
                language=lang,
                heading=heading,
                passage=passage,
                score=-score * (0.5 + covered) * worth * begins,
                covered=covered,
            )
        )
    return hits


def _defined(found: Sequence[Term], said: str) -> float:
    """Return the share of the terms' weight that the passage defines: a line begins with the name, as in a glossary."""
    names = [folded(term.word) for term in found]
    return _share(found, [name in said and _definition(name).search(said) is not None for name in names])


def _enumerates(said: str) -> float:
    """Return the share of a passage that only names things, as a table of contents does."""
    names = sum(len(line[0]) for line in _NAME_LINE.finditer(said))
    links = sum(len(link[0]) for link in _LINK.finditer(said))
    return max(names, links) / len(said) if said else 0.0


def coverage(found: Sequence[Term], text: str) -> float:
    """Return the share of the terms' weight that stands in a text; 0 to 1."""
    said = folded(text)
    return _share(found, [_stands(stem(term.word), said) for term in found])


def _share(found: Sequence[Term], which: Sequence[bool]) -> float:
    """Return the share of the terms' weight that some of them have."""
    if True not in which:
        return 0.0
    total = some = 0.0
    for term, here in zip(found, which, strict=True):
        total += term.weight
        if here:
            some += term.weight
    return some / total if total else 0.0


def _stands(start: str, said: str) -> bool:
    """Say whether a word of a text begins so; in scripts without spaces, whether it stands anywhere."""
    if start not in said:
        return False
    return not start.isascii() or _beginning(start).search(said) is not None


@lru_cache(1024)
def _beginning(start: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_]){re.escape(start)}")


@lru_cache(1024)
def _definition(name: str) -> re.Pattern[str]:
    return re.compile(rf"^[\W_]*(?:[\w.]+[.:])?{re.escape(name)}{_DEFINITION}", re.MULTILINE)


@lru_cache(4096)
def stem(word: str) -> str:
    """Return the part of a word that its forms share, about as the index sees it."""
    word = folded(word)
    for end in ("ations", "ation", "ings", "ing", "ies", "es", "ed", "s", "e", "y"):
        if len(word) - len(end) >= 3 and word.endswith(end):  # noqa: PLR2004 - shorter is no word
            return word.removesuffix(end)
    return word
