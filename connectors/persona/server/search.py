"""Search in the embedded knowledge base: which sections of which pages speak about a question."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress, pairwise
from typing import TYPE_CHECKING, NamedTuple

from connectors.persona.server.languages import language, language_of
from connectors.persona.server.shelf import Shelf
from connectors.persona.server.store import item_name
from connectors.persona.server.text import folded, quoted, words

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from connectors.persona.server.shelf import Passage, Section

MAX_TERMS = 24
CANDIDATES = 20
"""Of so many passages the sections are looked at."""
SCORED = 1000
"""To about so many passages (twice as many for a single word) the index gives a score: of words that stand in more, one
says which of these are best."""
PAIRED = 4000
"""Two words that follow each other are looked for as such when neither stands in more passages, and one is rare."""
# Tuned on questions that the benchmark does not count (tests/benchmarks/retrieval).
TITLE_WEIGHT, HEADING_WEIGHT, BODY_WEIGHT = 4.0, 3.0, 1.0
COMMON = 0.35
TITLED, NAMED, DEFINES, LISTS, BEGINS = 0.6, 0.6, 0.5, 0.8, 1.0
BEFORE_NAME = 200
_LINK = re.compile(r"\[[^\]]*\]\([^)]*\)")
_NAME_LINE = re.compile(
    r"^[ \t]*[-*+][ \t]+(?:\[[^\]\n]*\]\([^)\n]*\)|`[^`\n]*`|\S+(?:[ \t]\S+){0,3})[ \t]*$", re.MULTILINE
)
_BEFORE_NAME = re.compile(r"[\W_]*(?:[\w.]+[.:])?")
_DEFINES = re.compile(r"[*`_]*(?:\(|[ \t]*$|[ \t]*:|[ \t]+[-=–—][ \t])", re.MULTILINE)  # noqa: RUF001 - dashes of glossaries


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A word that the question is about, and how telling it is (0 in every section, large when rare)."""

    word: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A section that was found, and the page it stands on.

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


def search(db: sqlite3.Connection, question: str, *, limit: int = 10, shelf: Shelf[Hit] | None = None) -> list[Hit]:
    """Return the best section of each page that speaks about the question, best page first."""
    shelf = shelf or Shelf()
    shelf.tidy()
    found = terms(db, question, shelf=shelf)
    asked = tuple(term.word for term in found)
    hits = shelf.found(asked, limit)
    if hits is None:
        hits = _looked_up(db, found, limit=limit, shelf=shelf) if found else []
        shelf.keep(asked, limit, hits)
    return hits


def _looked_up(db: sqlite3.Connection, found: Sequence[Term], *, limit: int, shelf: Shelf[Hit]) -> list[Hit]:
    asked = _Asked.of(found)
    bounds = [_bound(asked, candidate) for candidate in _candidates(db, found, shelf)]
    bounds.sort(key=lambda bound: -bound.most)
    best: dict[int, tuple[float, _Promise]] = {}
    enough = 0.0  # what a section must be worth to be among the first
    for bound in bounds:
        if bound.most < enough:
            break
        least = max(enough, best[bound.page_id][0] if bound.page_id in best else 0.0)
        if bound.most <= least:
            continue
        for promise in _promises(asked, shelf.passage(db, bound.passage_id), bound, least=least):
            score = _judged(asked, promise, least=least)
            if score > least:
                least = score
                best[bound.page_id] = (score, promise)
        if len(best) >= limit:
            enough = sorted([score for score, _ in best.values()], reverse=True)[limit - 1]
    first = sorted(best.items(), key=lambda pair: (-pair[1][0], pair[0]))[:limit]
    return [_hit(promise, score) for _, (score, promise) in first]


def _hit(promise: _Promise, score: float) -> Hit:
    item, section = promise.passage.item, promise.section
    return Hit(
        item=item_name(item.id),
        page_id=item.page_id,
        title=item.title,
        source=item.source,
        language=item.language,
        heading=section.heading,
        passage=item.content[section.starts : section.ends],
        score=score,
        covered=promise.covered,
    )


def terms(db: sqlite3.Connection, question: str, *, shelf: Shelf[Hit] | None = None) -> list[Term]:
    """Return the words a question is about, in order; all its words when it has only small ones."""
    shelf = shelf or Shelf()
    said = list(dict.fromkeys(words(question)))
    stop = language(language_of(question)).stop | language("en").stop
    telling = [word for word in said if word not in stop] or said
    return [Term(word=word, weight=shelf.weight(db, word)) for word in telling[:MAX_TERMS]]


# A passage that shares words with a question: score (the lowest is best), id, page, sections, title.
_Candidate = tuple[float, int, int, bytes, str]


def _candidates(db: sqlite3.Connection, found: Sequence[Term], shelf: Shelf[Hit]) -> list[_Candidate]:
    rows: list[_Candidate] = db.execute(
        "SELECT score, passages.id, page_id, sections, title FROM ("
        "  SELECT score, passage FROM ("
        "    SELECT bm25(words, ?, ?, ?) AS score, rowid AS passage FROM words WHERE words MATCH ? LIMIT ?"
        "  ) ORDER BY score, passage LIMIT ?"
        ") JOIN passages ON passages.id = passage JOIN items ON items.id = item_id JOIN pages ON pages.id = page_id",
        (TITLE_WEIGHT, HEADING_WEIGHT, BODY_WEIGHT, _expression(db, found, shelf), 2 * SCORED, CANDIDATES),
    ).fetchall()
    return rows


def _expression(db: sqlite3.Connection, found: Sequence[Term], shelf: Shelf[Hit]) -> str:
    """Return what finds the passages about some terms, in the full-text query language."""
    # A word on most pages finds nothing by itself, and looking through them all takes the time.
    least = COMMON * max(term.weight for term in found)
    sought = [term.word for term in found if term.weight >= least]
    # A dotted name is a phrase; its last part is what pages about it say.
    sought += [re.split(r"[.\-:/]", word)[-1] for word in sought if re.search(r"[.\-:/]", word)]
    sought.sort(key=lambda word: shelf.count(db, word))
    rare: list[str] = []
    left = 2 * SCORED  # for one word alone
    for word in sought:
        left -= shelf.count(db, word)
        if left < 0:
            break
        rare.append(quoted(word))
        left = min(left, SCORED)
    common = [quoted(word) for word in sought[len(rare) :]]
    # Where no word is rare, pages and sections that are called so are those that are meant.
    called = [] if rare else [*(f"title : {word}" for word in common[:2]), f"heading : {common[0]}"]
    best = [f"({common[0]} AND ({' OR '.join(rare or called)}))"] if common else []
    # Neighbours in the question that are neighbours in the text count as a word of their own.
    pairs = [
        quoted(f"{one.word} {two.word}")
        for one, two in pairwise(found)
        if min(counts := (shelf.count(db, one.word), shelf.count(db, two.word))) <= SCORED and max(counts) <= PAIRED
    ]
    return " OR ".join([*rare, *called, *pairs, *best])


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

    def sum(self, which: Sequence[bool]) -> float:
        """Return the weight of some of the terms."""
        return sum(compress(self.weights, which)) if True in which else 0.0

    def share(self, which: Sequence[bool]) -> float:
        """Return the share of the terms' weight that some of them have."""
        return self.sum(which) / self.total if self.total else 0.0


class _Bound(NamedTuple):
    """A passage before it is read: what the best of its sections can be worth at most, by what it is called."""

    passage_id: int
    page_id: int
    titled: Sequence[bool]
    score: float
    most: float


def _bound(asked: _Asked, candidate: _Candidate) -> _Bound:
    score, passage_id, page_id, sections, title = candidate
    called, headings = folded(title), folded(sections.decode())
    titled = [_stands(start, called) for start in asked.starts]
    named = [here or _stands(start, headings) for here, start in zip(titled, asked.starts, strict=True)]
    score = (-score + TITLED * asked.sum(titled)) * (1.0 + DEFINES)
    share = asked.share(named)
    return _Bound(passage_id, page_id, titled, score, score * 1.5 * (1.0 + NAMED * share) * (1.0 + BEGINS * share))


class _Promise(NamedTuple):
    """A section before it is read closely: the share of the question that stands there, and what it may be worth."""

    passage: Passage
    section: Section
    covered: float
    most: float


def _promises(asked: _Asked, passage: Passage, bound: _Bound, *, least: float) -> Iterator[_Promise]:
    """Say what the sections of a passage may be worth to somebody who asks, of those that may be worth more."""
    starts, said, titled = asked.starts, passage.said, bound.titled
    by_title = asked.share(titled)
    for section in passage.sections:
        heading, named, share = section.called, titled, by_title
        own = by_title if section.begins and not section.own else 0.0
        if any(start in heading for start in starts):
            named = [here or _stands(start, heading) for here, start in zip(titled, starts, strict=True)]
            share = asked.share(named)
            if section.begins and section.own:
                own = asked.share([_stands(start, section.own) for start in starts])
        worth = bound.score * (1.0 + NAMED * share) * (1.0 + BEGINS * own)
        if worth * 1.5 > least:
            found = [
                here or _stands(start, said, section.at, section.to) for here, start in zip(named, starts, strict=True)
            ]
            covered = asked.share(found)
            yield _Promise(passage, section, covered, worth * (0.5 + covered))


def _judged(asked: _Asked, promise: _Promise, *, least: float) -> float:
    """Return what a section is worth; 0 when it cannot be worth more than ``least``."""
    if promise.most <= least:
        return 0.0
    section = promise.section
    said = promise.passage.said[section.at : section.to]
    most = promise.most * (1.0 - LISTS * _enumerates(said))
    if most <= least:
        return 0.0
    return most * (1.0 + DEFINES * asked.share([_is_defined(name, said) for name in asked.names])) / (1.0 + DEFINES)


@lru_cache(256)
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


def _stands(start: str, said: str, at: int = 0, to: int | None = None) -> bool:
    """Say whether a word of a text begins so; in scripts without spaces, whether it stands anywhere."""
    first, at = at, said.find(start, at, to)
    if at < 0 or not start.isascii():
        return at >= 0
    while at > first and said[at - 1].isalnum():
        at = said.find(start, at + 1, to)
    return at >= 0


def _is_defined(name: str, said: str) -> bool:
    """Say whether a line of a text defines a name: it begins with it, in marks or behind what it belongs to."""
    at = said.find(name)
    while at >= 0:
        ends = at + len(name)
        if _DEFINES.match(said, ends):
            starts = said.rfind("\n", 0, at) + 1
            if at - starts <= BEFORE_NAME and _BEFORE_NAME.fullmatch(said, starts, at):
                return True
        at = said.find(name, ends)
    return False


@lru_cache(4096)
def stem(word: str) -> str:
    """Return the part of a word that its forms share, about as the index sees it."""
    word = folded(word)
    for end in ("ations", "ation", "ings", "ing", "ies", "es", "ed", "s", "e", "y"):
        if len(word) - len(end) >= 3 and word.endswith(end):  # noqa: PLR2004 - shorter is no word
            return word.removesuffix(end)
    return word
