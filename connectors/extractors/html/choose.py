"""Which part of a page is its content: candidates in the order of their evidence, and what decides among them."""

# ruff: noqa: E501 - tables of selectors are read by their rows

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

from connectors.extractors import tidy
from connectors.extractors.html.kinds import kinds_of, unseen
from connectors.extractors.html.markdown import MARKDOWN
from connectors.extractors.html.rules import SYSTEMS, System
from connectors.extractors.html.tree import needs, outermost
from connectors.extractors.html.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selectolax.lexbor import LexborNode

    from connectors.extractors.html.article import Found
    from connectors.extractors.html.blocks import Blocks
    from connectors.extractors.html.document import Document
    from connectors.extractors.html.metadata import About
    from connectors.models import CleaningRules

    SecondOpinion = Callable[[], Found | None]

_ENOUGH_CHARS = 200
_LEAST_SHARE = 0.25
_BESIDE = 0.35
_REQUEST_CHARS = 600
_FEW_WORDS = 100  # what was learned was learned from whole pages
_MOST_BLOCKS = 20_000  # each costs a tenth of a millisecond
_SURE_ENOUGH = 0.6
_SURE_OF_MANUAL = 0.8
_TECHNICAL = "pre, code, kbd, samp, tt"
_AGREES = (0.55, 1.3)
_UNSEEN = "script, style, template, svg, select, textarea"
_WORD = re.compile(r"[A-Za-z_][\w-]{3,}")
_QUOTED = re.compile(r"'([^']*)'")
_CHROME = (
    "body > header", "body > footer", "body > nav", "nav", "[role=navigation]", "[role=banner]", "[role=contentinfo]", "[role=search]",
    "[role=complementary]", "#header nav", "#footer", ".site-header", ".site-footer", ".sidebar", "#sidebar", ".cookie-banner", "#cookie-banner",
    "[class*=cookie-consent]", "[id*=cookie-consent]", "[id*=onetrust]", ".breadcrumb", ".breadcrumbs", ".pagination", ".social-share", ".share-buttons",
)  # fmt: skip
_CHROME_ELEMENTS = "nav, header, footer, aside, form, button, dialog, [role=navigation], [role=complementary]"
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


def visible_chars(document: Document) -> int:
    """Return how many characters of text a reader sees in the page, white space not counted."""
    # What a page shows to those without scripts counts when it is more than a request to turn them on.
    tree, node = document.tree, document.body
    silent = [part for part in tree.css("noscript", node) if _letters(part) < _REQUEST_CHARS]
    hidden = outermost([*tree.css(_UNSEEN, node), *silent, *unseen(tree, node)])
    return max(_letters(node) - sum(map(_letters, hidden)), 0)


def _letters(node: LexborNode) -> int:
    return tidy.letters(node.text() or "")


def _says_something(node: LexborNode) -> bool:
    text = node.text() or ""
    return bool(text) and not text.isspace()


def _marks(detect: str) -> list[tuple[str, frozenset[str], str]]:
    """Return a selector list's alternatives, each with the names that it needs and, where no class or id is among
    them, a word (of a value, if it asks for one) that must stand in the page's source.
    """  # noqa: D205 - one sentence
    out = []
    for selector, needed in needs(detect)[0]:
        words = _WORD.findall(selector)
        if words:
            named = any(name[0] in ".#" for name in needed)
            values = _WORD.findall(" ".join(_QUOTED.findall(selector)))
            out.append((selector, needed, "" if named else max(values or words, key=len)))
    return out


_DETECTORS = tuple((system, _marks(system.detect)) for system in SYSTEMS)
_NAMES_OF_SYSTEMS = frozenset(name for _, marks in _DETECTORS for _, needed, _ in marks for name in needed)
_GENERATORS = tuple((system.generator, system) for system in SYSTEMS if system.generator)
_SOURCE_CHARS = 60_000  # where a page links its scripts and styles

SYSTEMS_IN_USE = True
"""The benchmark for unknown generators switches the table off."""


def systems_of(document: Document, generator: str) -> Iterator[System]:
    """Yield the systems that the page shows to be made by, the one it names first."""
    if not SYSTEMS_IN_USE:
        return
    named = generator.lower()
    for name, system in _GENERATORS:
        if named.startswith(name):
            yield system
    start = document.decoded.text[:_SOURCE_CHARS]
    for system, marks in _possible_systems(document.tree.names & _NAMES_OF_SYSTEMS):
        for selector, word in marks:
            if word in start and document.tree.first(selector) is not None:
                yield system
                break


@lru_cache(maxsize=256)
def _possible_systems(names: frozenset[str]) -> list[tuple[System, list[tuple[str, str]]]]:
    """Return the systems that pages with these names can be made by; the pages of a site have much the same names."""
    found = [
        (system, [(selector, word) for selector, needed, word in marks if needed <= names])
        for system, marks in _DETECTORS
    ]
    return [(system, marks) for system, marks in found if marks]


def _matches(document: Document, selector: str) -> list[LexborNode]:
    try:
        return outermost(document.tree.css(selector))
    except Exception:  # noqa: BLE001 - the parser's error for a selector that it does not know
        return []


def _write(document: Document, nodes: list[LexborNode], drop: tuple[str, ...]) -> str:
    kinds = kinds_of(document.tree, drop)
    for node in nodes:
        kinds.pop(node.mem_id, None)
    writer = Writer(MARKDOWN, kinds=kinds, resolve=document.resolve)
    written: list[str] = []
    for node in nodes:
        written.extend(writer.blocks(node))
    return "\n\n".join(written)


_TARGET = re.compile(r"\]\([^)\s]*\)")


def _chars(markdown: str) -> int:
    targets = sum(map(len, _TARGET.findall(markdown))) if "](" in markdown else 0
    return tidy.letters(markdown) - targets  # no white space stands in them


def choose(document: Document, rules: CleaningRules, about: About, *, visible: int) -> Choice | None:
    """Return the page's content by the strongest evidence that keeps enough of what a reader sees; None without any."""
    visible = max(visible, 1)
    tried: list[Choice] = []
    best: Choice | None = None
    believed = {"semantic", "generic", "article"} if about.article else {"semantic", "generic"}
    for candidate in _candidates(document, rules, about):
        kept = _chars(candidate.content)
        choice = replace(candidate, share=min(kept / visible, 1.0))
        tried.append(choice)
        if (kept and (choice.strategy == "select" or kept >= _LEAST_SHARE * visible)) or (
            choice.strategy in believed
            and (
                kept >= _ENOUGH_CHARS
                or (choice.strategy == "semantic" and kept >= _LEAST_SHARE * (visible - _chrome_chars(document)))
            )
        ):
            # A part that its system marks beats a larger one that only names suggest.
            best = choice if best is None or best.share < _BESIDE * choice.share else best
            break
        if best is None and choice.strategy.startswith("system:"):
            if kept >= _LEAST_SHARE * (visible - _chrome_chars(document)):
                best = choice  # a short page among much navigation
                break
            best = choice if kept >= _ENOUGH_CHARS else best
    if best is None:
        best = max(tried, key=lambda choice: choice.share, default=None)
    if best is None or not best.content:
        return None
    shares = [{"strategy": choice.strategy, "why": choice.why, "share": round(choice.share, 3)} for choice in tried]
    chosen = {"strategy": best.strategy, "why": best.why, "kept_share": round(best.share, 3), "candidates": shares}
    return replace(best, report={**best.report, **chosen})


def _chrome_chars(document: Document) -> int:
    """Return how many letters stand in what is chrome by its element."""
    return sum(map(_letters, outermost(document.tree.css(_CHROME_ELEMENTS))))


def _name(node: LexborNode) -> str:
    attributes = node.attributes
    classes = "".join(f".{name}" for name in (attributes.get("class") or "").split()[:2])
    return f"{node.tag}{f'#{name}' if (name := attributes.get('id')) else classes}"[:60]


def _semantic_ancestor(node: LexborNode | None) -> LexborNode | None:
    while node is not None and node.tag not in {"main", "article"} and node.attributes.get("role") != "main":
        node = node.parent
    return node


def _opinion(uri: str, found: Blocks) -> list[float] | None:
    from connectors.extractors.html import article

    return article.opinion(found, uri)


def _judged(document: Document, kinds: dict[int, str], about: About) -> tuple[Choice, float] | None:
    """What the learned judge takes for content, block by block, and how sure it is; None where it cannot be sure."""
    from connectors.extractors.html import blocks, judge  # sites whose system is known need none of it

    found = blocks.read(document.body, kinds)
    if found.parts[0].words < _FEW_WORDS or len(found.blocks) > _MOST_BLOCKS:
        return None
    verdict = judge.verdict(found, about, document.uri, partial(_opinion, document.uri))
    if verdict.sureness < _SURE_ENOUGH or True not in verdict.keep:
        return None
    home = judge.home(found, verdict.keep).node
    dropped = judge.mark(found, verdict.keep, kinds, pictured=about.article)
    content = "\n\n".join(Writer(MARKDOWN, kinds=kinds, resolve=document.resolve).blocks(document.body))
    within = _semantic_ancestor(home)
    inside = f" within {_name(within)}" if within is not None and within.mem_id != home.mem_id else ""
    choice = Choice(
        content=content,
        strategy="generic" if within is None else "semantic",
        why=f"the blocks judged to be content stand in {_name(home)}{inside} (F1 to be expected {verdict.sureness:.2f})",
        weak=within is None,
        report={"dropped": dropped[:20]},
    )
    return choice, verdict.sureness


def _unknown(document: Document, kinds: dict[int, str], about: About, second: SecondOpinion) -> Choice:
    """A page of no known system: what the judge keeps, else the part that holds most of the text."""
    technical, listing = document.tree.first(_TECHNICAL) is not None, document.tree.first("pre") is not None
    if technical and about.article and not about.author and (listing or not about.date):
        about = replace(about, article=False)  # manuals call each page an article; somebody writes an article
    judged = _judged(document, dict(kinds), about)
    if judged is None:
        found = second() if about.article and not listing else None
        if found is not None and len(found.markdown) > _ENOUGH_CHARS:
            return Choice(
                content=found.markdown, strategy="article", why="an article whose blocks cannot be told apart"
            )
        return _generic(document, kinds, about)
    choice, sureness = judged
    if about.article or about.product or not technical:
        return choice
    # Where both agree about a manual's page, or the judge doubts, the whole part is better: every heading of it counts.
    part = _generic(document, kinds, about)
    least, most = _AGREES
    agree = least * _chars(part.content) <= _chars(choice.content) <= most * _chars(part.content)
    return part if agree or (listing and sureness < _SURE_OF_MANUAL) else choice


def _generic(document: Document, kinds: dict[int, str], about: About) -> Choice:
    from connectors.extractors.html import article, generic

    dropped = generic.chrome(document.body, kinds)
    measured = generic.Measured()
    measured.take(document.body, kinds)
    start = generic.beginning(document.body, kinds, measured, is_article=about.article)
    node = generic.dominant(start, kinds, measured, is_article=about.article)
    one_text = about.article or about.product
    if one_text:
        generic.prune(node, kinds, measured)
    elif not generic.is_prose(measured, start):
        node = start
    within = _semantic_ancestor(node)
    kinds.pop(node.mem_id, None)
    content = "\n\n".join(Writer(MARKDOWN, kinds=kinds, resolve=document.resolve).blocks(node))
    if one_text:
        content = article.filtered(content, node.html or "", document.uri)
    report = {"dropped": dropped[:20]}
    if within is not None:
        why = f"most of the text stands in {_name(node)} within {_name(within)}"
        return Choice(content=content, strategy="semantic", why=why, report=report)
    why = f"most of the text stands in {_name(node)}"
    return Choice(content=content, strategy="generic", why=why, weak=True, report=report)


def _second_opinion(document: Document) -> Found | None:
    from connectors.extractors.html import article

    return article.extract(document)


def _described(choice: Choice, about: About) -> Choice:
    """A shop's page: the product's own description comes first where the text lacks it."""
    start = " ".join(about.body.split())[:80]
    if len(start) < 80 or start in " ".join(choice.content.split()):  # noqa: PLR2004 - a beginning that is long enough to prove
        return choice
    return replace(choice, content=f"{about.body}\n\n{choice.content}".strip())


def _made_by(system: System, document: Document, rules: CleaningRules) -> Choice | None:
    """What a system marks as content."""
    for selector in system.container:
        nodes = [node for node in _matches(document, selector) if _says_something(node)]
        if nodes:
            why = f"made by {system.name}; its content is {selector}"
            content = _write(document, nodes, system.drop + rules.remove)
            return Choice(content=content, strategy=f"system:{system.name}", why=why)
    return None


def _candidates(document: Document, rules: CleaningRules, about: About) -> Iterator[Choice]:
    if rules.select:
        nodes = outermost([node for selector in rules.select for node in _matches(document, selector)])
        if nodes:
            content = _write(document, nodes, rules.remove)
            yield Choice(content=content, strategy="select", why="the source's own selectors match")
    for system in systems_of(document, about.generator):
        if choice := _made_by(system, document, rules):
            yield choice
    second = cache(lambda: _second_opinion(document))
    unknown = _unknown(document, kinds_of(document.tree, rules.remove), about, second)
    yield _described(unknown, about) if about.product else unknown
    if found := second():
        yield Choice(content=found.markdown, strategy="article", why="no container: trafilatura", weak=True)
    content = _write(document, [document.body], _CHROME + rules.remove)
    yield Choice(content=content, strategy="body", why="nothing better was found", weak=True)
    if about.body:
        yield Choice(
            content=about.body, strategy="structured", why="the page's structured data says it; its text does not"
        )
