"""The content of a page of no known system: measured text, what is plainly chrome dropped, the dominant part kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connectors.extractors.html import special

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

# Names in class and id for what the site says on every page. `_SURE` names are chrome whatever stands in it, up to the
# guard; `_LIKELY` ones only where there is little prose or most of it is links.
_SURE = re.compile(
    r"(?:^|\s)(?:"
    r"(?:main-|site-|global-|primary-|secondary-|top-|page-|mobile-)?(?:nav|navbar|navigation|menu|footer|masthead|topbar|breadcrumbs?|pagination|colophon)"
    r"|(?:site|global|page|main)-?header|(?:left-?|right-?|primary-?|secondary-?|page-?)?sidebar|[a-z]+-sidebar"
    r"|cookie[\w-]*|[\w-]*cookie-?(?:banner|consent|notice|bar|popup)|gdpr[\w-]*|onetrust[\w-]*|[\w-]*newsletter[\w-]*|[\w-]*subscribe[\w-]*"
    r"|popup[\w-]*|[\w-]*-popup|modal|[\w-]*-modal|lightbox|toast"
    r"|(?:social-?)?shar(?:e|ing)(?:-?(?:bar|buttons?|links?|tools?|icons?|block|widget))?|[\w-]*-share(?:-?(?:bar|buttons?|links?))?|social(?:-?(?:links?|icons?|media|share|sharing|nav))?|sharedaddy|addtoany[\w-]*|a2a_kit|sociable"
    r"|jp-relatedposts|[\w-]*related-?(?:posts?|articles?|content|stories|links?|products?|items?|topics?|reading)[\w-]*|[\w-]*recommend(?:ed|ations?)[\w-]*|you-may-also-like|read-?next|more-?stories|trending[\w-]*|most-?(?:read|popular)[\w-]*|popular-?posts|recent-?posts"
    r"|outbrain[\w-]*|taboola[\w-]*|sponsored?[\w-]*|advert(?:isement|s|ising)?[\w-]*|ads?|ad-(?:slot|unit|container|wrapper|banner|block)[\w-]*|adsbygoogle|promo(?:-[\w-]*)?|[\w-]*-promo"
    r"|pager|page-?numbers|post-?navigation|nav-links|posts-navigation|skip-?(?:link|to-content|links)|back-?to-?top|scroll-?(?:to-?)?top|search-?(?:form|box|bar|field)|language-?(?:switcher|selector)|lang-?switch(?:er)?"
    r"|author-?(?:box|bio|info)|about-?(?:the-)?author|post-?tags|tag-?(?:list|cloud|links)|tags(?:-links)?|entry-?footer|post-?footer|article-?footer|comment-?(?:form|respond|reply)|respond|disqus_thread|mini-?cart|cart-?drawer|wishlist[\w-]*|quick-?view[\w-]*"
    r"|toc|toc_container|table-?of-?contents|ez-toc[\w-]*|print-only|no-?print|widget_[\w-]*|edit-?(?:page|link|this-page)|feedback[\w-]*|rate-?this[\w-]*|screen-reader[\w-]*"
    r")(?=\s|$)",
    re.IGNORECASE,
)
_LIKELY = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|navigation|menu|breadcrumbs?|footer|sidebar|banner|overlay|toolbar|social|share|sharing|related|recommended|comments?|comment-?list|widget|promo|advert|subscribe|signup|sign-up|login"
    r"|filters?|facets?|sort-?by|author|byline|meta|tags|copyright|header|drawer|dropdown|carousel|slider|cta|toc|cart|rating|ratings|ticker|disclaimer|newsletter|pagination|sponsor)(?:$|[\s_-])",
    re.IGNORECASE,
)
_MEASURED = frozenset({
    "div", "section", "article", "main", "td", "table", "tbody", "tr", "ul", "ol", "aside", "header", "footer", "nav", "form", "body", "center", "dl",
    "blockquote", "fieldset", "details", "figure", "li", "p", "pre", "font", "span", "noindex",
})  # fmt: skip
_SILENT = frozenset({"script", "style", "noscript", "template", "svg", "select", "textarea", "iframe", "head", "button", "-comment", "canvas", "video", "audio", "object"})
_CHROME_TAGS = frozenset({"nav", "aside", "footer", "dialog"})
_CHROME_ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "complementary", "dialog", "menu", "menubar", "alertdialog"})
_JUDGED = "div, section, aside, ul, ol, nav, header, footer, form, p, span, table, td, article, dialog, h2, h3, h4, a, li, dl"
_GUARD = 0.3
_GUARD_OF_COMMENTS = 0.75
_COMMENTS = re.compile(r"(?:^|\s)(?:comments?|comment-?list|comments?-?(?:area|section|container|wrapper|thread|block)|disqus[\w-]*|user-?comments|reader-?comments|livefyre|fb-comments|discussion)(?=\s|$)", re.IGNORECASE)
_LITTLE_PROSE = 150
_LOST = 0.12
_LEAVES = frozenset({"p", "pre", "ul", "ol", "dl", "table", "blockquote", "span", "font", "tbody", "li", "tr"})


@dataclass(slots=True)
class Measure:
    """Letters below a node, those in links, and those in paragraphs, code, tables and lists of text."""

    chars: int = 0
    linked: int = 0
    prose: int = 0


@dataclass(slots=True)
class Measured:
    """A page's measures by `mem_id`."""

    of: dict[int, Measure] = field(default_factory=dict)

    def take(self, node: LexborNode, dropped: dict[int, str], *, in_link: bool = False) -> Measure:
        """Measure ``node`` and everything below it that is not dropped."""
        total = Measure()
        tag = node.tag
        prose = tag in {"p", "pre", "blockquote", "td", "dd", "li", "figcaption"}
        own = 0
        child = node.first_child
        while child is not None:
            kind = child.tag
            if kind == "-text":
                own += len("".join((child.text_content or "").split()))
            elif kind not in _SILENT and dropped.get(child.mem_id) != special.DROP:
                below = self.take(child, dropped, in_link=in_link or kind == "a")
                total.chars += below.chars
                total.linked += below.linked
                total.prose += below.prose
            child = child.next
        total.chars += own
        if in_link:
            total.linked += own
        elif prose:
            total.prose = total.chars - total.linked
        if tag in _MEASURED:
            self.of[node.mem_id] = total
        return total


def _named(node: LexborNode) -> str:
    attributes = node.attributes
    return f"{attributes.get('class') or ''} {attributes.get('id') or ''}".replace("__", "-").replace("_", "-")


def _is_chrome(node: LexborNode, size: Measure | None) -> bool:
    tag = node.tag or ""
    attributes = node.attributes
    if tag in _CHROME_TAGS or (attributes.get("role") or "") in _CHROME_ROLES:
        return True
    named = _named(node)
    if len(named) < 3:  # noqa: PLR2004 - no name
        return False
    if _SURE.search(named) or _COMMENTS.search(named):
        return True
    if not _LIKELY.search(named) or size is None:
        return False
    return size.prose < _LITTLE_PROSE or size.linked > size.chars // 2


def chrome(body: LexborNode, kinds: dict[int, str]) -> list[str]:
    """Mark what names itself chrome as dropped, unless much of the page stands in it; return what was dropped."""
    measured = Measured()
    whole = measured.take(body, kinds)
    names: list[str] = []
    for node in body.css(_JUDGED):
        if node.mem_id in kinds:
            continue
        size = measured.of.get(node.mem_id)
        if not _is_chrome(node, size):
            continue
        guard = _GUARD_OF_COMMENTS if _COMMENTS.search(_named(node)) else _GUARD
        if size is not None and _weight(size) > guard * max(_weight(whole), 1):
            continue
        kinds[node.mem_id] = special.DROP
        if size is not None and size.chars:
            names.append(f"{node.tag} {(node.attributes.get('class') or node.attributes.get('id') or '')[:40]}".strip())
    for node in body.css("header"):
        if node.parent is not None and node.parent.tag == "body" and not node.css_first("h1"):
            kinds[node.mem_id] = special.DROP
    return names


def dominant(start: LexborNode, kinds: dict[int, str]) -> tuple[LexborNode, Measured]:
    """Descend to the deepest node beside which no prose of weight stands."""
    measured = Measured()
    measured.take(start, kinds)
    node = start
    while True:
        here = measured.of.get(node.mem_id)
        if here is None or not here.chars:
            return node, measured
        best, most = None, -1
        for child in node.iter():
            size = measured.of.get(child.mem_id)
            if size is not None and _weight(size) > most and kinds.get(child.mem_id) != special.DROP:
                best, most = child, _weight(size)
        if best is None or best.tag in _LEAVES or most < (1 - _LOST) * _weight(here):
            return node, measured
        node = best


def _weight(size: Measure) -> float:
    return size.prose + (size.chars - size.linked) / 4


