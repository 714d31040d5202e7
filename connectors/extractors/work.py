"""The work of a cleaning process: bytes of any media type in, pages out, never an exception."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.extractors import sniff
from connectors.media_types import HTML
from connectors.models import Extracted

if TYPE_CHECKING:
    from connectors.models import CleaningRules, Resource


def preload() -> None:
    """Import what every page needs, so that no page waits for it."""
    import connectors.extractors.html  # noqa: F401 - that it is loaded is the point


def extract(resource: Resource, rules: CleaningRules) -> Extracted:
    """Turn one resource into pages, by its media type or, when that is missing or wrong, by what it looks like.

    Returns:
        The pages, or the ``problem`` that says why there are none; it never raises.
    """
    try:
        return _extract(resource, rules)
    except MemoryError:
        return Extracted(problem="killed-memory", detail="Cleaning it took more memory than a cleaner may have.")
    except RecursionError:
        return Extracted(problem="too-deep", detail="It is nested deeper than can be read.")
    except Exception as error:  # noqa: BLE001 - one bad item never stops the others
        return Extracted(problem="broken", detail=_one_line(f"It could not be read: {type(error).__name__}: {error}"))


def _extract(resource: Resource, rules: CleaningRules) -> Extracted:
    body = resource.body
    if not body:
        return Extracted(problem="empty", detail="It has no content.")
    kind = sniff.media_type(resource.media_type, uri=resource.uri, body=body)
    if kind == HTML:
        from connectors.extractors import html

        return html.extract(resource, rules)
    return Extracted(
        problem="unsupported", detail=f"No page is made of {kind or resource.media_type or 'unknown bytes'}."
    )


def _one_line(text: str) -> str:
    folded = " ".join(text.split())
    return folded if len(folded) <= 300 else folded[:299] + "…"  # noqa: PLR2004 - a sentence for a person
