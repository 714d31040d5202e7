"""EPUB books: the reading order of their XHTML files, cleaned as HTML is."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from connectors.extractors.archive import Archive, parse_xml
from connectors.extractors.paper import Properties, Text, extracted
from connectors.extractors.unreadable import UnreadableError
from connectors.media_types import EPUB, HTML
from connectors.models import CleaningRules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.extractors.bundle import Read
    from connectors.models import Extracted, Resource

_CONTAINER = "META-INF/container.xml"
_FONTS = re.compile(rb"http://(?:www\.idpf\.org/2008/embedding|ns\.adobe\.com/pdf/enc#RC)")
_READABLE = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})


def extract(resource: Resource, rules: CleaningRules, *, read: Read) -> Extracted:
    """Make the pages of a book: a chapter each when it is long.

    Raises:
        UnreadableError: it is damaged, locked, or names no text.
    """
    archive = Archive(resource.body or b"")
    if "META-INF/encryption.xml" in archive.names:
        lock = archive.read("META-INF/encryption.xml")
        if len(_FONTS.findall(lock)) < lock.count(b"EncryptedData>") // 2:
            raise UnreadableError("encrypted", "The book is locked by its seller.")
    place = _package_path(archive)
    package = parse_xml(archive.read(place))
    order = [name for name in _reading_order(package, posixpath.dirname(place)) if name in archive.names]
    parts = [_chapter(archive.read(name), resource, read) for name in order]
    text = Text(markdown="\n\n".join(filter(None, parts)), media_type=EPUB, strategy="book", **_properties(package))
    return extracted(text, resource=resource, rules=rules)


def _package_path(archive: Archive) -> str:
    for node in parse_xml(archive.read(_CONTAINER)).iter("{*}rootfile"):
        path = unquote(node.get("full-path", ""))
        if path in archive.names:
            return path
    raise UnreadableError("broken", "The book does not say where its text is.")


def _reading_order(package: Any, folder: str) -> Iterator[str]:
    items = {node.get("id"): node for node in package.iter("{*}item")}
    for reference in package.iter("{*}itemref"):
        node = items.get(reference.get("idref"))
        if node is None or node.get("media-type") not in _READABLE or "nav" in (node.get("properties") or "").split():
            continue
        yield posixpath.normpath(posixpath.join(folder, unquote(node.get("href", "").partition("#")[0])))


def _chapter(body: bytes, resource: Resource, read: Read) -> str:
    inner = replace(resource, media_type=HTML, charset="utf-8", body=body)
    pages = read(inner, CleaningRules(select=("body",))).pages
    return "\n\n".join(page.content for page in pages)


def _properties(package: Any) -> Properties:
    def told(name: str) -> list[str]:
        found = package.iter(f"{{http://purl.org/dc/elements/1.1/}}{name}")
        return [" ".join("".join(node.itertext()).split()) for node in found]

    modified = [node.text or "" for node in package.iter("{*}meta") if node.get("property") == "dcterms:modified"]
    return {
        "title": next(iter(told("title")), ""),
        "author": ", ".join(told("creator")),
        "date": next(iter(told("date")), ""),
        "modified": next(iter(modified), ""),
        "language": next(iter(told("language")), ""),
        "description": next(iter(told("description")), "")[:500],
    }
