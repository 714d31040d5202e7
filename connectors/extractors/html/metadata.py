"""What a page says about itself: title, author, dates, language, section."""

# ruff: noqa: E501, RUF001 - tables of names are read by their rows; the separators are those that titles use

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from connectors.extractors.html import structured
from connectors.extractors.tidy import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.extractors.html.document import Document
    from connectors.models import Hints

_SEPARATOR = re.compile(r"\s+(?:[|·•»›«‹:—–-]|::|//|~)\s+|\s*[|»—]\s*|(?<=\w): (?=[A-Z])")
_INITIALS = 2  # so few letters prove nothing
_FIRST_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
# Three forms of dates, compiled by the first page that has one.
_ISO = r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(Z|[+-]\d{2}:?\d{2})?)?"
_COMPACT = r"^(\d{4})(\d{2})(\d{2})$"
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_WRITTEN = r"(?:(?P<d1>\d{1,2})(?:st|nd|rd|th)?\.?\s+)?(?P<m>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?\s+(?:(?P<d2>\d{1,2})(?:st|nd|rd|th)?,?\s+)?(?P<y>\d{4})"
_URL_DATE = re.compile(r"/(20\d{2}|19\d{2})/(\d{1,2})/(\d{1,2})(?:/|$)|/(20\d{2})-(\d{2})-(\d{2})[-/]")
_LANGUAGE = re.compile(r"^[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*$")

_ARTICLES = frozenset({
    "Article", "NewsArticle", "BlogPosting", "TechArticle", "Report", "ScholarlyArticle", "LiveBlogPosting", "SocialMediaPosting",
    "AnalysisNewsArticle", "OpinionNewsArticle", "ReviewNewsArticle", "ReportageNewsArticle", "MedicalScholarlyArticle", "HowTo", "Recipe",
})  # fmt: skip
_PUBLISHED = (
    "article:published_time", "datepublished", "date", "dc.date", "dc.date.issued", "dcterms.date", "dcterms.created", "dc.date.created",
    "citation_publication_date", "citation_date", "parsely-pub-date", "sailthru.date", "pubdate", "publish-date", "publication_date",
    "publishdate", "og:published_time", "article.published", "bt:pubdate", "cxenseparse:recs:publishtime",
)  # fmt: skip
_MODIFIED = ("article:modified_time", "og:updated_time", "datemodified", "dcterms.modified", "last-modified", "dc.date.modified", "lastmod", "revised", "docusaurus_last_update")  # fmt: skip
_BREADCRUMBS = (
    "nav[aria-label*=breadcrumb i] li, nav[aria-label*=breadcrumb i] > a",
    "ol.breadcrumb li, ul.breadcrumb li, ul.breadcrumbs li, ol.breadcrumbs li, .breadcrumbs li, .breadcrumb li",
    "[itemtype*=BreadcrumbList] [itemprop=name]",
    ".wy-breadcrumbs li, .theme-doc-breadcrumbs li, .md-path__item",
    "div.related li.nav-item",
    ".breadcrumbs a, .breadcrumb a, #breadcrumbs a, #breadcrumb a, #path a",
)
_LAST_UPDATED = (
    ".theme-last-updated time[datetime], .VPLastUpdated time[datetime], .git-revision-date-localized-plugin-date, relative-time[datetime], "
    "time[itemprop=dateModified][datetime], time.updated[datetime], [itemprop=dateModified][content]"
)
_PUBLISHED_NODES = "time[itemprop=datePublished][datetime], time[pubdate][datetime], time.published[datetime], time.entry-date[datetime], [itemprop=datePublished][content]"
_AUTHOR_LINK = "/author/"
_AUTHOR_NODES = "[itemprop=author] [itemprop=name], [rel=author], [itemprop=author], .byline .author, .author-name, .byline-name, p.byline a, .post-author, .article-author"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a page says about itself; every field is empty where it says nothing."""

    title: str
    site_name: str
    author: str
    date: str
    date_source: str
    modified: str
    modified_source: str
    language: str
    description: str
    section: tuple[str, ...]
    generator: str
    article: bool
    product: bool
    body: str
    kinds: frozenset[str]


def iso(text: str) -> str:
    """Return a date as ISO 8601, with its time and zone where the text has them; empty when it is no date of this era."""
    text = text.strip()
    compact = re.match(_COMPACT, text)
    found = re.search(_ISO, text)
    try:
        if compact:
            return _sane(datetime(*map(int, compact.groups()), tzinfo=UTC), "")  # type: ignore[misc,arg-type]
        if found:
            year, month, day, clock, zone = found.groups()
            moment = datetime(int(year), int(month), int(day), tzinfo=UTC)
            suffix = f"T{clock}{zone or ''}" if clock else ""
            return _sane(moment, suffix)
        written = re.search(_WRITTEN, text)
        if written:
            day = written["d1"] or written["d2"]
            if day:
                return _sane(datetime(int(written["y"]), _MONTHS[written["m"].lower()], int(day), tzinfo=UTC), "")
        if "," in text and ":" in text:
            from email.utils import parsedate_to_datetime  # it brings much, and few pages write dates as mails do

            return parsedate_to_datetime(text).isoformat()
    except (ValueError, TypeError, OverflowError):
        return ""
    return ""


def _sane(moment: datetime, suffix: str) -> str:
    return f"{moment:%Y-%m-%d}{suffix}" if 1990 <= moment.year <= 2100 else ""  # noqa: PLR2004 - the web's era


def _dated(found: list[structured.Thing], key: str) -> str:
    for thing in found:
        if value := iso(structured.text_of(thing.get(key))):
            return value
    return ""


def _node_date(document: Document, selector: str) -> str:
    node = document.tree.first(selector)
    if node is None:
        return ""
    return iso(node.attributes.get("datetime") or node.attributes.get("content") or node.text() or "")


def _published(document: Document, meta: Mapping[str, str], articles: list[structured.Thing]) -> tuple[str, str]:
    if value := _dated(articles, "datePublished"):
        return value, "json-ld"
    for name in _PUBLISHED:
        if name in meta and (value := iso(meta[name])):
            return value, f"meta {name}"
    if value := _node_date(document, _PUBLISHED_NODES):
        return value, "time element"
    found = _URL_DATE.search(urlsplit(document.uri).path)
    if found:
        year, month, day = (part for part in found.groups() if part)
        if value := iso(f"{year}-{month}-{day}"):
            return value, "url"
    node = document.tree.first("article time[datetime], main time[datetime]")
    if node is not None and (value := iso(node.attributes.get("datetime") or "")):
        return value, "time element"
    return "", ""


def _modified(document: Document, meta: Mapping[str, str], articles: list[structured.Thing]) -> tuple[str, str]:
    if value := _dated(articles, "dateModified"):
        return value, "json-ld"
    for name in _MODIFIED:
        if name in meta and (value := iso(meta[name])):
            return value, f"meta {name}"
    if value := _node_date(document, _LAST_UPDATED):
        return value, "page"
    for node in document.tree.css(
        "div.footer, footer, #footer, .last-updated, .lastupdated, #footer-text, #footer-info-lastmod, .page-edit-info"
    ):
        found = re.search(
            r"(?:last\s+(?:updated|modified|edited|changed)|page was last)[^.\n]{0,12}?\b(.{0,40})",
            node.text() or "",
            re.IGNORECASE | re.DOTALL,
        )
        if found and (value := iso(" ".join(found.group(1).split()))):
            return value, "page"
    return "", ""


def _author(document: Document, meta: Mapping[str, str], articles: list[structured.Thing]) -> str:
    for thing in articles:
        people = thing.get("author") or thing.get("creator")
        names = [structured.text_of(person) for person in (people if isinstance(people, list) else [people])]
        names = [name for name in names if name and not name.startswith("http")]
        if names:
            return ", ".join(dict.fromkeys(names))
    for name in (
        "author",
        "article:author",
        "dc.creator",
        "citation_author",
        "parsely-author",
        "sailthru.author",
        "twitter:creator",
    ):
        value = meta.get(name, "")
        if value and not value.startswith(("http", "@")):
            return value
    links = f", a[href*='{_AUTHOR_LINK}']" if document.tree.leads(_AUTHOR_LINK) else ""
    node = document.tree.first(_AUTHOR_NODES + links)
    text = " ".join((node.text(separator=" ") or "").split()) if node is not None else ""
    text = re.sub(r"^(?:by|von|par|por)[:\s]\s*", "", text, flags=re.IGNORECASE)
    return text if 2 < len(text) < 80 else ""  # noqa: PLR2004 - longer is no name


def _section(document: Document, found: list[structured.Thing], title: str) -> tuple[str, ...]:
    names: list[str] = []
    for thing in found:
        if "BreadcrumbList" in structured.types(thing):
            entries = thing.get("itemListElement")
            rows = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
            names = [structured.text_of(entry.get("name") or entry.get("item")) for entry in rows]
            break
    if not names:
        for selector in _BREADCRUMBS:
            nodes = document.tree.css(selector)
            if nodes:
                names = [" ".join((node.text(separator=" ") or "").split()) for node in nodes]
                break
    cleaned = [re.sub(r"^[\s/»›>|·\\-]+|[\s/»›>|·\\-]+$", "", name) for name in names]
    kept = list(dict.fromkeys(name for name in cleaned if 0 < len(name) < 100 and not name.startswith("http")))  # noqa: PLR2004
    kept = [
        name
        for name in kept
        if name.lower() not in {"home", "homepage", "index", "start", "edit on github", "view page source"}
    ]
    if kept and _same(kept[-1], title):
        kept.pop()
    return tuple(kept[:8])


def _plain(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()


def _same(one: str, other: str) -> bool:
    return bool(_plain(one)) and _plain(one) == _plain(other)


def without_suffix(title: str, *, site_name: str, host: str, heading: str) -> str:
    """Return a title without the part that names the site.

    A part goes when it is the site's name, when it is a word of the host's name, or when what is left is the page's
    own heading. Without such evidence the title stays as it is.
    """
    title = " ".join(title.split())
    parts = [part for part in _SEPARATOR.split(title) if part]
    if len(parts) < 2:  # noqa: PLR2004 - no suffix
        return title
    if (
        heading
        and _plain(heading)
        and _plain(heading) in _plain(title)
        and not _same(heading, site_name)
        and len(_plain(heading)) > _INITIALS
    ):
        return heading
    labels = {_plain(label) for label in host.split(".") if len(label) > 2}  # noqa: PLR2004
    site = _plain(site_name)
    for place in (len(parts) - 1, 0):
        part = _plain(parts[place])
        if part and (
            part == site
            or part in labels
            or (site and part in site and len(part) > _INITIALS)
            or any(label == part.removesuffix("com") for label in labels)
        ):
            rest = title.removesuffix(parts[place]) if place else title.removeprefix(parts[0])
            return re.sub(r"^[\s|·•»›«‹:—–~/-]+|[\s|·•»›«‹:—–~/-]+$", "", rest) or title
    return title


def _language(document: Document, meta: Mapping[str, str]) -> str:
    attributes = document.tree.root.attributes
    declared = (
        attributes.get("lang"),
        attributes.get("xml:lang"),
        meta.get("content-language"),
        meta.get("og:locale"),
        meta.get("dc.language"),
    )
    for value in declared:
        value = (value or "").strip().split(",")[0]  # noqa: PLW2901
        if _LANGUAGE.match(value):
            primary, _, region = value.replace("_", "-").partition("-")
            return f"{primary.lower()}-{region}" if region else primary.lower()
    return ""


def _first(*values: str | None) -> str:
    return next((value for value in values if value), "")


def read(document: Document, *, hints: Hints) -> About:
    """Return what the page says about itself; what the source knew fills gaps.

    Args:
        document: the parsed page.
        hints: what the source knew before.
    """
    meta = structured.metas(document.tree)
    found = structured.things(document.tree)
    articles = [thing for thing in found if structured.types(thing) & _ARTICLES]
    pages = articles or [
        thing
        for thing in found
        if structured.types(thing) & {"WebPage", "FAQPage", "QAPage", "Product", "AboutPage", "ItemPage"}
    ]
    site_name = _site_name(meta, found, articles)
    declared = _declared_title(document, meta, articles)
    title = without_suffix(declared, site_name=site_name, host=urlsplit(document.uri).hostname or "", heading="")
    date, date_source = _published(document, meta, pages)
    modified, modified_source = _modified(document, meta, pages)
    if not date and hints.published:
        date, date_source = hints.published, "source"
    if not modified and hints.modified:
        modified, modified_source = hints.modified, "source"
    kinds = frozenset(kind for thing in found for kind in structured.types(thing))
    is_article = _is_article(document, meta, kinds, articles)
    return About(
        title=title or hints.title,
        site_name=site_name,
        author=_author(document, meta, pages) or hints.author,
        date=date,
        date_source=date_source,
        modified=modified,
        modified_source=modified_source,
        language=_language(document, meta) or hints.language,
        description=_first(meta.get("description"), meta.get("og:description"), meta.get("twitter:description")),
        section=_section(document, found, title) or hints.section,
        generator=meta.get("generator", ""),
        article=is_article,
        product=not is_article and _is_product(document, meta, kinds),
        body=structured.content(found),
        kinds=kinds,
    )


def _site_name(meta: Mapping[str, str], found: list[structured.Thing], articles: list[structured.Thing]) -> str:
    publisher = next((structured.text_of(thing.get("publisher")) for thing in articles if thing.get("publisher")), "")
    website = next(
        (structured.text_of(thing.get("name")) for thing in found if "WebSite" in structured.types(thing)), ""
    )
    return _first(meta.get("og:site_name"), meta.get("application-name"), website, publisher)


def _declared_title(document: Document, meta: Mapping[str, str], articles: list[structured.Thing]) -> str:
    node = document.tree.first("head title, title")
    return _first(
        " ".join((node.text() or "").split()) if node is not None else "",
        meta.get("og:title"),
        meta.get("twitter:title"),
        structured.text_of(articles[0].get("headline")) if articles else "",
    )


def _is_article(
    document: Document, meta: Mapping[str, str], kinds: frozenset[str], articles: list[structured.Thing]
) -> bool:
    """Say whether the page is one article: a list of them is none."""
    return (
        meta.get("og:type", "").lower() in {"article", "blog", "news"}
        or "article:published_time" in meta
        or (0 < len(articles) <= _FEW and not kinds & _LISTS)
        or 0 < len(document.tree.css(_ARTICLE_SIGNS)) <= _FEW
    )


_LISTS = frozenset({"CollectionPage", "SearchResultsPage", "ProductCollection", "OfferCatalog"})
_ARTICLE_SIGNS = "[itemtype*='schema.org/NewsArticle'], [itemtype*='schema.org/BlogPosting'], [itemprop=datePublished], body.single-post"
_SHOP = "[itemtype*='schema.org/Product'], form[action*='/cart/add'], [name=add-to-cart], .add-to-cart, #add-to-cart, .product-form, .single_add_to_cart_button, [data-product-id] [type=submit]"


def _is_product(document: Document, meta: Mapping[str, str], kinds: frozenset[str]) -> bool:
    if kinds & {"Product", "ProductGroup"} or meta.get("og:type", "").lower() in {
        "product",
        "og:product",
        "product.item",
    }:
        return True
    return not kinds & {"CollectionPage", "ItemList"} and 0 < len(document.tree.css(_SHOP)) <= _FEW


_FEW = 3


def title_of(about: About, content: str, uri: str, *, marked: bool = False) -> tuple[str, bool]:
    """Return the page's title, and whether the page itself has one: its own h1, else what it declares, else any heading.

    ``marked``: the page's system says where its content begins, so that a heading there is the title at any level.
    """
    found = _FIRST_HEADING.search(content)
    heading = plain(found.group(2)) if found else ""
    opens = found is not None and not content[: found.start()].strip()
    if found and heading:
        alone = marked and opens and "\n# " not in content
        if found.group(1) == "#" or alone or (opens and _same_start(heading, about.title)):
            return heading, True
    if about.title:
        return without_suffix(
            about.title, site_name=about.site_name, host=urlsplit(uri).hostname or "", heading=heading
        ), True
    return (heading, True) if heading else (name_from_uri(uri), False)


def _same_start(heading: str, title: str) -> bool:
    one, other = _plain(heading), _plain(title)
    return len(one) > _INITIALS and other.startswith(one)


def name_from_uri(uri: str) -> str:
    """Return what a page without any title is called: the last part of its address."""
    parts = urlsplit(uri)
    last = unquote(parts.path.rstrip("/").rsplit("/", 1)[-1])
    words = re.sub(r"[-_+]+", " ", re.sub(r"\.\w{1,5}$", "", last)).strip()
    return " ".join(words.split()) or parts.hostname or uri


def as_json(about: About) -> dict[str, Any]:
    """Return the fields that go into a page's metadata, without empty ones."""
    values: dict[str, Any] = {
        "author": about.author, "date": about.date, "date_source": about.date_source, "modified": about.modified,
        "modified_source": about.modified_source, "language": about.language, "description": about.description,
        "site_name": about.site_name, "section": list(about.section), "generator": about.generator,
    }  # fmt: skip
    return {key: value for key, value in values.items() if value}
