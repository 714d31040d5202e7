"""What a node of a page is beyond its tag: a table of selectors, what nobody sees, and what is no content."""

# ruff: noqa: E501 - tables of selectors are read by their rows

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from connectors.extractors.html.suspicion import hidden_by_sheet
from connectors.extractors.html.tree import is_within, together

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

    from connectors.extractors.html.tree import Tree

DROP = "drop"

# What a node is beyond its tag. Later rows win; the table is data, so that a row is all a new system needs.
KINDS: tuple[tuple[str, str], ...] = (
    (
        "admonition",
        (
            ".admonition, .admonitionblock, .theme-admonition, .custom-block, .alert[role=alert], .alert-info, .alert-warning, "
            ".alert-danger, .alert-success, .markdown-alert, .starlight-aside, .callout, .nextra-callout, .hint, "
            "div.note, div.warning, div.tip, div.caution, div.important, div.seealso, blockquote.note, aside.note, "
            ".confluence-information-macro, .ak-editor-panel, .panel-info, .notecard, .docutils.note, .md-callout, .intercom-interblocks-callout, "
            "section.callout-blue, section.callout-green, section.callout-yellow, section.callout-red, [data-callout-type]"
        ),
    ),
    (
        "tabs",
        ".tabbed-set, .sd-tab-set, .vp-code-group, starlight-tabs, .tabs-container, .sphinx-tabs, .tab-set, .tabset, .tabpanel",
    ),
    ("task", "li input[type=checkbox][disabled], .task-list-item input[type=checkbox]"),
    ("tablist", "[role=tablist]"),
    ("panel", "[role=tabpanel]"),
    ("heading", "[role=heading]"),
    ("code", "[data-ds--code--code-block], .notion-code-block"),
    ("title", "div.headertitle > div.title, main > .header > .title, body > .header > .title"),
    (
        "plain",
        "h1 button, h2 button, h3 button, h4 button, h5 button, summary button, button[aria-expanded], button[aria-controls], [data-node-type=expand] > button",
    ),
    (
        "noteref",
        "a.footnote-reference, a.footnote-ref, a.footnoteref, a[role=doc-noteref], a[data-footnote-ref], a.footnote[href^='#'], sup.reference > a",
    ),
    (
        "note",
        "aside.footnote, dl.footnote, .footnotes li, [data-footnotes] li, ol.references > li, .footnote-definition, section[role=doc-endnotes] li, div.footnote[id], div.footnote > ol > li, table.footnote",
    ),
    (
        "math",
        "span.math, div.math, script[type^='math/tex'], .katex, .MathJax_Preview, mjx-container, .mwe-math-element, img.math, .arithmatex",
    ),
    (
        DROP,
        (
            "template, [aria-hidden=true]:not([role=tabpanel]), "
            "a.headerlink, a.permalink, a.anchor:empty, a.anchor-link, a.header-anchor, a.hash-link, a.heading-link, a.anchorjs-link, a.self-link, "
            "a.toclink-permalink, a.anchorlink, a.footnote-backref, a.footnote-back, a[role=doc-backlink]:not(.toc-backref), a.fn-backref, a.fn-backlink, a[data-footnote-backref], "
            ".sr-only, .visually-hidden, .screen-reader-text, .visuallyhidden, .screenreader-only, .assistive, .cdk-visually-hidden, "
            ".linenos, .linenodiv, .lineno, .linenumber, .line-numbers-rows, .line-numbers-wrapper, .gutter, .rouge-gutter, .hljs-ln-numbers, "
            ".react-syntax-highlighter-line-number, td.lntd:first-child, td.listing_lines, .highlight .ln, "
            ".copybtn, .copy-button, .btn-copy, .clipboard-copy, button.copy, #copy-path, .vp-code-group .tabs, .MathJax, "
            "div[class*=language-] > span.lang, .mw-editsection, .skip-link, .skiplink, .noprint, .navbox, .print-only"
        ),
    ),
)

_SELECTORS = tuple(selector for _, selector in KINDS)
_SIGNS = frozenset(
    {
        "",
        "¶",
        "#",
        "§",
        "🔗",
        "\uf0c1",
        "\ue157",
        "∞",
        "⚓",
        "permalink",
        "link",
        "anchor",
        "\u200b",
        "[link]",
        "direct link",
        "❡",
    }
)
_SOURCES = frozenset({"[src]", "src", "[source]", "[edit]"})  # beside a heading's words


def kinds_of(tree: Tree, drop: tuple[str, ...]) -> dict[int, str]:
    """Return what each node of note is, by `mem_id`; a selector of ``drop`` that the parser does not know drops nothing."""
    kinds: dict[int, str] = {}
    for place, nodes in tree.each(_SELECTORS):
        kinds.update([(node.mem_id, KINDS[place][0]) for node in nodes])
    for node in tree.css("h1 a, h2 a, h3 a, h4 a, h5 a, h6 a, dt a"):
        said = (node.text() or "").strip().lower()
        if (said in _SIGNS and _is_sign(node)) or (said in _SOURCES and _text_beside(node)):
            kinds[node.mem_id] = DROP
    for node in unseen(tree):
        kinds[node.mem_id] = DROP
    for node in _any_of(tree, drop):
        kinds[node.mem_id] = DROP
    return kinds


def _any_of(tree: Tree, selectors: tuple[str, ...]) -> list[LexborNode]:
    """Return what any of the selectors matches, without those that the parser does not know."""
    try:
        return tree.css(together(selectors)) if selectors else []
    except Exception:  # noqa: BLE001 - it has no error class of its own
        if len(selectors) == 1:
            return []
        return [node for selector in selectors for node in _any_of(tree, (selector,))]


def _is_sign(node: LexborNode) -> bool:
    """Say whether a link that says nothing leads to where it stands, and shows nothing either."""
    href = node.attributes.get("href")
    return (href is None or "#" in href) and not node.css_first("img[alt]")


def _text_beside(node: LexborNode) -> bool:
    """Say whether a heading, or a part of one, says more than this link in it."""
    above = node.parent
    if above is None or (above.tag not in _HEADS and (above.parent is None or above.parent.tag not in _HEADS)):
        return False  # the source of what a term defines is part of its entry
    return len((above.text() or "").strip()) > len((node.text() or "").strip())


_HEADS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})


def unseen(tree: Tree, within: LexborNode | None = None) -> list[LexborNode]:
    """Return the nodes that styles and attributes hide, without what holds much of the page: scripts show that later."""
    if tree.styled_away is None:
        tree.styled_away = [node for node in tree.css("[style]") if _unseen(node.attributes.get("style") or "")]
    candidates = [node for node in tree.styled_away if within is None or is_within(node, within)]
    candidates.extend(tree.css("[hidden]:not([role=tabpanel]):not([hidden=until-found]):not([class*=tab])", within))
    whole = 0
    out = []
    for node in candidates:
        if node.tag in {"body", "html"} or node.attributes.get("role") == "tabpanel":
            continue
        if len(node.text() or "") > _SHOWN_LATER:
            whole = whole or _text_chars(tree.root if within is None else within)
            if _text_chars(node) > whole // 5:
                continue
        out.append(node)
    return out + hidden_by_sheet(tree, within)


def _text_chars(node: LexborNode) -> int:
    return sum(len(part.text() or "") for part in node.css("p, li, td, pre"))


_SHOWN_LATER = 500
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:px|em|%|pt)?\s*(?:;|!|$)|^(?!.*(?:transform|transition|animation|will-change)).*opacity\s*:\s*0(?:\.0+)?\s*(?:;|!|$)"
    r"|(?:left|top|text-indent)\s*:\s*-\d{4,}|clip\s*:\s*rect\(\s*0|(?:^|;)\s*(?:width|height)\s*:\s*0(?:px)?\s*;.*overflow\s*:\s*hidden",
    re.IGNORECASE,
)


def _unseen(style: str) -> bool:
    return _UNSEEN.search(style) is not None
