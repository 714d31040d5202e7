"""Search in the embedded knowledge base: which sections of which pages speak about a question."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from connectors.persona.server.languages import language, language_of
from connectors.persona.server.store import item_name
from connectors.persona.server.text import folded, words

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

MAX_TERMS = 24
CANDIDATES = 60
KEPT_CHARS = 8_000_000
KEPT_ANSWERS = 1000
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
class _Place:
    """A section, and the page it stands on."""

    item: str
    page_id: int
    title: str
    source: str
    language: str
    heading: str
    passage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(_Place):
    """A section that was found.

    Attributes:
        score: larger is better.
        covered: the share of the question's meaning that stands in the section, its title or its heading; 0 to 1.
    """

    score: float
    covered: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section(_Place):
    """A section as search looks at it: its text folded, what it is called, who has it."""

    said: str
    names: str
    own: str


class Shelf:
    """What was looked at and may be asked for again: somebody who asks many questions of one state keeps one.

    Args:
        most_chars: of the texts that it keeps; then it begins anew.
    """

    def __init__(self, *, most_chars: int = KEPT_CHARS) -> None:
        self._most_chars = most_chars
        self.chars = 0
        self._items: dict[int, tuple[Any, ...]] = {}
        self._sections: dict[tuple[int, int], _Section] = {}
        self._lists: dict[str, float] = {}
        self._weights: dict[str, float] = {}
        self._count: int | None = None
        self._found: dict[tuple[str, ...], tuple[int, list[Hit]]] = {}

    def found(self, words: tuple[str, ...], limit: int) -> list[Hit] | None:
        """Return the first hits of a question about these words; None when so many were not looked for."""
        looked_for, hits = self._found.get(words, (0, []))
        return hits[:limit] if limit <= looked_for else None

    def keep(self, words: tuple[str, ...], limit: int, hits: list[Hit]) -> None:
        """Keep what was found: many a question made of a topic is about the topic's own words."""
        if len(self._found) < KEPT_ANSWERS:
            self._found[words] = limit, hits

    def section(self, db: sqlite3.Connection, item_id: int, starts: int, ends: int, heading: str) -> _Section:
        """Return a section of an item."""
        key = (item_id, starts)
        if key not in self._sections:
            page_id, title, source, lang, content = self._item(db, item_id)
            passage = content[starts:ends]
            self.chars += 2 * len(passage)
            self._sections[key] = _Section(
                item=item_name(item_id),
                page_id=page_id,
                title=title,
                source=source,
                language=lang,
                heading=heading,
                passage=passage,
                said=folded(passage),
                names=folded(f"{title}\n{heading}\n"),
                # What stands right under a heading that names the matter explains it; the rest is about parts.
                own=folded(heading.rpartition(" › ")[2] or title),  # noqa: RUF001 - the sign is meant
            )
        return self._sections[key]

    def lists(self, section: _Section) -> float:
        """Return how much of a section only names things."""
        if section.said not in self._lists:
            self._lists[section.said] = _enumerates(section.said)
        return self._lists[section.said]

    def weight(self, db: sqlite3.Connection, word: str) -> float:
        """Return how telling a word is."""
        if self._count is None:
            (self._count,) = db.execute("SELECT count(*) FROM sections").fetchone()
        if word not in self._weights:
            (found,) = db.execute("SELECT count(*) FROM words WHERE words MATCH ?", (quoted(word),)).fetchone()
            self._weights[word] = math.log(1 + (self._count - found + 0.5) / (found + 0.5))
        return self._weights[word]

    def _item(self, db: sqlite3.Connection, item_id: int) -> tuple[Any, ...]:
        """Return an item's page, title, source, language and content."""
        if item_id not in self._items:
            if self.chars >= self._most_chars:
                self.chars = 0
                self._items.clear()
                self._sections.clear()
                self._lists.clear()
            # Sections are cut from it here and not in SQL, which would count through the whole text for each.
            self._items[item_id] = db.execute(
                "SELECT pages.id, title, source, language, content FROM items JOIN pages ON pages.id = page_id"
                " WHERE items.id = ?",
                (item_id,),
            ).fetchone()
            self.chars += len(self._items[item_id][-1])
        return self._items[item_id]


def search(db: sqlite3.Connection, question: str, *, limit: int = 10, shelf: Shelf | None = None) -> list[Hit]:
    """Return the best section of each page that speaks about the question, best page first."""
    shelf = shelf or Shelf()
    found = terms(db, question, shelf=shelf)
    asked = tuple(term.word for term in found)
    hits = shelf.found(asked, limit)
    if hits is None:
        hits = _looked_up(db, found, limit=limit, shelf=shelf) if found else []
        shelf.keep(asked, limit, hits)
    return hits


def _looked_up(db: sqlite3.Connection, found: Sequence[Term], *, limit: int, shelf: Shelf) -> list[Hit]:
    asked = _Asked.of(found)
    best: dict[int, Hit] = {}
    enough = 0.0  # what a section must be worth to be among the first
    for item_id, starts, ends, heading, score in _candidates(db, found):
        hit = _judged(asked, shelf.section(db, item_id, starts, ends, heading), -score, shelf, enough=enough)
        if hit is None:
            continue
        known = best.get(hit.page_id)
        if known is None or hit.score > known.score:
            best[hit.page_id] = hit
            if len(best) >= limit:
                enough = sorted([other.score for other in best.values()], reverse=True)[limit - 1]
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.page_id))[:limit]


def terms(db: sqlite3.Connection, question: str, *, shelf: Shelf | None = None) -> list[Term]:
    """Return the words a question is about, in order; all its words when it has only small ones."""
    shelf = shelf or Shelf()
    said = list(dict.fromkeys(words(question)))
    stop = language(language_of(question)).stop | language("en").stop
    telling = [word for word in said if word not in stop] or said
    return [Term(word=word, weight=shelf.weight(db, word)) for word in telling[:MAX_TERMS]]


def quoted(word: str) -> str:
    """Return a word as a phrase of the full-text query language, in which nothing is special."""
    return '"' + word.replace('"', " ").replace("\x00", " ") + '"'


def _candidates(db: sqlite3.Connection, found: Sequence[Term]) -> list[tuple[int, int, int, str, float]]:
    """Return item, start, end, heading and score (the lowest is best) of sections that share words with a question."""
    # A word on most pages finds nothing by itself, and looking through them all takes the time.
    least = COMMON * max(term.weight for term in found)
    singles = [quoted(term.word) for term in found if term.weight >= least]
    # Neighbours in the question that are neighbours in the text count as a word of their own.
    pairs = [quoted(f"{one.word} {two.word}") for one, two in pairwise(found)]
    # A dotted name is a phrase; its last part is what pages about it say.
    lasts = [quoted(re.split(r"[.\-:/]", term.word)[-1]) for term in found if re.search(r"[.\-:/]", term.word)]
    return db.execute(
        "SELECT item_id, starts, ends, sections.heading, score FROM ("
        "  SELECT rowid, bm25(words, ?, ?, ?) AS score FROM words WHERE words MATCH ? ORDER BY score LIMIT ?"
        ") JOIN sections ON sections.id = rowid",
        (TITLE_WEIGHT, HEADING_WEIGHT, BODY_WEIGHT, " OR ".join([*singles, *pairs, *lasts]), CANDIDATES),
    ).fetchall()


class _Asked(NamedTuple):
    """What is looked for in each section: per term its weight, its stem and its folded form."""

    weights: Sequence[float]
    starts: Sequence[str]
    names: Sequence[str]
    total: float

    @classmethod
    def of(cls, found: Sequence[Term]) -> _Asked:
        weights = [term.weight for term in found]
        return cls(weights, [stem(term.word) for term in found], [folded(term.word) for term in found], sum(weights))

    def share(self, which: Sequence[bool]) -> float:
        """Return the share of the terms' weight that some of them have."""
        if True not in which:
            return 0.0
        return sum(compress(self.weights, which)) / self.total if self.total else 0.0


def _judged(asked: _Asked, section: _Section, score: float, shelf: Shelf, *, enough: float) -> Hit | None:
    """Say what a section is worth to somebody who asks; None when it cannot be worth ``enough``.

    Args:
        score: what the index says.
    """
    starts = asked.starts
    begins = 1.0
    if section.passage.startswith("#"):
        begins += BEGINS * asked.share([_stands(start, section.own) for start in starts])
    named = [_stands(start, section.names) for start in starts]
    worth = (1.0 + NAMED * asked.share(named)) * begins
    if score * (0.5 + 1.0) * worth * (1.0 + DEFINES) < enough:  # were it to say and define everything
        return None
    said = section.said
    covered = asked.share([here or _stands(start, said) for here, start in zip(named, starts, strict=True)])
    if score * (0.5 + covered) * worth * (1.0 + DEFINES) < enough:
        return None
    worth *= 1.0 - LISTS * shelf.lists(section)
    if score * (0.5 + covered) * worth * (1.0 + DEFINES) < enough:
        return None
    defined = [name in said and _definition(name).search(said) is not None for name in asked.names]
    worth *= 1.0 + DEFINES * asked.share(defined)
    return Hit(
        item=section.item,
        page_id=section.page_id,
        title=section.title,
        source=section.source,
        language=section.language,
        heading=section.heading,
        passage=section.passage,
        score=score * (0.5 + covered) * worth,
        covered=covered,
    )


def _enumerates(said: str) -> float:
    """Return the share of a passage that only names things, as a table of contents does."""
    names = sum(len(line[0]) for line in _NAME_LINE.finditer(said))
    links = sum(len(link[0]) for link in _LINK.finditer(said))
    return max(names, links) / len(said) if said else 0.0


def coverage(found: Sequence[Term], text: str) -> float:
    """Return the share of the terms' weight that stands in a text; 0 to 1."""
    said = folded(text)
    asked = _Asked.of(found)
    return asked.share([_stands(start, said) for start in asked.starts])


def _stands(start: str, said: str) -> bool:
    """Say whether a word of a text begins so; in scripts without spaces, whether it stands anywhere."""
    at = said.find(start)
    if at < 0 or not start.isascii():
        return at >= 0
    while at > 0 and said[at - 1].isalnum():
        at = said.find(start, at + 1)
    return at >= 0


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
