"""One parse of a page, and the reasons not to parse it."""

from __future__ import annotations

import codecs
import contextlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from connectors.extractors.charset import without_mark
from connectors.extractors.html.charset import Decoded, decode
from connectors.extractors.html.tree import Tree, outermost
from connectors.web.urls import normalise

if TYPE_CHECKING:
    from connectors.models import Resource

MAX_BYTES = 16 * 1024**2
_MANY_TAGS = 10_000
_MAX_OPEN = 2_000
_MANY_ELEMENTS = 100_000
_MADE_OF_A_TAG = 20  # elements: what marks text and is never closed stands anew in every paragraph after it

_MAGIC = (
    b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"\x1f\x8b", b"\x7fELF", b"MZ\x90",
    b"RIFF", b"OggS", b"ID3",
    b"\xd0\xcf\x11\xe0", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ", b"wOFF", b"\x00\x00\x01\x00", b"\x28\xb5\x2f\xfd",
)  # fmt: skip
_CONTROL = bytes(sign for sign in (*range(32), 127) if sign not in b"\t\n\v\f\r\x1b")
_NESTING = re.compile(
    rb"<(/?)(?:div|section|article|span|ul|ol|table|blockquote|main|aside|header|footer|nav|form|dl|font|center|b|i|em|strong|details|fieldset)"
    rb"(?=[\s>/])",
    re.IGNORECASE,
)
_MARKING = re.compile(rb"<(/?)(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s>/])", re.IGNORECASE)
_XML_ROOT = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*|<!DOCTYPE\s+(?!html)[^>]*>\s*)*<(?!html\b|xhtml:html\b|!doctype\s+html)([\w:.-]+)",
    re.IGNORECASE | re.DOTALL,
)
_OTHER_SCHEMES = (
    "mailto:",
    "tel:",
    "ftp:",
    "ftps:",
    "sftp:",
    "news:",
    "nntp:",
    "irc:",
    "ircs:",
    "git:",
    "ssh:",
    "magnet:",
)
_XML_NOT_PAGES = frozenset(
    {"rss", "feed", "urlset", "sitemapindex", "rdf:rdf", "opml", "svg", "kml", "plist", "opensearchdescription"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a resource gives no page: the rule, and one sentence."""

    rule: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed page. Nodes live as long as ``parser`` does."""

    parser: LexborHTMLParser
    tree: Tree
    body: LexborNode
    uri: str
    base: str
    decoded: Decoded
    targets: dict[str, str] = field(default_factory=dict)
    resolved: dict[str, str] = field(default_factory=dict)

    def target(self, address: str) -> str:
        """Return what an address without fragment means on this page, in normal form; empty when it is no page's."""
        found = self.targets.get(address)
        if found is None:
            found = self.targets[address] = normalise(address, self.base)
        return found

    def resolve(self, href: str) -> str:
        """Return a link's absolute target, its fragment kept; empty when a reader cannot follow it."""
        found = self.resolved.get(href)
        if found is None:
            found = self.resolved[href] = self._resolved(href.strip())
        return found

    def _resolved(self, href: str) -> str:
        if ":" in href[:11]:
            lower = href[:11].lower()
            if lower.startswith(("javascript:", "data:", "vbscript:", "about:", "blob:")):
                return ""
            if lower.startswith(_OTHER_SCHEMES):
                return "%20".join(href.split())
        address, sign, fragment = href.partition("#")
        target = self.target(address) if address else (self.uri if self.base == self.uri else normalise("", self.base))
        if not target:
            return ""
        return f"{target}#{fragment.replace(' ', '%20')}" if sign and fragment else target


def without(document: Document, selectors: tuple[str, ...]) -> Document:
    """Return the page as if what ``selectors`` match had never been in it, so that no way of reading it meets that."""
    if not selectors:
        return document
    parser = LexborHTMLParser(document.decoded.text)
    for selector in selectors:
        with contextlib.suppress(Exception):  # the parser has no error class of its own for what it does not know
            matched = [node for node in parser.css(selector) if node.tag not in {"html", "body", "head"}]
            for node in outermost(matched):
                node.decompose()
    text = parser.html or ""
    parser = LexborHTMLParser(text)
    if parser.root is None or parser.body is None:
        return document
    return replace(
        document,
        parser=parser,
        tree=Tree(parser.root),
        body=parser.body,
        decoded=replace(document.decoded, text=text, raw=b""),
    )


def refusal(body: bytes) -> Problem | None:
    """Say why these bytes are no page that can be parsed; None when they may be one."""
    if not body.strip():
        return Problem(rule="empty", detail="The answer has no content.")
    if len(body) > MAX_BYTES:
        return Problem(
            rule="too-large",
            detail=f"The page has {len(body) // 1024**2} MB; more than {MAX_BYTES // 1024**2} MB of HTML is not read.",
        )
    if body.startswith(_MAGIC):
        return Problem(rule="not-html", detail="The bytes are a file of another kind, although they were sent as HTML.")
    if not body.startswith((b"\xff\xfe", b"\xfe\xff")):
        start = body[:4096]
        if len(start) - len(start.translate(None, _CONTROL)) > len(start) // 50 and not without_mark(body):
            return Problem(rule="not-html", detail="The bytes are binary, although they were sent as HTML.")
    if len(body) > 3 * _MANY_TAGS and body.count(b"<") > _MANY_TAGS and _nesting(body) > _MAX_OPEN:
        return Problem(rule="too-deep", detail=f"Elements are nested deeper than {_MAX_OPEN} levels.")
    return None


def _nesting(body: bytes) -> int:
    """Return how deep elements are nested, from their tags alone: parsing such a page takes minutes."""
    depth = deepest = 0
    for closing in _NESTING.findall(body):
        if closing:
            depth = max(0, depth - 1)
        else:
            depth += 1
            if depth > deepest:
                deepest = depth
                if deepest > _MAX_OPEN:
                    break
    return deepest


def _unclosed(body: bytes) -> int:
    """Return how many tags that mark text are not closed, from the tags alone."""
    return sum(-1 if closing else 1 for closing in _MARKING.findall(body))


def parse(resource: Resource) -> Document | Problem:
    """Parse a resource once, or say why not."""
    body = resource.body or b""
    if problem := refusal(body):
        return problem
    decoded = decode(body, resource.charset)
    text = decoded.text
    root_name = _XML_ROOT.match(text[:2000])
    if root_name and root_name.group(1).lower() in _XML_NOT_PAGES:
        return Problem(rule="not-html", detail=f"The document is XML of another kind ({root_name.group(1)}).")
    try:
        parser = LexborHTMLParser(decoded.raw.removeprefix(codecs.BOM_UTF8) or text)
    except SelectolaxError as error:  # of memory alone: there is no text that is no HTML
        if _unclosed(body) * body.count(b"<") > _MANY_ELEMENTS:
            return Problem(rule="too-large", detail="Its few tags make more elements than fit into the memory.")
        raise MemoryError from error
    root, content = parser.root, parser.body
    if root is None or content is None:
        frames = root is not None and root.css_first("frameset") is not None
        rule = "frameset" if frames else "empty"
        if not frames or root is None:
            return Problem(rule=rule, detail="The page has no body.")
        content = root
    elements = root.css("*")
    if len(elements) > _MANY_ELEMENTS and len(elements) > _MADE_OF_A_TAG * body.count(b"<"):
        return Problem(rule="too-large", detail=f"Its few tags make {len(elements)} elements.")
    tree = Tree(root, elements)
    first_base = tree.first("base[href]")
    href = (first_base.attributes.get("href") or "").strip() if first_base is not None else ""
    base = (normalise(href, resource.uri) if href else "") or resource.uri
    return Document(parser=parser, tree=tree, body=content, uri=resource.uri, base=base, decoded=decoded)
