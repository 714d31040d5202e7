"""Feeds, read: RSS, RDF, Atom and JSON Feed as one kind of entry. Pure; no DTD, no entities."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from connectors.web.urls import normalise

if TYPE_CHECKING:
    from collections.abc import Iterable

ENTRIES = 10_000
_FULL = 1_000  # characters of text: what is shorter may be a teaser, and the article is fetched
_CUT = re.compile(
    r"(?:\u2026|\.\.\.|\[(?:\u2026|\.\.\.|&hellip;)\]|read more|continue reading|weiterlesen)\W*\Z", re.IGNORECASE
)
_TAGS = re.compile(r"<[^>]*>")
_ALTERNATE = re.compile(
    r"<link\b(?=[^>]*\balternate\b)(?=[^>]*application/(?:rss|atom|feed)\+(?:xml|json))[^>]*\bhref=[\"']?([^\"'\s>]+)",
    re.IGNORECASE,
)


class NoFeedError(ValueError):
    """What was fetched is no feed; the text says what it is, and what to try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One article of a feed.

    Attributes:
        uri: its address in normal form; empty when the feed gives none.
        key: what the feed identifies it by.
        content: HTML: the article, or what the feed has of it (`is_full` tells them apart).
        published, modified: ISO 8601 with a zone; empty when absent.
        base: what relative links in the content are relative to.
    """

    uri: str
    key: str
    title: str = ""
    content: str = ""
    author: str = ""
    published: str = ""
    modified: str = ""
    section: tuple[str, ...] = ()
    language: str = ""
    base: str = ""

    @property
    def is_full(self) -> bool:
        """Say whether the feed has the whole article and not its first sentences."""
        text = " ".join(_TAGS.sub(" ", html.unescape(self.content)).split())
        return len(text) >= _FULL and not _CUT.search(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """A page of a feed, and the address of the next one; ``cut``: it has more entries than are read."""

    entries: tuple[Entry, ...]
    following: str = ""
    cut: bool = False


def parse(body: bytes, *, base: str) -> FeedPage:
    """Read a feed of any form.

    Raises:
        NoFeedError: it is none.
    """
    head = body[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"{"):
        return _json_feed(body, base)
    root = _root(body, base)
    name = _local(root)
    if name == "feed":
        entries = [_atom(node, base, _language(root)) for node in _children(root, "entry")]
    elif name in {"rss", "rdf"}:
        language = next((_text(node) for node in root.iter("{*}language")), "")
        entries = [_rss(node, base, language) for node in root.iter("{*}item")]
    else:
        raise NoFeedError(f"it is no feed but <{name[:40]}>")
    following = next(
        (node.get("href", "") for node in root.iter("{*}link") if node.get("rel") == "next" and node.get("href")), ""
    )
    further = normalise(following, base) if following else ""
    return FeedPage(entries=tuple(entries[:ENTRIES]), following=further, cut=len(entries) > ENTRIES)


def _root(body: bytes, base: str) -> Any:
    from lxml import etree

    if re.search(rb"<!ENTITY", body.replace(b"\0", b""), re.IGNORECASE):
        raise NoFeedError("its XML declares entities, as attacks do and feeds do not")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=True)
    try:
        root = etree.fromstring(body.strip(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise NoFeedError(f"it is no XML ({error})") from error
    if root is None or not isinstance(root.tag, str) or _local(root) == "html":
        raise NoFeedError(_not_xml(body, base))
    return root


def _not_xml(body: bytes, base: str) -> str:
    found = _ALTERNATE.search(body[:200_000].decode("utf-8", "replace"))
    other = normalise(html.unescape(found[1]), base) if found else ""
    return f"it is a page; its feed is at {other}" if other else "it is a page and no feed"


def _rss(node: Any, base: str, language: str) -> Entry:
    guid = _first(node, "guid")
    link = _text(_first(node, "link"))
    key = _text(guid)
    if not link and guid is not None and guid.get("isPermaLink", "true") != "false":
        link = key
    description = _text(_first(node, "description"))
    content = _text(_first(node, "encoded"))
    published = _date(_text(_first(node, "pubDate", "date")))
    return Entry(
        uri=normalise(link, base) if link else "",
        key=key or link,
        title=_words(_text(_first(node, "title"))),
        content=content or description,
        author=_words(_text(_first(node, "creator", "author"))),
        published=published,
        section=tuple(filter(None, (_words(_text(child)) for child in _children(node, "category")))),
        language=language,
    )


def _atom(node: Any, base: str, language: str) -> Entry:
    base = _base(node, base)
    links = [child for child in _children(node, "link") if child.get("rel", "alternate") == "alternate"]
    link = links[0].get("href", "") if links else ""
    authors = (_text(_first(child, "name")) for child in _children(node, "author"))
    return Entry(
        uri=normalise(link, base) if link else "",
        key=_text(_first(node, "id")) or link,
        title=_words(_markup(_first(node, "title"))),
        content=_markup(_first(node, "content")) or _markup(_first(node, "summary")),
        author=", ".join(filter(None, map(_words, authors))),
        published=_date(_text(_first(node, "published", "issued"))),
        modified=_date(_text(_first(node, "updated", "modified"))),
        section=tuple(filter(None, (_words(child.get("term", "")) for child in _children(node, "category")))),
        language=_language(node) or language,
        base=base,
    )


def _json_feed(body: bytes, base: str) -> FeedPage:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NoFeedError(f"it is no JSON ({error})") from error
    items = told.get("items")
    if not isinstance(items, list) or "jsonfeed" not in str(told.get("version", "")):
        raise NoFeedError("it is JSON and no JSON Feed")
    entries = [_json_entry(item, base, _string(told, "language")) for item in items[:ENTRIES] if isinstance(item, dict)]
    following = _string(told, "next_url")
    further = normalise(following, base) if following else ""
    return FeedPage(entries=tuple(entries), following=further, cut=len(items) > ENTRIES)


def _json_entry(item: dict[str, Any], base: str, language: str) -> Entry:
    text = _string(item, "content_text")
    plain = "".join(f"<p>{html.escape(part)}</p>" for part in text.split("\n\n") if part.strip())
    authors = item.get("authors") if isinstance(item.get("authors"), list) else [item.get("author")]
    names = (_string(author, "name") for author in authors or () if isinstance(author, dict))
    link = _string(item, "url")
    return Entry(
        uri=normalise(link, base) if link else "",
        key=str(item.get("id") or link),
        title=_words(html.escape(_string(item, "title"))),
        content=_string(item, "content_html") or plain,
        author=", ".join(filter(None, names)),
        published=_date(_string(item, "date_published")),
        modified=_date(_string(item, "date_modified")),
        section=tuple(tag for tag in item.get("tags") or () if isinstance(tag, str)),
        language=_string(item, "language") or language,
    )


def _string(told: dict[str, Any], key: str) -> str:
    value = told.get(key)
    return value if isinstance(value, str) else ""


def _local(node: Any) -> str:
    return str(node.tag).rpartition("}")[2].lower()


def _children(node: Any, name: str) -> Iterable[Any]:
    return (child for child in node if isinstance(child.tag, str) and _local(child) == name.lower())


def _first(node: Any, *names: str) -> Any:
    return next((child for name in names for child in _children(node, name)), None) if node is not None else None


def _text(node: Any) -> str:
    return "".join(node.itertext()).strip() if node is not None else ""


def _markup(node: Any) -> str:
    """Return an Atom text construct as HTML."""
    if node is None:
        return ""
    kind = node.get("type", "text")
    if kind == "xhtml":
        from lxml import etree

        inner = [etree.tostring(child, encoding="unicode", method="html", with_tail=False) for child in node]
        return "".join(inner)
    return _text(node) if "html" in kind else html.escape(_text(node))


def _words(text: str) -> str:
    return " ".join(html.unescape(_TAGS.sub("", text)).split())


def _language(node: Any) -> str:
    return str(node.get("{http://www.w3.org/XML/1998/namespace}lang") or "")


def _base(node: Any, base: str) -> str:
    declared = node.get("{http://www.w3.org/XML/1998/namespace}base") or ""
    return normalise(declared, base) or base if declared else base


def _date(text: str) -> str:
    """Return a feed's date as ISO 8601 with a zone; one without is taken for UTC; empty when it is none."""
    if not text:
        return ""
    try:
        when = datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).isoformat()
