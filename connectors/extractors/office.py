"""Office documents by kreuzberg; DOCX, PPTX and OpenDocument from their XML, with kreuzberg as the cross-check."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from connectors.extractors import docx, odf, pptx
from connectors.extractors.archive import check_office
from connectors.extractors.paper import DIFFERENCE, Properties, Text, extracted, words
from connectors.extractors.unreadable import UnreadableError
from connectors.media_types import DOCX, HTML, ODP, ODT, OLE, PPTX, RTF
from connectors.models import CleaningRules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.extractors.bundle import Read
    from connectors.models import Extracted, Resource

_FEW = 5  # words: in a short text a date or a slide number is more than the allowed share
_NOTES = 500
_NOTE_BYTES = 100_000
_LOCKED = "EncryptedPackage".encode("utf-16-le")
_OLD = (
    ("WordDocument", "application/msword"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("Workbook", "application/vnd.ms-excel"),
    ("Book", "application/vnd.ms-excel"),
)


def extract(resource: Resource, rules: CleaningRules, *, kind: str, read: Read) -> Extracted:
    """Make pages of an office document.

    Raises:
        UnreadableError: it is locked, damaged or hostile.
    """
    body = resource.body or b""
    if kind == OLE:
        kind = _old_kind(body)
    elif kind != RTF:
        check_office(body)
    converted, told = _converted(body, kind)
    written = _written(resource, kind, read)
    ours, theirs = words(written), words(converted)
    whole = ours >= theirs * (1 - DIFFERENCE) - _FEW
    differ = f"word-count-differs: {ours} words by its XML, {theirs} by kreuzberg"
    text = Text(
        markdown=written if written and whole else converted,
        media_type=kind,
        strategy="office" if written and whole else "kreuzberg",
        flags=(differ,) if written and not whole else (),
        report={"words": {"xml": ours, "kreuzberg": theirs}} if written else {},
        **told,
    )
    return extracted(text, resource=resource, rules=rules)


def _converted(body: bytes, kind: str) -> tuple[str, Properties]:
    if kind == ODP:  # kreuzberg does not read it
        return "", properties({})
    result = convert(body, kind)
    markdown = _mended(result.content, kind)
    if kind == RTF and (notes := _rtf_notes(body)):
        markdown = f"{markdown}\n\n{notes}"
    return markdown, properties(result.metadata)


def _written(resource: Resource, kind: str, read: Read) -> str:
    """Write DOCX, PPTX and OpenDocument from their XML: kreuzberg loses links, nested lists and the lines of code."""
    writer = {DOCX: docx.to_html, PPTX: pptx.to_html, ODT: odf.to_html, ODP: odf.to_html}.get(kind)
    if writer is None:
        return ""
    page = writer(resource.body or b"").encode("utf-8", "replace")
    inner = replace(resource, media_type=HTML, charset="utf-8", body=page)
    return "\n\n".join(made.content for made in read(inner, CleaningRules(select=("body",))).pages)


def convert(body: bytes, kind: str, **options: Any) -> Any:
    """Return kreuzberg's result: Markdown, without OCR, models, caches or threads of its own.

    Raises:
        UnreadableError: kreuzberg gives up, with what it says.
    """
    import kreuzberg

    settings = {"use_cache": False, "disable_ocr": True, "output_format": "markdown", **options}
    config = kreuzberg.ExtractionConfig(concurrency=kreuzberg.ConcurrencyConfig(max_threads=1), **settings)
    try:
        return kreuzberg.extract_bytes_sync(body, kind, config)
    except kreuzberg.KreuzbergError as error:
        told = " ".join(str(error).split())[:200]
        locked = re.search(r"password|encrypt", told, re.IGNORECASE)
        raise UnreadableError("encrypted" if locked else "broken", f"It cannot be converted: {told}") from error


def properties(metadata: Mapping[str, Any]) -> Properties:
    """Return what a document says of itself, by the names of `Text`."""
    authors = metadata.get("authors") or []
    return {
        "title": str(metadata.get("title") or ""),
        "author": ", ".join(str(author) for author in authors if author),
        "date": str(metadata.get("custom_date") or metadata.get("created_at") or ""),
        "modified": str(metadata.get("modified_at") or ""),
        "language": str(metadata.get("language") or ""),
        "description": str(metadata.get("subject") or ""),
    }


def _old_kind(body: bytes) -> str:
    if _LOCKED in body:
        raise UnreadableError("encrypted", "The document is locked with a password.")
    for stream, kind in _OLD:
        if stream.encode("utf-16-le") in body:
            return kind
    raise UnreadableError("unsupported", "It is an old container of a kind that no page is made of.")


def _mended(markdown: str, kind: str) -> str:
    """Undo escapes that mean nothing inside a line, field codes, and what kreuzberg leaves of an RTF's marks."""
    markdown = re.sub(r"(?<!^)\\([#<>!])", r"\1", markdown, flags=re.MULTILINE)
    markdown = re.sub(r"\bHYPERLINK \"[^\"]*\"(?: \\+\w(?: \"[^\"]*\")?)*\s*", "", markdown)
    if kind == RTF:
        markdown = re.sub(r"__(\S(?:.*?\S)?)__", r"\1", markdown)
        markdown = re.sub(r"^(\d+)\\\.(?=\s)", r"\1.", markdown, flags=re.MULTILINE)
        markdown = re.sub(r"^• ", "- ", markdown, flags=re.MULTILINE)
        markdown = re.sub(r"^– ", "  - ", markdown, flags=re.MULTILINE)  # noqa: RUF001 - what pandoc draws
        markdown = re.sub(
            r"^((?: {2})?(?:-|\d+\.) .*)\n\n(?=(?: {2})?(?:-|\d+\.) )", r"\1\n", markdown, flags=re.MULTILINE
        )
    return markdown


def _rtf_notes(body: bytes) -> str:
    """Return the footnotes of an RTF as paragraphs: kreuzberg leaves them out."""
    notes = []
    for found in islice(re.finditer(rb"\{(?:\\\*)?\\footnote\b", body), _NOTES):
        depth, end = 0, found.start()
        for brace in re.finditer(rb"(?<!\\)[{}]", body[found.start() : found.start() + _NOTE_BYTES]):
            depth += 1 if brace[0] == b"{" else -1
            if depth == 0:
                end = found.start() + brace.start()
                break
        inner = re.sub(rb"\\chftn\b ?", b"", body[found.end() : end])
        if inner and (text := convert(b"{\\rtf1\\ansi " + inner + b"}", RTF).content.strip()):
            notes.append(text)
    return "\n\n".join(f"[{number}] {text}" for number, text in enumerate(notes, 1))
