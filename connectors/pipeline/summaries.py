"""A run's numbers in the shape that `--json` prints, and what is wrong with them in sentences. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.errors import IngestError
    from connectors.ledger import Counts
    from connectors.pipeline.changes import Changes
    from connectors.pipeline.reconcile import Coverage

_LISTED = 100_000
_BOUNDS = {
    "login": ("--header", "addresses ask for a login and were left out; with `--header 'Cookie: …'` they may be read"),
    "max-pages": ("--max-pages", "addresses were not requested after so many pages"),
    "max-depth": ("--max-depth", "addresses are more clicks away from the start"),
    "too-large": ("max_bytes", "bodies were over the cap and left out"),
    "decompression-bomb": ("max_ratio", "bodies grew too much when they were decoded"),
    "killed-memory": ("MAX_MEMORY", "items took more memory than a cleaner may have"),
    "killed-time": ("WALL_S", "items took a cleaner too long"),
    "trap-click-depth": ("click_depth", "addresses are at the end of too long a chain of clicks"),
    "trap-query-variants": ("variants", "query variants of a path that has too many"),
    "trap-session": ("session_variants", "addresses that differ in a session's number only"),
    "trap-same-content": ("alike", "numbered pages in a row that say the same"),
    "trap-path-depth": ("path_depth", "addresses have too many path segments"),
    "trap-repeated-segment": ("repeats", "addresses repeat a path segment too often"),
    "trap-long-url": ("url_length", "addresses are too long"),
    "trap-host-pages": ("host_pages", "addresses of a host that has too many"),
    "trap-hosts": ("hosts", "addresses on hosts of a domain that has too many"),
    "trap-sitemaps": ("MAX_SITEMAPS", "sitemaps were too many or too deep"),
    "redirect-loop": ("max_redirects", "addresses lead from one to the next without end"),
    "timeout": ("whole_s", "addresses did not answer in the time they have"),
    "render-timeout": ("render_s", "pages were not ready in a browser in the time they have"),
    "too-deep": ("MAX_OPEN", "items nest too deep to be read"),
}
"""Rules that are a bound's doing: the bound's name (docs/security.md has the defaults), and what it cut."""
_CUTS = {
    "MAX_LINKS": "pages have more links than are followed; the rest of theirs was left out",
    "MAX_ROBOTS_BYTES": "robots.txt were longer than is read; the rest of them was left out",
    "MAX_NESTING": "sitemaps nest too deep and were not read on",
    "PAGES": "feeds go on after so many pages; the rest was left out",
    "ENTRIES": "pages of a feed have more entries than are read; the rest of them was left out",
    "requests": "rendered pages wanted to load more; the rest of it was refused",
    "answer": "answers of the Persona API were larger than their call allows and were not read on",
    "OUTBOX_BYTES": "times the crawl waited because so much text was waiting to be sent",
}
"""What a bound cut that is no address with an outcome: counted where it is cut, under the bound's name."""
_RESUMED = "this run went on where one broke off: its counts are those of both, its times only its own"
_FOREIGN = (
    "another text in the knowledge base than we sent: somebody changed it there, or another state folder fills it too;"
    " `persona-ingest verify --repair` puts ours back"
)
_AWAY = "lead out of its scope and were not followed; a site that names itself otherwise begins at that address"
_OPEN_BATCHES = ("pending", "sent", "unknown")


def of(counts: Counts) -> dict[str, Any]:
    """Return the summary's numbers (docs: the public interface)."""
    batches = counts.batches
    return {
        "urls": {
            "discovered": counts.discovered - counts.due,  # what a stopped run did not come to is the next one's
            "fetched": counts.fetched,
            "not_modified": counts.not_modified,
            "skipped": dict(sorted(counts.skipped.items())),
            "failed": dict(sorted(counts.failed.items())),
        },
        "pages": {
            "new": counts.new,
            "changed": counts.changed,
            "unchanged": counts.unchanged,
            "vanished": counts.vanished,
        },
        "delivered": {
            "stored": counts.stored,
            "streamed": counts.streamed,
            "updated": counts.updated,
            "deleted": counts.deleted,
        },
        "batches": {
            "delivered": batches.get("delivered", 0),
            "failed": batches.get("failed", 0),
            "pending": sum(batches.get(state, 0) for state in _OPEN_BATCHES),
        },
        "quarantined": counts.quarantined,
    }


def approval(changes: Changes, *, run: str) -> dict[str, Any]:
    """Return what a person must agree to: why, how many pages, the first of them, and the two commands."""
    return {
        "why": changes.why,
        "count": len(changes.withheld),
        "pages": [{"uri": page.uri, "reason": page.reason} for page in changes.withheld[:_LISTED]],
        "approve": f"persona-ingest sync --approve {run}",
        "reject": f"persona-ingest sync --reject {run}",
    }


def problems(
    counts: Counts,
    *,
    kind: str,
    coverage: Coverage | None,
    failure: IngestError | None,
    changes: Changes | None = None,
) -> list[str]:
    """Say what keeps the run from being complete; empty when nothing does."""
    told = [str(failure)] if failure else []
    asked = changes is not None and bool(changes.withheld)
    if not counts.due_pages and not counts.due and failure is None:
        told.append(f"no page came of it: {_why_none(counts)}")
    elif _lost_sight(counts) and kind != "feed" and not asked and failure is None:  # a feed may have no news
        told.append(f"none of the {counts.due_pages} known pages was met: {_why_none(counts)}")
    if counts.faults and failure is None:
        what = _many(counts.faults, "address", "addresses")
        told.append(f"{what} could not be read for a reason that may pass; the next run asks again")
    if failed := counts.batches.get("failed", 0):
        what, them = ("1 batch was", "it") if failed == 1 else (f"{failed} batches were", "them")
        told.append(f"{what} not accepted; `persona-ingest retry` takes {them} up")
    if counts.quarantined:
        what = "1 page was" if counts.quarantined == 1 else f"{counts.quarantined} pages were"
        told.append(f"{what} refused alone and {'is' if counts.quarantined == 1 else 'are'} in quarantine")
    if changes is not None and changes.failed:
        told.append(f"{changes.failed} updates or deletions were not carried out; the next run repeats them")
    waiting = sum(page.reason == "halved" for page in changes.withheld) if changes else 0
    if coverage is not None and coverage.verified + waiting < coverage.due:
        told.append(f"only {coverage.verified} of {coverage.due} pages were found in the knowledge base exactly once")
    return told


def _lost_sight(counts: Counts) -> bool:
    """Say whether a source that has pages showed none of them: a folder that is not mounted, a site that is broken."""
    return not counts.due and not counts.fetched and not counts.not_modified


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def _why_none(counts: Counts) -> str:
    rules = {**counts.skipped, **counts.failed}
    if not rules:
        return "the source is empty; check its address or path"
    most = ", ".join(f"{rule} {count}" for rule, count in sorted(rules.items(), key=lambda item: -item[1])[:3])
    return f"every address was passed over ({most}); `persona-ingest explain URL` tells why"


def notes(
    counts: Counts, cuts: Mapping[str, int], *, resumed: bool = False, coverage: Coverage | None = None
) -> list[str]:
    """Say of which run the numbers are, what others did to our pages, which bound cut something off; no failures."""
    told = [_RESUMED] if resumed else []
    if coverage and (count := coverage.foreign_changed):
        told.append(f"{_many(count, 'page has', 'pages have')} {_FOREIGN}")
    told += [f"{name}: {cuts[name]} {what}" for name, what in _CUTS.items() if cuts.get(name)]
    if counts.discovered == 1 and (links := cuts.get("--scope")):
        told.append(f"--scope: {_many(links, 'link', 'links')} of the only page {_AWAY}")
    for rule, (name, what) in _BOUNDS.items():
        if count := counts.skipped.get(rule, 0) + counts.failed.get(rule, 0):
            told.append(f"{name}: {count} {what}")
    return told
