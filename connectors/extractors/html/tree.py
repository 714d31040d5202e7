"""Queries on a parsed page: its names are gathered once, and a selector that needs others costs nothing."""

from __future__ import annotations

import re
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from selectolax.lexbor import LexborNode

    Attributes = Mapping[str, str | None]

_UNCERTAIN = re.compile(r"[\\|&/]|[^\x00-\x7f]")  # escapes, name spaces, nesting: left to the parser
_ATTRIBUTE = re.compile(r"\[\s*([A-Za-z_][\w-]*)[^\]]*\]")
_PSEUDO = re.compile(r"::?[A-Za-z-]+")
_NAME = re.compile(r"[.#]?[A-Za-z_-][\w-]*")
_VALUED = frozenset({"role", "itemprop", "rel", "name"})
_EXACT = re.compile(rf"\[\s*({'|'.join(sorted(_VALUED))})\s*=\s*([\w-]+)\s*\]", re.IGNORECASE)
_TELLING = frozenset({"a", "area", "frame", "iframe", "link", "meta", "script"})
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_NUMBER = attrgetter("tag_id")
_ATTRIBUTES = attrgetter("attributes")
_AT_ONCE = 4096  # elements whose attributes are held: a hostile page has half a million
TEXT = 2
"""The parser's number for a piece of text, where elements have that of their tag."""
KNOWN_TAGS = 256
"""Smaller numbers stand for the same tag in all documents; a tag that the parser does not know has an address."""


_TAGS: dict[int, str] = {}


def _tag(number: int, node: LexborNode) -> str:
    """Return a node's tag, and remember it where its number stands for it in all documents."""
    tag = node.tag or ""
    if number < KNOWN_TAGS:
        _TAGS[number] = tag
    return tag


class Tree:
    """A parsed page's nodes, by selector.

    Args:
        elements: all of ``root``'s, where the caller has them.

    Attributes:
        root: the outermost element.
        names: what a selector can ask for, in lower case: tags (``p``), classes (``.note``), ids (``#top``) and the
            names of attributes (``[href``), with their values for those of `_VALUED` (``[role=main``).
        styled_away: what a style of its own hides; gathered by `kinds.unseen`, which is asked several times.
        told: tag and attributes of the elements that speak to machines or lead elsewhere (`_TELLING`), in order.
        beside_links: those of them that are no links in the text: few, and asked for often.
    """

    __slots__ = ("beside_links", "names", "root", "styled_away", "told")

    def __init__(self, root: LexborNode, elements: list[LexborNode] | None = None) -> None:
        self.root = root
        self.styled_away: list[LexborNode] | None = None
        self.told: list[tuple[str, Attributes]] = []
        self.names = self._names(root.css("*") if elements is None else elements)
        self.beside_links = [(tag, said) for tag, said in self.told if tag != "a"]

    def metas(self) -> list[Attributes]:
        """Return the attributes of the page's meta elements."""
        return self.all_of("meta")

    def all_of(self, tag: str) -> list[Attributes]:
        """Return the attributes of all elements with one of the tags of `beside_links`."""
        return [attributes for one, attributes in self.beside_links if one == tag]

    def _names(self, nodes: list[LexborNode]) -> frozenset[str]:
        tags: dict[int, str] = {}
        keys: set[str] = set()
        values: set[str] = set()
        ids: list[str] = []
        classes: set[str | None] = set()
        for start in range(0, len(nodes), _AT_ONCE):
            some = nodes[start : start + _AT_ONCE]
            numbers = list(map(_NUMBER, some))
            for number in set(numbers).difference(tags):
                tags[number] = _TAGS.get(number) or _tag(number, some[numbers.index(number)])
            found = list(map(_ATTRIBUTES, some))
            keys.update(*found)
            for key in keys & _VALUED:
                values.update([f"[{key}={(said[key] or '').lower()}" for said in found if key in said])
            classes.update([said["class"] for said in found if "class" in said])
            ids.extend([said["id"] or "" for said in found if "id" in said])
            telling = {number: tag for number, tag in tags.items() if tag in _TELLING}
            pairs = zip(numbers, found, strict=True)
            self.told.extend([(telling[number], said) for number, said in pairs if number in telling and said])
        names = {f".{name}" for name in " ".join(filter(None, classes)).lower().split()}
        names.update(("#" + "\n#".join(ids)).lower().split("\n"))
        names.update([f"[{key.lower()}" for key in keys])
        names.update(values)
        return frozenset(names.union(tags.values()))

    def leads(self, part: str) -> bool:
        """Say whether ``part`` stands in the address that a link of the page has."""
        return any(part in (said.get("href") or "") for _, said in self.told)

    def css(self, selector: str, within: LexborNode | None = None) -> list[LexborNode]:
        """Return the nodes that match, in document order, as `LexborNode.css` does (a node matches itself)."""
        possible = _possible(selector, self.names)
        return (self.root if within is None else within).css(possible) if possible else []

    def each(self, selectors: tuple[str, ...]) -> Iterator[tuple[int, list[LexborNode]]]:
        """Yield for each selector that can match its place, and the nodes that match."""
        for place, possible in _each_possible(selectors, self.names & _vocabulary(selectors)):
            yield place, self.root.css(possible)

    def first(self, selector: str, within: LexborNode | None = None) -> LexborNode | None:
        """Return the first node that matches."""
        possible = _possible(selector, self.names)
        return (self.root if within is None else within).css_first(possible) if possible else None


def number(text: str | None, default: int) -> int:
    """Return a whole number from an attribute, ``default`` where it is none."""
    try:
        return max(0, min(int(text or default), 999_999_999))
    except ValueError:
        return default


def outermost(nodes: Iterable[LexborNode], within: Iterable[LexborNode] = ()) -> list[LexborNode]:
    """Return the nodes that stand in none of the others, or in none of ``within``, once each.

    The parser gives a node once for each alternative of a selector that it matches.
    """
    own = {node.mem_id: node for node in nodes}
    outer = {node.mem_id for node in within} or own.keys()
    return [node for node in own.values() if not _stands_in(node, outer)]


def is_within(node: LexborNode, outer: LexborNode) -> bool:
    """Say whether a node is ``outer`` or stands in it."""
    return node.mem_id == outer.mem_id or _stands_in(node, {outer.mem_id})


def outermost_of(node: LexborNode) -> LexborNode:
    """Return the outermost element that a node stands in."""
    while (above := node.parent) is not None and above.tag:
        node = above
    return node


def _stands_in(node: LexborNode, outer: Container[int]) -> bool:
    above = node.parent
    while above is not None and above.mem_id not in outer:
        above = above.parent
    return above is not None


def _possible(selector: str, names: frozenset[str]) -> str:
    """Return the alternatives of a selector list that can match where only ``names`` stand; empty when none can."""
    wanted, vocabulary = needs(selector)
    if len(wanted) == 1:
        return selector if vocabulary <= names else ""
    return "" if vocabulary.isdisjoint(names) else _kept(selector, names & vocabulary)


@lru_cache(maxsize=256)
def together(selectors: tuple[str, ...]) -> str:
    """Return selectors as one list.

    Raises:
        ValueError: one of them would change the next, such as one whose bracket is not closed.
    """
    whole = ", ".join(selectors)
    if _alternatives(whole) != [one for selector in selectors for one in _alternatives(selector)]:
        raise ValueError(whole)
    return whole


@lru_cache(maxsize=64)
def _vocabulary(selectors: tuple[str, ...]) -> frozenset[str]:
    return frozenset().union(*(needs(selector)[1] for selector in selectors))


@lru_cache(maxsize=1024)  # the pages of a site have much the same names
def _each_possible(selectors: tuple[str, ...], present: frozenset[str]) -> list[tuple[int, str]]:
    possible = ((place, _possible(selector, present)) for place, selector in enumerate(selectors))
    return [(place, selector) for place, selector in possible if selector]


@lru_cache(maxsize=4096)
def _kept(selector: str, present: frozenset[str]) -> str:
    wanted, _ = needs(selector)
    return ", ".join(alternative for alternative, needed in wanted if needed <= present)


@lru_cache(maxsize=2048)
def needs(selector: str) -> tuple[tuple[tuple[str, frozenset[str]], ...], frozenset[str]]:
    """Return a selector list's alternatives, each with the names it needs to match anything, and all these names."""
    if _UNCERTAIN.search(_QUOTED.sub("", selector)):
        return ((selector, frozenset()),), frozenset()
    wanted = tuple((alternative, _needed(alternative)) for alternative in _alternatives(selector))
    if not all(needed for _, needed in wanted):
        return ((selector, frozenset()),), frozenset()
    return wanted, frozenset().union(*(needed for _, needed in wanted))


def _alternatives(selector: str) -> list[str]:
    """Part a selector list at its outer commas."""
    out, depth, quote, start = [], 0, "", 0
    for place, sign in enumerate(selector):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in "([":
            depth += 1
        elif sign in ")]":
            depth -= 1
        elif sign == "," and not depth:
            out.append(selector[start:place].strip())
            start = place + 1
    return [*out, selector[start:].strip()]


def _needed(alternative: str) -> frozenset[str]:
    """Return the names that must stand in a page for one selector to match, those in its parentheses aside."""
    bare = _QUOTED.sub("", alternative)
    while "(" in bare:
        inner = re.sub(r"\([^()]*\)", "", bare)
        if inner == bare:
            return frozenset()
        bare = inner
    names = {f"[{name.lower()}" for name in _ATTRIBUTE.findall(_EXACT.sub(" ", bare))}
    names.update(f"[{name}={value}".lower() for name, value in _EXACT.findall(bare))
    names.update(name.lower() for name in _NAME.findall(_PSEUDO.sub(" ", _ATTRIBUTE.sub(" ", bare))))
    return frozenset(names)
