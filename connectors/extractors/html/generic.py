"""The content of a page of no known system: measured text, what is plainly chrome dropped, the dominant part kept."""

# ruff: noqa: E501 - tables of names are read by their rows

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from connectors.extractors.html.kinds import DROP
from connectors.extractors.html.tree import is_within

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
    r"|pager|page-?numbers|post-?navigation|nav-links|posts-navigation|skip-?(?:link|to-content|links)|[\w-]*tooltip(?:-?text)?|back-?to-?top|scroll-?(?:to-?)?top|search-?(?:form|box|bar|field)|language-?(?:switcher|selector)|lang-?switch(?:er)?"
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
_SILENT = frozenset(
    {
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "select",
        "textarea",
        "iframe",
        "head",
        "button",
        "-comment",
        "canvas",
        "video",
        "audio",
        "object",
    }
)
_CHROME_TAGS = frozenset({"nav", "aside", "footer", "dialog"})
_CHROME_ROLES = frozenset(
    {"navigation", "banner", "contentinfo", "search", "complementary", "dialog", "menu", "menubar", "alertdialog"}
)
_JUDGED = "nav, aside, footer, dialog, [role], div[class], div[id], section[class], ul[class], ul[id], ol[class], header[class], form[class], form[id], table[class], table[id], p[class], article[class], dl[class], span[class], h3[class], li[class]"
_GUARD = 0.3
_GUARD_OF_COMMENTS = 0.75
_COMMENTS = re.compile(
    r"(?:^|\s)(?:comments?|comment-?list|comments?-?(?:area|section|container|wrapper|thread|block)|disqus[\w-]*|user-?comments|reader-?comments|livefyre|fb-comments|discussion)(?=\s|$)",
    re.IGNORECASE,
)
_LITTLE_PROSE = 150
_A_WORD = 5
_A_LINE = 20
_HEADINGS = "h1, h2, h3, h4"
_TITLE = "main h2, [role=main] h2"  # of a page without h1
_LOST = 0.12
_LOST_BESIDE_ARTICLES = 0.35
_LEAVES = frozenset(
    {"p", "pre", "ul", "ol", "dl", "table", "blockquote", "span", "font", "tbody", "li", "tr", "details", "figure"}
)


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
            elif kind not in _SILENT and dropped.get(child.mem_id) != DROP:
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
    return _names(node.tag or "", attributes.get("class") or "", attributes.get("id") or "")


def _names(tag: str, classes: str, ident: str) -> str:
    # A section's id is made from its heading: a chapter on sidebars is no sidebar.
    made = tag in {"section", "h2", "h3", "h4"} or "section" in classes
    return f"{classes} {'' if made else ident}".replace("__", "-").replace("_", "-")


def judged(tag: str, classes: str, ident: str) -> tuple[bool, bool]:
    """Say whether an element's names are surely, or likely, those of chrome."""
    return _judged(_names(tag, classes, ident))


def _is_chrome(node: LexborNode, size: Measure | None, title: LexborNode | None) -> bool:
    tag = node.tag or ""
    attributes = node.attributes
    if tag in _CHROME_TAGS or (attributes.get("role") or "") in _CHROME_ROLES:
        return True
    named = _named(node)
    sure, likely = _judged(named)
    if sure:
        return not (_CONTENTS.search(named) and _leads_elsewhere(node))
    if not likely or size is None:
        return False
    if size.chars - size.linked > _A_WORD and (node.css_first("h1") or (title is not None and is_within(title, node))):
        return False
    return size.prose < _LITTLE_PROSE or size.linked > size.chars // 2


@lru_cache(maxsize=20_000)
def _judged(named: str) -> tuple[bool, bool]:
    """Say whether names are surely, or likely, those of chrome; the same few names stand all over a site."""
    if len(named) < 3:  # noqa: PLR2004 - no name
        return False, False
    return bool(_SURE.search(named) or _COMMENTS.search(named)), bool(_LIKELY.search(named))


def _is_code(node: LexborNode) -> bool:
    """Say whether a node is a piece of a code block: highlighters name theirs ``hljs-meta`` and the like."""
    above = node.parent if node.tag in {"span", "div", "li"} else None
    while above is not None and above.tag != "pre":
        above = above.parent
    return above is not None


_CONTENTS = re.compile(r"(?:^|\s)(?:toc|table-?of-?contents)(?=\s|$)", re.IGNORECASE)


def _leads_elsewhere(node: LexborNode) -> bool:
    """Say whether a table of contents leads to other pages: then it is what an index page says."""
    targets = [link.attributes.get("href") or "" for link in node.css("a[href]")]
    return sum(not target.startswith("#") for target in targets) > len(targets) // 2


def chrome(body: LexborNode, kinds: dict[int, str]) -> list[str]:
    """Mark what names itself chrome as dropped, unless much of the page stands in it; return what was dropped."""
    measured = Measured()
    whole = measured.take(body, kinds)
    names: list[str] = []
    title = None if body.css_first("h1") else body.css_first(_TITLE)
    for node in body.css(_JUDGED):
        if node.mem_id in kinds:
            continue
        size = measured.of.get(node.mem_id)
        if not _is_chrome(node, size, title) or _is_code(node):
            continue
        guard = _GUARD_OF_COMMENTS if _COMMENTS.search(_named(node)) else _GUARD
        if size is not None and _weight(size) > guard * max(_weight(whole), 1):
            continue
        kinds[node.mem_id] = DROP
        if size is not None and size.chars:
            names.append(f"{node.tag} {(node.attributes.get('class') or node.attributes.get('id') or '')[:40]}".strip())
    for node in body.css("header"):
        if node.parent is not None and node.parent.tag == "body" and not node.css_first("h1"):
            kinds[node.mem_id] = DROP
    return names


def dominant(start: LexborNode, kinds: dict[int, str], measured: Measured, *, is_article: bool = False) -> LexborNode:
    """Descend to the deepest node beside which no prose of weight stands; an article's node may lose more beside it."""
    lost = _LOST_BESIDE_ARTICLES if is_article else _LOST
    node = start
    while True:
        sizes = [
            (child, _weight(size))
            for child in node.iter()
            if (size := measured.of.get(child.mem_id)) is not None and kinds.get(child.mem_id) != DROP
        ]
        if not sizes:
            return node
        best, most = max(sizes, key=lambda pair: pair[1])
        total = sum(weight for _, weight in sizes)
        allowed = (
            _LOST
            if any(_alike(best, child) for child, weight in sizes if child is not best and weight > most / 10)
            else lost
        )
        if best.tag in _LEAVES or best.mem_id in kinds or most < (1 - allowed) * total or not most:
            return node
        if not is_article and _headed_beside(node, best, sizes, kinds):
            return node
        node = best


def _headed_beside(
    node: LexborNode, best: LexborNode, sizes: list[tuple[LexborNode, float]], kinds: dict[int, str]
) -> bool:
    """Say whether a heading, or a part of the text with one, stands beside the largest part."""
    for child, weight in sizes:
        least = 0 if child.tag in {"section", "header", "hgroup"} else _A_LINE
        if child is not best and weight > least and child.css_first(_HEADINGS):
            return True
    return any(
        child.tag in {"h1", "h2", "h3", "h4"} and kinds.get(child.mem_id) != DROP and (child.text() or "").strip()
        for child in node.iter()
    )


def beginning(body: LexborNode, kinds: dict[int, str], measured: Measured, *, is_article: bool) -> LexborNode:
    """Return where the descent begins: the page's one `main`, an article's own element, else the body."""

    def weight(node: LexborNode) -> float:
        size = measured.of.get(node.mem_id)
        return _weight(size) if size is not None and kinds.get(node.mem_id) != DROP else 0.0

    whole = weight(body)
    start = body
    for selector in (_MAIN, _ARTICLE) if is_article else (_MAIN,):
        found = sorted(
            (
                (weight(node), place, node)
                for place, node in enumerate(start.css(selector))
                if node.mem_id != start.mem_id
            ),
            reverse=True,
        )
        if (
            found
            and found[0][0] > _ENOUGH * whole
            and (len(found) == 1 or found[0][0] > 2 * found[1][0] or is_within(found[1][2], found[0][2]))
        ):
            start = found[0][2]
    return start


_MAIN = "main, [role=main]"
_ARTICLE = "article, [itemprop=articleBody]"
_ENOUGH = 0.2


def is_prose(measured: Measured, node: LexborNode) -> bool:
    """Say whether a part is a text, and no list of things: a list has no one node that says it all."""
    size = measured.of.get(node.mem_id)
    return size is not None and size.prose > size.chars / 2 and size.linked < size.chars / 4


def _alike(one: LexborNode, other: LexborNode) -> bool:
    return one.tag == other.tag and one.attributes.get("class") == other.attributes.get("class")


def _weight(size: Measure) -> float:
    """Weigh text: prose most, what is full of links little."""
    if not size.chars:
        return 0.0
    return (size.prose + (size.chars - size.linked) / 4) * max(0.1, 1 - 1.5 * size.linked / size.chars)


_TEASERS = frozenset({"div", "section", "ul", "ol", "aside", "table", "article", "figure", "form"})


def prune(node: LexborNode, kinds: dict[int, str], measured: Measured) -> None:
    """Drop the blocks of an article that are mostly links (teasers, galleries)."""
    for child in node.css(", ".join(_TEASERS)):
        size = measured.of.get(child.mem_id)
        if size is None or child.mem_id == node.mem_id or kinds.get(child.mem_id) == DROP or not size.chars:
            continue
        if (size.linked > 0.6 * size.chars and size.prose < _LITTLE_PROSE) or _GALLERY.search(_named(child)):
            kinds[child.mem_id] = DROP


_GALLERY = re.compile(
    r"(?:^|[\s-])(?:gallery|slideshow|carousel|slider|swiper|photo-?gallery|video-?player|media-?player|playlist)(?=$|[\s-])",
    re.IGNORECASE,
)
