"""What a page says to crawlers: its links, its robots directives, its canonical address, its own Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.web.urls import normalise

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connectors.extractors.html.document import Document

_SOURCES = {"a": "href", "area": "href", "frame": "src", "iframe": "src", "link": "href"}
_NEIGHBOURS = frozenset({"next", "prev"})
_REFRESH = re.compile(
    r"""^\s*[\d.]*\s*[;,]?\s*(?:url\s*=\s*)?(?:"([^"]*)"|'([^']*)'|(.*))$""", re.IGNORECASE | re.DOTALL
)
_OUR_NAMES = frozenset({"robots", "persona-ingest"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Directions:
    """What a page tells a crawler."""

    links: tuple[str, ...]
    canonical: str
    noindex: bool
    nofollow: bool
    alternate_markdown: str


def _refresh_target(document: Document) -> str:
    for meta in document.tree.metas():
        if (meta.get("http-equiv") or "").lower() != "refresh":
            continue
        found = _REFRESH.match(meta.get("content") or "")
        if found:
            return next((group for group in found.groups() if group), "").strip()
    return ""


def links(document: Document) -> tuple[str, ...]:
    """Return the page's links: normal form, document order, once each, http(s), without ``rel=nofollow``.

    Frames, image maps, ``rel=next`` and a refresh count as links.

    Source: HTML Standard, section 4.6.2 (links), 2.4.3 (document base URL).
    """
    base = document.base
    found: dict[str, None] = {}
    refresh = _refresh_target(document)
    if refresh and (target := normalise(refresh, base)):
        found[target] = None
    seen: set[str] = set()
    for tag, attributes in document.tree.told:
        href = attributes.get(_SOURCES.get(tag, ""))
        if not href or href in seen or (href.startswith("#") and base == document.uri):
            continue
        rel = attributes.get("rel")
        if rel or tag == "link":
            words = (rel or "").lower().split()
            if "nofollow" in words or (tag == "link" and not _NEIGHBOURS.intersection(words)):
                continue
        seen.add(href)
        href = href.strip()
        address = href.partition("#")[0]
        plain = address and not address[-1].isspace()
        if target := document.target(address) if plain else normalise(href, base):
            found[target] = None
    return tuple(found)


def robots(document: Document, header: Iterable[str]) -> tuple[bool, bool]:
    """Return (noindex, nofollow) of the meta elements that concern us and of the ``X-Robots-Tag`` header."""
    words = {word.strip().lower() for value in header for word in value.split(",")}
    for meta in document.tree.metas():
        if (meta.get("name") or "").strip().lower() in _OUR_NAMES:
            words.update(word.strip().lower() for word in (meta.get("content") or "").split(","))
    everything = "none" in words
    return everything or "noindex" in words, everything or "nofollow" in words


def _canonical(document: Document, header: str) -> str:
    # A canonical outside of the head does not count: pages quote and hostile comments inject.
    node = document.tree.first("head link[rel~=canonical i][href]") if _has_link(document, "canonical") else None
    href = (node.attributes.get("href") or "").strip() if node is not None else ""
    target = normalise(href, document.base) if href else normalise(header) if header else ""
    return "" if target == document.uri else target


def _alternate_markdown(document: Document) -> str:
    if not _has_link(document, "alternate", "text/markdown"):
        return ""
    node = document.tree.first("link[rel~=alternate i][type='text/markdown' i][href]")
    return normalise((node.attributes.get("href") or "").strip(), document.base) if node is not None else ""


def _has_link(document: Document, rel: str, kind: str = "") -> bool:
    """Say whether a link element may be what is asked for: most pages have none, and a query looks at all elements."""
    return any(
        rel in (said.get("rel") or "").lower() and kind in {"", (said.get("type") or "").lower()}
        for said in document.tree.all_of("link")
    )


def directions(document: Document, *, header: Iterable[str], link_canonical: str) -> Directions:
    """Return everything that the page says to crawlers."""
    noindex, nofollow = robots(document, header)
    return Directions(
        links=() if nofollow else links(document),
        canonical=_canonical(document, link_canonical),
        noindex=noindex,
        nofollow=nofollow,
        alternate_markdown=_alternate_markdown(document),
    )
