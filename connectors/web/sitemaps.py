"""Sitemaps, read: urlset, index, plain text, gzip, and feeds that serve as sitemaps. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from connectors.web import urls
from connectors.web.decode import BoundedDecoder, DecodeError, TooLargeError

if TYPE_CHECKING:
    from lxml.etree import ParserTarget

MAX_SITEMAP_BYTES = 50 * 1024 * 1024
MAX_SITEMAPS = 2_000
MAX_DEPTH = 3
_TEXT_LINE = re.compile(r"https?://\S+", re.IGNORECASE)
_BARE_AMPERSAND = re.compile(rb"&(?!(?:[A-Za-z]{1,10}|#\d{1,7}|#x[0-9A-Fa-f]{1,6});)")
_ROOTS = frozenset({"urlset", "sitemapindex", "rss", "feed", "rdf"})
MAX_NESTING = 50
TOO_DEEP = "it nests too deep"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One location; ``modified`` is what the sitemap claims, as written."""

    uri: str
    modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitemap:
    """What one file says.

    Attributes:
        pages: locations of pages in normal form, in order, once each.
        sitemaps: locations of further sitemaps.
        problem: why it could not be read (to its end); empty when it could.
    """

    pages: tuple[Entry, ...] = ()
    sitemaps: tuple[str, ...] = ()
    problem: str = ""


def parse(body: bytes, *, base: str) -> Sitemap:
    """Read a sitemap of any form; what is broken in the middle gives what came before.

    Args:
        body: the file as fetched, gzipped or not.
        base: where it was, for locations that are wrongly relative.

    Source: sitemaps.org protocol 0.9.
    """
    if body.startswith(_GZIP):
        try:
            decoder = BoundedDecoder("gzip", max_bytes=MAX_SITEMAP_BYTES)
            body = b"".join(decoder.feed(body))
        except (DecodeError, TooLargeError) as error:
            return Sitemap(problem=str(error))
    head = body[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<") or b"<urlset" in head or body[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        if head.startswith((b"<!doctype html", b"<html")):
            return Sitemap(problem="it is an HTML page")
        return _parse_xml(body, base)
    return _parse_text(body, base)


def _parse_text(body: bytes, base: str) -> Sitemap:
    lines = body.decode("utf-8-sig", "replace").splitlines()
    found = dict.fromkeys(
        form for line in lines if _TEXT_LINE.fullmatch(line.strip()) and (form := urls.normalise(line.strip(), base))
    )
    return Sitemap(
        pages=tuple(Entry(uri=uri) for uri in found), problem="" if found or not body.strip() else "it lists no address"
    )


class _NoSitemapError(Exception):
    """What no sitemap is or has."""


@dataclass(slots=True, kw_only=True)
class _Collector:
    """lxml's parser target: no tree is built, so that a sitemap of any size costs its entries only."""

    base: str
    pages: dict[str, str] = field(default_factory=dict)
    sitemaps: dict[str, None] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    location: str = ""
    modified: str = ""

    def doctype(self, *_: object) -> None:
        raise _NoSitemapError("it has a document type, which no sitemap needs")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = _local(tag)
        if not self.path and name not in _ROOTS:
            raise _NoSitemapError(f"it is {name[:40]!r} and no sitemap")
        if len(self.path) > MAX_NESTING:
            raise _NoSitemapError(TOO_DEEP)
        self.path.append(name)
        self.text = []
        in_entry = len(self.path) > 1 and self.path[-2] == "entry"
        if name == "link" and in_entry and attributes.get("rel", "alternate") == "alternate":
            self.location = self.location or attributes.get("href", "")

    def data(self, data: str) -> None:
        self.text.append(data)

    def end(self, tag: str) -> None:
        name = _local(tag)
        parent = self.path[-2] if len(self.path) > 1 else ""
        self.path.pop()
        text = "".join(self.text).strip()
        self.text = []
        if (name == "loc" and parent in {"url", "sitemap"}) or (name == "link" and parent == "item"):
            self.location = text
        elif name in {"lastmod", "updated", "pubdate"} and parent in {"url", "sitemap", "entry", "item"}:
            self.modified = text
        elif name in {"url", "sitemap", "entry", "item"}:
            self._keep(name)

    def _keep(self, name: str) -> None:
        uri = urls.normalise(self.location, self.base) if self.location else ""
        if uri and name == "sitemap":
            self.sitemaps.setdefault(uri)
        elif uri:
            self.pages.setdefault(uri, self.modified[:40])
        self.location = self.modified = ""

    def close(self) -> None:
        """Nothing is built."""


def _local(tag: str) -> str:
    return tag.rpartition("}")[2].lower()


def _parse_xml(body: bytes, base: str) -> Sitemap:
    from lxml import etree

    collector = _Collector(base=base)
    parser = etree.XMLParser(
        target=cast("ParserTarget", collector),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        recover=True,
    )
    body = _BARE_AMPERSAND.sub(b"&amp;", body)  # the commonest mistake; a lenient parser would eat a parameter
    problem = ""
    try:
        for at in range(0, len(body), 64 * 1024):
            parser.feed(body[at : at + 64 * 1024])
        parser.close()
    except _NoSitemapError as error:
        problem = str(error)
    except etree.XMLSyntaxError as error:
        problem = f"it is no well-formed XML ({str(error)[:100]})"
    if not problem and len(parser.feed_error_log):
        problem = f"it is no well-formed XML ({str(parser.feed_error_log[0].message)[:100]})"
    return Sitemap(
        pages=tuple(Entry(uri=uri, modified=modified) for uri, modified in collector.pages.items()),
        sitemaps=tuple(collector.sitemaps),
        problem=problem,
    )
