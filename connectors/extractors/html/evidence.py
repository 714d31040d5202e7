"""What speaks for and against each block of a page, as rows of numbers for `judge`."""

# ruff: noqa: E501, RUF001 - tables of names are read by their rows; full stops are those of all scripts

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from connectors.extractors.html import generic, overall
from connectors.extractors.html.blocks import HEADINGS, names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.extractors.html.blocks import Block, Blocks, Part
    from connectors.extractors.html.metadata import About

_TAGS = ("p", "li", "h1", "h2", "h3", "h4", "h5", "h6", "td", "th", "dt", "dd", "pre", "blockquote", "figcaption", "div", "summary", "section", "article", "header", "footer", "aside", "form", "caption", "address")  # fmt: skip
_TAG = {tag: place for place, tag in enumerate(_TAGS)}
_AROUND = ("aside", "header", "footer", "article", "main", "figure")
_BIT = {tag: 1 << place for place, tag in enumerate(_AROUND)}
_ENDS = re.compile(r"[.!?:。！？…\"”')]\W*$")
# What short blocks of chrome, and of what stands beside an article, say: the first group that matches counts.
_PHRASES = re.compile(
    r"(©|\(c\)\s|all rights reserved|copyright|powered by|terms of (?:use|service)|privacy|cookie)"
    r"|(subscribe|newsletter|sign ?up|log ?in|sign in|register|e-?mail address|download the app|notifications)"
    r"|(^(?:share|tweet|facebook|twitter|linkedin|pinterest|email|print|whatsapp|reddit|copy link|like this|loading)\b|share (?:this|on|via)|follow us)"
    r"|(disclaimer|advertis|sponsored|affiliate|promo)"
    r"|(read (?:more|next|also)|related|you (?:may|might) (?:also )?(?:like|be interested)|recommended|more (?:from|stories|on|in)|see also|most (?:read|popular)|trending|popular|latest|recent (?:posts|articles)|previous|next (?:post|article)|up next|view all|see all|(?:show|load) more)"
    r"|(learn more|comments?\b|repl(?:y|ies)\b|leave a|reviews?\b|likes?\b|votes?\b)"
    r"|([$€£¥]\s?\d|\d\s?(?:usd|eur|€)|add to (?:cart|bag|basket|wishlist)|in stock|sku|shipping|quantity|buy now|checkout)"
    r"|(\b(?:posted|published|updated|by|written|author|reviewed|photo|image|credit|source|tags?|filed under|categor(?:y|ies))\b[: ])"
    r"|(\b(?:19|20)\d\d\b|\b\d+ (?:min|hours?|days?|months?|years?) (?:read|ago)|min read)"
)
_BEGINNINGS = (
    "(c)|all rights|copyright|powered by|terms of|privacy|cookie|subscribe|newsletter|signup|sign up|sign in|login|log in|register|email|e-mail"
    "|download the|notifications|share|tweet|facebook|twitter|linkedin|pinterest|print|whatsapp|reddit|copy link|like|loading|follow us|disclaimer"
    "|advertis|sponsored|affiliate|promo|read more|read next|read also|related|you may|you might|recommended|more from|more stories|more on|more in"
    "|see also|most read|most popular|trending|popular|latest|recent posts|recent articles|previous|next post|next article|up next|view all|see all"
    "|show more|load more|learn more|comment|repl|leave a|review|vote|$|add to|in stock|sku|shipping|quantity|buy now|checkout|posted|published"
    "|updated|by |by:|written|author|photo|image|credit|source|tag|filed under|categor|min read|0|1|2|3|4|5|6|7|8|9"
)  # fmt: skip
"""What the alternatives of `_PHRASES` begin with, where a text is ASCII."""
_PHRASE_WORDS = 40
_COMMON = frozenset(
    "the of and to a in is it that for was on are with as be at this have from or had by but not what all were when we there can an your which their said if will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now people my made over did down only way find use may long little very after words called just where most know de la que el en y los del se las por un para con una su al es lo como der die und den von das mit im zu auf ist des dem nicht ein eine als auch le les et une du est dans qui pas sur au il ne ce e o da do os na um uma com não".split()  # noqa: SIM905 - a list of words is read as words
)
_LONG_WORDS = 15
_SAYING_WORDS = 25
_MOST_WORDS = 14
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What was learned of words: above 0 they speak for content, below against it.

    Attributes:
        names: words of classes and ids, for what stands in the element.
        sayings: words and beginnings of short blocks.
        headings: words and beginnings of headings, for what stands under them.
    """

    names: Mapping[str, float]
    sayings: Mapping[str, float]
    headings: Mapping[str, float]


def sayings(lower: str) -> list[str]:
    """Return what a short text in lower case is known by: its words, its beginnings, and all of it where it is short."""
    words = _WORD.findall(lower)
    start = f"={' '.join(words)}" if len(words) <= 4 else f"^{' '.join(words[:3])}"  # noqa: PLR2004 - more is no saying
    return list(dict.fromkeys((*words[:_MOST_WORDS], f"^{' '.join(words[:2])}", start)))


def _letter_by_letter(words: list[str]) -> str:
    """Return a pattern for any of the words that reads each letter once."""
    rest: dict[str, list[str]] = {}
    for word in words:
        rest.setdefault(word[:1], []).append(word[1:])
    if "" in rest:
        return ""
    parts = [re.escape(letter) + _letter_by_letter(others) for letter, others in rest.items()]
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


_BEGINNING = re.compile(_letter_by_letter(_BEGINNINGS.split("|")))


@lru_cache(maxsize=4096)  # what stands around a text is the same on all pages of a site
def phrase(lower: str) -> int:
    """Return the number of the first group of `_PHRASES` that a text in lower case says; 0 without any."""
    start = 0
    if lower.isascii():  # nine of ten texts end here, for a tenth of what the search costs
        beginning = _BEGINNING.search(lower)
        if beginning is None:
            return 0
        start = beginning.start()
    found = _PHRASES.search(lower, start)
    return (found.lastindex or 0) if found else 0


class _Around(NamedTuple):
    """What the elements around a block say together."""

    total: float
    least: float
    most: float
    bits: int
    twins: int
    twin_words: int
    sure: int
    likely: int


class _Own(NamedTuple):
    """What a block's own text says."""

    words: int
    linked: float
    ends: float
    tag: int
    common: float
    phrase: int
    titled: float
    described: float
    said: float
    said_least: float


def _own(block: Block, title: frozenset[str], description: frozenset[str], weights: Mapping[str, float]) -> _Own:
    text, count = block.text, block.words
    lower = text.lower()
    words = lower.split()
    said = [weights.get(one, 0.0) for one in sayings(lower)] if count <= _SAYING_WORDS else _SILENT
    return _Own(
        count,
        block.linked / count,
        1.0 if _ENDS.search(text, max(len(text) - 8, 0)) else 0.0,
        _TAG.get(block.part.tag, len(_TAGS)),
        sum(map(_COMMON.__contains__, words)) / count,
        phrase(lower) if count < _PHRASE_WORDS else 0,
        sum(map(title.__contains__, words)) / count,
        len(description.intersection(words)) / len(description) if description else 0.0,
        sum(said),
        min(said),
    )


_SILENT = [0.0]


class _Shape:
    """The blocks of all elements of one shape: a template's list, cards, or comments."""

    __slots__ = ("first", "last", "linked", "many", "words")

    def __init__(self, first: int) -> None:
        self.first = self.last = first
        self.many = self.words = self.linked = 0


def _shapes(found: Blocks) -> dict[int, _Shape]:
    shapes: dict[int, _Shape] = {}
    for place, block in enumerate(found.blocks):
        shape = shapes.get(block.part.shape)
        if shape is None:
            shape = shapes[block.part.shape] = _Shape(place)
        shape.last = place
        shape.many += 1
        shape.words += block.words
        shape.linked += block.linked
    return shapes


class _Headings:
    """The headings above a place, what they say, and how many blocks it is to the next."""

    def __init__(self, found: Blocks, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._above: list[tuple[int, list[float]]] = []
        self.to_next = [_FAR] * len(found.blocks)
        steps = _FAR
        for place in range(len(found.blocks) - 1, -1, -1):
            self.to_next[place] = steps
            steps = 0 if found.blocks[place].part.tag in HEADINGS else steps + 1

    def take(self, level: int, text: str) -> None:
        """Read a heading: those of its level and below are over."""
        while self._above and self._above[-1][0] >= level:
            self._above.pop()
        said = [self._weights.get(one, 0.0) for one in sayings(text.lower())]
        own, least = sum(said), min(said)
        _, _, outer, outer_least = self.said()
        self._above.append((level, [own, least, own + outer, min(least, outer_least)]))

    def said(self) -> list[float]:
        return self._above[-1][1] if self._above else _UNSAID


_UNSAID = [0.0] * 4
_FAR = 99


class _Names:
    """What the names of a page's elements say, read once: the elements of a template have the same."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._known = {"": _UNNAMED}

    def say(self, named: str) -> tuple[float, float, float]:
        """Return the sum of their weights, the least and the most."""
        known = self._known.get(named)
        if known is None:
            own = [self._weights[name] for name in names(named) if name in self._weights]
            known = self._known[named] = (sum(own), min(own), max(own)) if own else _UNNAMED
        return known


_UNNAMED = (0.0, math.inf, -math.inf)


def _around(part: Part, outer: _Around | None, names_of: _Names) -> _Around:
    total, least, most = names_of.say(part.named)
    bit = _BIT.get(part.tag, 0)
    if outer is None:
        said = math.isfinite(least)
        return _Around(total, least if said else 0.0, most if said else 0.0, bit, 0, 0, 0, 0)
    sure, likely = generic.judged(part.tag, part.classes, part.ident) if part.named else (False, False)
    more = part.twins > 2 and part.twin_words > outer.twin_words  # noqa: PLR2004 - two of a kind are no list
    return _Around(
        outer.total + total,
        min(outer.least, least),
        max(outer.most, most),
        outer.bits | bit,
        part.twins if more else outer.twins,
        part.twin_words if more else outer.twin_words,
        outer.sure + sure,
        outer.likely + likely,
    )


@lru_cache(maxsize=64)
def _stands_in(bits: int) -> tuple[float, ...]:
    return tuple(1.0 if bits & bit else 0.0 for bit in _BIT.values())


def _anchor(found: Blocks, title: frozenset[str]) -> int:
    """Return the place of the heading that is the page's title, else of its first h1; -1 without any."""
    first = -1
    for place, block in enumerate(found.blocks):
        tag = block.part.tag
        if tag not in HEADINGS:
            continue
        if first < 0 and tag == "h1":
            first = place
        if title and block.words < _PHRASE_WORDS:
            shared = sum(word in title for word in block.text.lower().split())
            if shared >= 0.6 * block.words and shared >= 0.5 * len(title):
                return place
    return first


def _dominant(found: Blocks) -> Part:
    """Return the deepest part that holds most of the prose."""
    part = found.parts[0]
    for inner in found.parts[1:]:
        if inner.up is part and inner.prose > 0.6 * part.prose and inner.prose:  # noqa: SIM102
            if inner.tag not in {"p", "li", "td", "pre"}:
                part = inner
    return part


_NOTHING = _Own(0, 0.0, 0.0, -1, 0.0, 0, 0.0, 0.0, 0.0, 0.0)


class _Page:
    """What is the same for all blocks of a page, and for all blocks of one element."""

    def __init__(self, found: Blocks, about: About, uri: str, names: Mapping[str, float], own: list[_Own]) -> None:
        self.around: dict[int, _Around] = {}
        read = _Names(names)
        for part in found.parts:
            if part.words:
                self.around[id(part)] = _around(part, None if part.up is None else self.around[id(part.up)], read)
        body = found.parts[0]
        self.total = max(body.words, 1)
        self.anchor = _anchor(found, frozenset(_WORD.findall(about.title.lower())))
        self.main = _dominant(found)
        self._above: dict[int, list[float]] = {}
        shapes = _shapes(found)
        self.alike = {
            number: [
                shape.many,
                shape.words / shape.many,
                shape.linked / shape.words,
                shape.words / self.total,
                (shape.last - shape.first + 1) / len(found.blocks),
            ]
            for number, shape in shapes.items()
        }
        most = max((shape.words for shape in shapes.values()), default=0) / self.total
        long_words = sum(one.words for one in own if one.words >= _LONG_WORDS and one.linked < 0.4)  # noqa: PLR2004
        self.columns: list[float] = [
            self.main.words / self.total,
            float(about.article),
            float(about.product),
            math.log1p(self.total),
            body.linked / self.total,
            math.log1p(len(found.blocks)),
            long_words / self.total,
            float(bool(about.body)),
            *overall.columns(found, about, uri, [one.phrase for one in own], most),
        ]

    def above(self, part: Part) -> list[float]:
        """Return what the elements around ``part`` say: the three next ones, and the largest below half of the page."""
        known = self._above.get(id(part))
        if known is None:
            up2 = part.up or part
            up3 = up2.up or up2
            big = part
            while big.up is not None and big.up.words < self.total / 2:
                big = big.up
            words = big.words or 1
            known = self._above[id(part)] = [
                part.words, part.words / self.total, part.prose / (part.words or 1),
                up2.words / self.total, up2.prose / (up2.words or 1),
                up3.words, up3.words / self.total, up3.prose / (up3.words or 1),
                words / self.total, big.linked / words, big.prose / words, big.headings, big.last - big.first,
                self.around[id(big)].total, part.twins,
                part.pictures, up3.pictures, big.pictures,
            ]  # fmt: skip
        return known

    def names_near(self, part: Part, up: Part) -> float:
        return self.around[id(part)].total - self.around[id(up.up or up)].total


def rows(found: Blocks, about: About, uri: str, weights: Weights) -> list[list[float]]:
    """Return one row of numbers for each block, in the order of `NAMES`.

    Args:
        found: the page's blocks.
        about: what the page says about itself.
        uri: its address.
        weights: what was learned of words.
    """
    blocks = found.blocks
    title, description = frozenset(about.title.lower().split()), overall.described(about)
    own = [_own(block, title, description, weights.sayings) for block in blocks]
    page = _Page(found, about, uri, weights.names, own)
    headings = _Headings(found, weights.headings)
    many, total, anchor, main = len(blocks), page.total, page.anchor, page.main
    seen: dict[str, int] = {}
    for block in blocks:
        seen[block.text] = seen.get(block.text, 0) + 1
    out: list[list[float]] = []
    before = level = since = phrase = heading_words = 0
    heading_titled = 0.0
    previous = _NOTHING
    for place, block in enumerate(blocks):
        part, one = block.part, own[place]
        up = part.up or part
        wide = page.around[id(part)]
        following = own[place + 1] if place + 1 < many else _NOTHING
        if part.tag in HEADINGS:
            level, since, phrase = int(part.tag[1]), 0, one.phrase
            heading_words, heading_titled = one.words, one.titled
            headings.take(level, block.text)
        else:
            since += 1
        out.append([
            *one,
            place / many, before / total, place, place - anchor if anchor >= 0 else -999.0, part.depth,
            wide.total, wide.least, wide.most, page.names_near(part, up), wide.sure, wide.likely,
            *_stands_in(wide.bits),
            wide.twins, wide.twin_words / total, part.twins,
            *page.above(up),
            previous.linked, previous.tag, following.words, following.tag,
            seen[block.text], level, since, phrase,
            main.first <= place < main.last, max(main.first - place, place - main.last + 1, 0),
            *page.alike[part.shape],
            heading_words, heading_titled, headings.to_next[place], *headings.said(),
            *page.columns,
        ])  # fmt: skip
        before += one.words
        previous = one
    return out


NAMES = (
    *_Own._fields,
    "place", "before", "number", "from title", "depth",
    "names", "names least", "names most", "names near", "chrome", "perhaps chrome",
    *(f"in {tag}" for tag in _AROUND),
    "repeated", "repeated words", "twins",
    "up words", "up share", "up prose", "up2 share", "up2 prose", "up3 words", "up3 share", "up3 prose",
    "large share", "large linked", "large prose", "large headings", "large blocks", "large names", "up twins",
    "up pictures", "up3 pictures", "large pictures",
    "linked before", "tag before", "words after", "tag after",
    "seen", "level", "since heading", "heading phrase",
    "in main part", "from main",
    "alike", "alike words", "alike linked", "alike share", "alike span",
    "heading words", "heading titled", "to heading", "heading said", "heading said least", "headings said", "headings said least",
    "main share", "article", "product", "words of page", "linked of page", "blocks of page", "long of page", "body said",
    *overall.NAMES,
)  # fmt: skip
