"""trafilatura: the second opinion for articles and for pages of no known system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.extractors.html.document import Document


_MAX_CHARS = 2_000_000  # its cost grows faster than the page


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What trafilatura took for the main text."""

    markdown: str


def extract(document: Document, *, recall: bool = False) -> Found | None:
    """Return what trafilatura finds; None when it finds nothing. Its own errors are no reason to lose a page."""
    if len(document.decoded.text) > _MAX_CHARS:
        return None
    import trafilatura  # 0.5 s, and most pages never need it

    try:
        text = trafilatura.extract(
            document.decoded.text,
            url=document.uri,
            output_format="markdown",
            include_links=True,
            include_formatting=True,
            favor_recall=recall,
        )
    except Exception:  # noqa: BLE001 - whatever a hostile page does to it
        return None
    return Found(markdown=text) if text else None
