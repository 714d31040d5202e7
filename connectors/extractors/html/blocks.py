"""The blocks of a page: one walk over the tree gives every run of text and the elements around it."""

# ruff: noqa: E501 - tables of names are read by their rows

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from connectors.extractors.html.kinds import DROP
from connectors.extractors.html.markdown import NEVER_WRITTEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from selectolax.lexbor import LexborNode

_INLINE = frozenset({
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd",
    "mark", "q", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "label",
    "picture", "button", "noindex",
})  # fmt: skip
_HOLD_IMAGES = frozenset({"p", "figure", "td", "pre", "dd"})
_SIGNS = frozenset({"br", "img"})
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_PROSE = frozenset({"p", "pre", "blockquote", "td", "dd", "li", "figcaption"})
_MOST_NAMES = 12
_LOOK = 6  # tag and classes of an element and of the two around it
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NAME = re.compile(r"[a-z]{2,}")


@dataclass(slots=True, eq=False)
class Part:
    """An element that holds blocks: what stands in it, and its siblings that look the same.

    Elements of one ``shape`` are of the same tag and classes, as are the two around them: a site's template made them.
    Only those that a block stands in directly have one.
    """

    node: LexborNode
    tag: str
    up: Part | None
    depth: int
    classes: str
    ident: str
    named: str
    first: int
    shape: int = -1
    last: int = 0
    words: int = 0
    linked: int = 0
    prose: int = 0
    headings: int = 0
    pictures: int = 0
    twins: int = 1
    twin_words: int = 0
    place: int = 0


@dataclass(slots=True, eq=False)
class Block:
    """A run of text with nothing but inline elements in it, and its nodes."""

    part: Part
    text: str
    words: int
    linked: int
    bold: int
    nodes: list[LexborNode]


@dataclass(slots=True, eq=False)
class Image:
    """A picture, how many blocks end before it, whether it is a link, and whether it stands in no paragraph or figure."""

    node: LexborNode
    place: int
    linked: bool
    loose: bool


@dataclass(slots=True, eq=False)
class Blocks:
    """The blocks of a page in their order, the parts, outer ones first, and the images."""

    blocks: list[Block] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)


@lru_cache(maxsize=20_000)
def names(named: str) -> tuple[str, ...]:
    """Return the words of a class or id, once each."""
    return tuple(dict.fromkeys(_NAME.findall(_CAMEL.sub("-", named).lower())))[:_MOST_NAMES]


def read(body: LexborNode, kinds: Mapping[int, str]) -> Blocks:
    """Return the blocks below ``body``, without what ``kinds`` drops and what is never written."""
    walk = _Walk(kinds)
    walk.take(body)
    return walk.found


class _Walk:
    def __init__(self, kinds: Mapping[int, str]) -> None:
        self._kinds = kinds
        self.found = Blocks()
        self._texts: list[str] = []
        self._nodes: list[LexborNode] = []
        self._linked = 0
        self._bold = 0
        self._shapes: dict[tuple[str, ...], int] = {}

    def take(self, body: LexborNode) -> None:
        part = self._open(body, "body", None)
        self._walk(body, part, in_link=False)
        self._close(part)

    def _open(self, node: LexborNode, tag: str, up: Part | None) -> Part:
        attributes = node.attributes
        classes = ident = named = ""
        if attributes:
            get = attributes.get
            classes = get("class") or ""
            ident = get("id") or ""
            named = f"{classes} {ident}" if classes or ident else ""
            for key in ("role", "itemprop"):
                if value := get(key):
                    named = f"{named} {value}"
        depth = 0 if up is None else up.depth + 1
        part = Part(node, tag, up, depth, classes, ident, named, len(self.found.blocks))
        self.found.parts.append(part)
        return part

    def _shape(self, part: Part) -> int:
        look: list[str] = []
        above: Part | None = part
        while above is not None and len(look) < _LOOK:
            look += (above.tag, above.classes)
            above = above.up
        return self._shapes.setdefault(tuple(look), len(self._shapes))

    def _flush(self, part: Part) -> None:
        whole = "".join(self._texts)
        words = whole.split()
        if words:
            count = len(words)
            linked = round(count * min(self._linked / len(whole), 1.0)) if self._linked else 0
            if part.shape < 0:
                part.shape = self._shape(part)
            self.found.blocks.append(Block(part, " ".join(words), count, linked, self._bold, self._nodes))
            part.words += count
            part.linked += linked
            if part.tag in _PROSE:
                part.prose += count - linked
            elif part.tag in HEADINGS:
                part.headings += 1
        self._texts = []
        self._nodes = []
        self._linked = self._bold = 0

    def _close(self, part: Part) -> None:
        if self._texts:
            self._flush(part)
        part.last = len(self.found.blocks)
        up = part.up
        if up is not None:
            up.pictures += part.pictures
            if part.words:
                up.words += part.words
                up.linked += part.linked
                up.prose += part.prose
                up.headings += part.headings

    def _sign(self, node: LexborNode, tag: str, part: Part, *, in_link: bool) -> None:
        if tag == "br":
            self._texts.append(" ")
        else:
            part.pictures += 1
            loose = part.tag not in _HOLD_IMAGES
            self.found.images.append(Image(node, len(self.found.blocks), in_link, loose))

    def _walk(self, node: LexborNode, part: Part, *, in_link: bool) -> None:
        child = node.first_child
        kinds, code = self._kinds, part.tag == "pre"
        children: dict[tuple[str, str], list[Part]] = {}
        while child is not None:
            tag = child.tag or ""
            if tag == "-text":
                text = child.text_content or ""
                self._texts.append(text)
                self._nodes.append(child)
                if in_link:
                    self._linked += len(text)
            elif tag in _SIGNS:
                self._sign(child, tag, part, in_link=in_link)
            elif (kind := kinds.get(child.mem_id)) == DROP or (kind is None and tag in NEVER_WRITTEN):
                pass
            elif code or tag in _INLINE:  # code is one block, whatever its lines are made of
                self._bold += tag in {"b", "strong"}
                self._walk(child, part, in_link=in_link or tag == "a")
            else:
                if self._texts:
                    self._flush(part)
                own = self._open(child, tag, part)
                self._walk(child, own, in_link=in_link)
                self._close(own)
                children.setdefault((tag, own.classes), []).append(own)
            child = child.next
        for alike in children.values():
            if len(alike) > 1:
                _count(alike)


def _count(alike: list[Part]) -> None:
    """Tell each of some siblings how many they are."""
    words = sum(twin.words for twin in alike)
    for place, twin in enumerate(alike):
        twin.twins, twin.twin_words, twin.place = len(alike), words, place
