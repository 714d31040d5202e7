"""Office documents: DOCX, PPTX, XLSX, OpenDocument and RTF by kreuzberg, within the bounds of `archive`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from connectors.extractors.archive import check_office
from connectors.extractors.paper import Properties, Text, UnreadableError, extracted
from connectors.media_types import OLE, RTF

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.models import CleaningRules, Extracted, Resource

_LOCKED = "EncryptedPackage".encode("utf-16-le")
_OLD = (
    ("WordDocument", "application/msword"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("Workbook", "application/vnd.ms-excel"),
    ("Book", "application/vnd.ms-excel"),
)


def extract(resource: Resource, rules: CleaningRules, *, kind: str) -> Extracted:
    """Make pages of an office document.

    Raises:
        UnreadableError: it is locked, damaged or hostile.
    """
    body = resource.body or b""
    if kind == OLE:
        kind = _old_kind(body)
    elif kind != RTF:
        check_office(body)
    result = convert(body, kind)
    return extracted(
        Text(markdown=_mended(result.content), media_type=kind, strategy="kreuzberg", **properties(result.metadata)),
        resource=resource,
        rules=rules,
    )


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


def _mended(markdown: str) -> str:
    """Undo escapes that mean nothing inside a line."""
    return re.sub(r"(?<!^)\\([#<>!])", r"\1", markdown, flags=re.MULTILINE)
