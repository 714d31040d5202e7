"""The work of a cleaning process: bytes of any media type in, pages out, never an exception."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from connectors.extractors import sniff, tidy
from connectors.extractors.unreadable import UnreadableError
from connectors.media_types import (
    CSV,
    DOCX,
    EML,
    EPUB,
    HTML,
    MARKDOWN,
    ODP,
    ODS,
    ODT,
    OLE,
    PDF,
    PPTX,
    RST,
    RTF,
    TEXT,
    TSV,
    XLSX,
    ZIP,
)
from connectors.models import Extracted

if TYPE_CHECKING:
    from connectors.models import CleaningRules, Resource


OFFICE = frozenset({DOCX, PPTX, XLSX, ODT, ODS, ODP, RTF, OLE})
TEXTS = frozenset({TEXT, MARKDOWN, RST, CSV, TSV})
NESTING = 3  # a document in an archive in a mail


def preload() -> None:
    """Import what every page needs, so that no page waits for it."""
    from connectors.extractors.html import choose, document, links, metadata, suspicion  # noqa: F401 - to be loaded


def extract(resource: Resource, rules: CleaningRules) -> Extracted:
    """Turn one resource into pages, by its media type or, when that is missing or wrong, by what it looks like.

    Returns:
        The pages, or the ``problem`` that says why there are none; it never raises.
    """
    try:
        return _with_text(_extract(resource, rules))
    except MemoryError:
        return Extracted(problem="killed-memory", detail="Cleaning it took more memory than a cleaner may have.")
    except RecursionError:
        return Extracted(problem="too-deep", detail="It is nested deeper than can be read.")
    except Exception as error:  # noqa: BLE001 - one bad item never stops the others
        return Extracted(problem="broken", detail=_one_line(f"It could not be read: {type(error).__name__}: {error}"))


def _with_text(extracted: Extracted) -> Extracted:
    """Leave out pages that show nothing: an empty page is never delivered."""
    pages = tuple(page for page in extracted.pages if tidy.visible(page.content).strip())
    if len(pages) == len(extracted.pages):
        return extracted
    if pages:
        return replace(extracted, pages=pages)
    return replace(extracted, pages=(), problem="empty", detail="It has no text.")


def drafted(resource: Resource, rules: CleaningRules) -> Extracted:
    """Do `extract`, and make the text that would be sent of each page."""
    extracted = extract(resource, rules)
    if not extracted.pages:
        return extracted
    try:
        return replace(extracted, drafts=tuple(tidy.draft(page, rules) for page in extracted.pages))
    except MemoryError:
        return Extracted(problem="killed-memory", detail="Its text takes more memory than a cleaner may have.")


def _extract(resource: Resource, rules: CleaningRules, depth: int = 0) -> Extracted:
    body = resource.body
    if not body:
        return Extracted(problem="empty", detail="It has no content.")
    kind = sniff.media_type(resource.media_type, uri=resource.uri, body=body)
    try:
        return _by_kind(kind, resource, rules, depth)
    except UnreadableError as error:
        return Extracted(problem=error.problem, detail=_one_line(error.detail))


def _by_kind(kind: str, resource: Resource, rules: CleaningRules, depth: int) -> Extracted:
    if kind == HTML:
        from connectors.extractors import html

        return html.extract(resource, rules)
    if kind == PDF:
        from connectors.extractors import pdf

        return pdf.extract(resource, rules)
    if kind in TEXTS:
        from connectors.extractors import plain

        return plain.extract(resource, rules, kind=kind)
    if kind in OFFICE or kind in {EPUB, EML, ZIP}:
        return _with_files_inside(kind, resource, rules, depth)
    return Extracted(
        problem="unsupported", detail=f"No page is made of {kind or resource.media_type or 'unknown bytes'}."
    )


def _with_files_inside(kind: str, resource: Resource, rules: CleaningRules, depth: int) -> Extracted:
    from connectors.extractors import book, bundle, mail, office

    if depth >= NESTING:
        return Extracted(problem="too-deep", detail=f"It is a file in a file, more than {NESTING} times over.")

    def read(inner: Resource, own: CleaningRules) -> Extracted:
        return _extract(inner, own, depth + 1)

    if kind in OFFICE:
        return office.extract(resource, rules, kind=kind, read=read)
    reader = {EPUB: book.extract, EML: mail.extract, ZIP: bundle.extract}[kind]
    return reader(resource, rules, read=read)


def _one_line(text: str) -> str:
    folded = " ".join(text.split())
    return folded if len(folded) <= 300 else folded[:299] + "…"  # noqa: PLR2004 - a sentence for a person
