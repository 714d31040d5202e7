"""Which part of a page is its content: candidates in the order of their evidence, and what decides among them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectors.extractors.html import article, special
from connectors.extractors.html.markdown import Writer
from connectors.extractors.html.rules import SYSTEMS, System

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selectolax.lexbor import LexborNode

    from connectors.extractors.html.document import Document
    from connectors.extractors.html.metadata import About
    from connectors.models import CleaningRules

_ENOUGH_CHARS = 200
_LEAST_SHARE = 0.25
_UNSEEN = "script, style, noscript, template, svg, select, textarea, [hidden]"
_WORD = re.compile(r"[A-Za-z_][\w-]{3,}")
_CHROME = (
    "body > header", "body > footer", "body > nav", "nav", "[role=navigation]", "[role=banner]", "[role=contentinfo]", "[role=search]",
    "[role=complementary]", "#header nav", "#footer", ".site-header", ".site-footer", ".sidebar", "#sidebar", ".cookie-banner", "#cookie-banner",
    "[class*=cookie-consent]", "[id*=cookie-consent]", "[id*=onetrust]", ".breadcrumb", ".breadcrumbs", ".pagination", ".social-share", ".share-buttons",
)  # fmt: skip
_SEMANTIC = ("main", "[role=main]", "article", "#main-content", "#main", "#content", ".main-content", ".content")
_SEMANTIC_DROP = (
    "nav", "[role=navigation]", "[role=search]", "footer", "[role=contentinfo]", ".breadcrumb", ".breadcrumbs", ".pagination", ".pager",
    ".edit-page", ".edit-this-page", ".page-nav", ".prev-next", ".toc", "#toc", ".table-of-contents", ".feedback", ".social-share", ".share-buttons",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The content of a page, and why this is it."""

    content: str
    strategy: str
    why: str
    weak: bool = False
    share: float = 0.0
    report: dict[str, Any] = field(default_factory=dict)


def visible_chars(node: LexborNode) -> int:
    """Return how many characters of text a reader sees below ``node``, white space not counted."""
    total = _letters(node)
    for unseen in node.css(_UNSEEN):
        total -= _letters(unseen)
    return max(total, 0)


def _letters(node: LexborNode) -> int:
    return len("".join((node.text() or "").split()))


def _marks(detect: str) -> list[tuple[str, str]]:
    """Return (a word that must stand in the page, selector) for each alternative of a selector list."""
    out = []
    for selector in re.split(r",\s*(?![^(\[]*[)\]])", detect):
        words = _WORD.findall(selector)
        if words:
            out.append((max(words, key=len), selector))
    return out


_DETECTORS = tuple((system, _marks(system.detect)) for system in SYSTEMS)
_GENERATORS = tuple((system.generator, system) for system in SYSTEMS if system.generator)


def systems_of(document: Document, generator: str) -> Iterator[System]:
    """Yield the systems that the page shows to be made by, the one it names first."""
    named = generator.lower()
    for name, system in _GENERATORS:
        if named.startswith(name):
            yield system
    text = document.decoded.text
    for system, marks in _DETECTORS:
        for word, selector in marks:
            if word in text and document.root.css_first(selector) is not None:
                yield system
                break


def _outermost(nodes: list[LexborNode]) -> list[LexborNode]:
    """Return the nodes that stand in none of the others."""
    ids = {node.mem_id for node in nodes}
    out = []
    for node in nodes:
        parent = node.parent
        while parent is not None and parent.mem_id not in ids:
            parent = parent.parent
        if parent is None:
            out.append(node)
    return out


def _matches(document: Document, selector: str) -> list[LexborNode]:
    try:
        return _outermost(document.root.css(selector))
    except Exception:  # noqa: BLE001 - the parser's error for a selector that it does not know
        return []


def _write(document: Document, nodes: list[LexborNode], drop: tuple[str, ...]) -> str:
    kinds, _ = special.kinds_of(document.root, drop)
    for node in nodes:
        kinds.pop(node.mem_id, None)
    writer = Writer(kinds=kinds, resolve=document.resolve)
    blocks: list[str] = []
    for node in nodes:
        blocks.extend(writer.blocks(node))
    return "\n\n".join(blocks)


def _chars(markdown: str) -> int:
    return len("".join(re.sub(r"\]\([^)\s]*\)", "", markdown).split()))


def choose(document: Document, rules: CleaningRules, about: About) -> Choice | None:
    """Return the page's content by the strongest evidence that keeps enough of what a reader sees; None without any."""
    visible = visible_chars(document.body) or 1
    tried: list[dict[str, Any]] = []
    for choice in _candidates(document, rules, about):
        share = min(_chars(choice.content) / visible, 1.0)
        tried.append({"strategy": choice.strategy, "why": choice.why, "share": round(share, 3)})
        enough = share >= _LEAST_SHARE or choice.strategy == "select" or choice.strategy == "article"
        if choice.content and (enough or (choice.strategy == "body" and choice.content)):
            return Choice(
                content=choice.content, strategy=choice.strategy, why=choice.why, weak=choice.weak, share=share,
                report={"strategy": choice.strategy, "why": choice.why, "kept_share": round(share, 3), "candidates": tried},
            )  # fmt: skip
    return None


def _candidates(document: Document, rules: CleaningRules, about: About) -> Iterator[Choice]:
    if rules.select:
        nodes = _outermost([node for selector in rules.select for node in _matches(document, selector)])
        if nodes:
            yield Choice(
                content=_write(document, nodes, rules.remove), strategy="select", why="the source's own selectors match"
            )
    for system in systems_of(document, about.generator):
        for selector in system.container:
            nodes = [node for node in _matches(document, selector) if _letters(node)]
            if nodes:
                why = f"made by {system.name}; its content is {selector}"
                yield Choice(
                    content=_write(document, nodes, system.drop + rules.remove),
                    strategy=f"system:{system.name}",
                    why=why,
                )
                break
    if about.article:
        found = article.extract(document)
        if found:
            yield Choice(content=found.markdown, strategy="article", why="the page declares itself an article")
    best = max(
        (node for selector in _SEMANTIC[:3] for node in _matches(document, selector)), key=_letters, default=None
    )
    if best is not None and _letters(best) > _ENOUGH_CHARS:
        yield Choice(
            content=_write(document, [best], _SEMANTIC_DROP + rules.remove),
            strategy="semantic",
            why=f"the largest {best.tag} of the page",
        )
    found = article.extract(document)
    if found:
        yield Choice(
            content=found.markdown, strategy="article", why="no known system, no container: trafilatura", weak=True
        )
    yield Choice(
        content=_write(document, [document.body], _CHROME + rules.remove),
        strategy="body",
        why="nothing better was found",
        weak=True,
    )
