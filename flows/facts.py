"""What a report says of a run beyond its numbers: read from the ledger while the run is still open."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.pipeline.ingest_run import IngestRun

log = logging.getLogger(__name__)

MOST_LISTED = 50
NIGHTS = 30
SLOWEST = 10


@dataclass(slots=True, kw_only=True)
class Facts:
    """Lists for people, cut at a length that a person reads.

    Attributes:
        pages: title, URI and verdict of pages that this run brought, changed or removed.
        failures: what failed, with its rule and a sentence.
        nights: earlier runs of the source, the oldest first: when, pages, changes, failures.
        examples: some URIs of each outcome and rule (``skipped:robots``).
        slowest: URI, seconds and outcome of what took longest to read, the slowest first.
        findings: URI, article and note of what was submitted for review.
    """

    pages: list[tuple[str, str, str]] = field(default_factory=list)
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    batches: list[dict[str, Any]] = field(default_factory=list)
    nights: list[dict[str, Any]] = field(default_factory=list)
    examples: dict[str, list[str]] = field(default_factory=dict)
    slowest: Sequence[tuple[str, float, str]] = ()
    findings: Sequence[tuple[str, str, str]] = ()


async def gather(run: IngestRun) -> Facts:
    """Read them; a report that misses a list is better than a run that fails for it."""
    facts = Facts(examples=dict(run.progress.examples))
    try:
        ledger, open_run = run.ledger, run.run
        async for page in ledger.pages(open_run, only="brought"):
            facts.pages.append((page.title, page.uri, page.verdict))
            if len(facts.pages) >= MOST_LISTED:
                break
        found = await ledger.highlights(open_run, slowest=SLOWEST, most=MOST_LISTED)
        facts.pages += [(title, uri, "removed") for title, uri in found.removed]
        facts.slowest, facts.findings = found.slowest, found.findings
        facts.failures = [(one.uri, one.rule, one.detail) for one in (await ledger.failures(open_run))[:MOST_LISTED]]
        facts.batches = [
            {
                "batch": row.number,
                "pages": row.pages,
                "bytes": row.bytes,
                "state": row.state,
                "calls": row.calls,
                "detail": row.detail,
            }
            for row in await ledger.batches(open_run)
        ]
        earlier = await ledger.runs(source_id=open_run.source_id, most=NIGHTS)
        facts.nights = [
            _night(row.started_at.date().isoformat(), row.summary) for row in reversed(earlier) if row.summary
        ]
    except Exception:
        log.debug("the report's lists could not be read", exc_info=True)
    return facts


def with_tonight(facts: Facts, summary: Mapping[str, Any]) -> Facts:
    """Return the facts with the run itself as the last of its nights: they were read before it was summed up."""
    tonight = _night(datetime.now(UTC).date().isoformat(), summary)
    return replace(facts, nights=[*facts.nights, tonight][-NIGHTS:])


def _night(day: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    pages = summary.get("pages", {})
    return {
        "day": day,
        "pages": summary.get("verified", 0),
        "changes": sum(pages.get(key, 0) for key in ("new", "changed", "vanished")),
        "failures": sum(summary.get("urls", {}).get("failed", {}).values()) + summary.get("quarantined", 0),
    }
