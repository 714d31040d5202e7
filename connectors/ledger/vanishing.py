"""SQL of pages that were not seen: the evidence of each run is counted once, moves are followed, the rest is listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.ledger.database import one_of
from connectors.ledger.evidence import RUNS, TOLD_ANYWAY, Evidence, sighting, weigh
from connectors.ledger.keeping import READ_ANEW, SUPERSEDE
from connectors.ledger.outbox import tell
from connectors.ledger.pack import NO_TEXT

if TYPE_CHECKING:
    from collections.abc import Collection

    from connectors.ledger.database import Connection
    from connectors.ledger.values import Run

_LATELY = 7
_IN_BASE = one_of(("sent", "delivered", "verified", "updating"))
_THIS = "id = :page"
_SEEN = "resources.seen_run = :run AND pages.seen_run = resources.recorded_run"
_PAGES = "pages JOIN resources ON resources.id = pages.resource_id"
_OF_SOURCE = "pages.source_id = :source AND pages.state IN ('live', 'duplicate')"
_FOUND_AGAIN = f"""
UPDATE pages SET gone_runs = 0, absent_runs = 0, weighed_run = :run WHERE id IN (
  SELECT pages.id FROM {_PAGES} WHERE {_OF_SOURCE} AND {_SEEN} AND (pages.gone_runs > 0 OR pages.absent_runs > 0)
)
"""
_UNSEEN = f"""
SELECT pages.id, pages.uri, pages.state, pages.gone_runs, pages.absent_runs, visits.id AS visit, visits.rule
FROM {_PAGES} LEFT JOIN visits ON visits.hash = resources.hash AND visits.run_id = :run
WHERE {_OF_SOURCE} AND NOT ({_SEEN}) AND pages.weighed_run <> :run
ORDER BY pages.id
"""
_RECENT = f"""
SELECT id FROM runs WHERE source_id = :source AND purpose IN ('import', 'sync') ORDER BY id DESC LIMIT {_LATELY}
"""
_UNREAD = f"""
SELECT resources.id FROM resources JOIN visits ON visits.hash = resources.hash AND visits.run_id = :run
WHERE resources.source_id = :source AND resources.seen_run >= :since
  AND visits.outcome IN ('skipped', 'failed') AND visits.rule NOT IN {one_of(TOLD_ANYWAY)}
  AND resources.seen_run <> :run AND length(resources.links) > 0
LIMIT 1
"""
_HEIR = f"""
SELECT pages.id, pages.version_id FROM {_PAGES}
WHERE pages.duplicate_of = :page AND pages.state = 'duplicate' AND {_SEEN} ORDER BY pages.id LIMIT 1
"""
_HAND_OVER = f"UPDATE versions SET page_id = :heir WHERE page_id = :page AND state IN {_IN_BASE}"
_PROVED = f"(gone_runs >= {RUNS} OR absent_runs >= {RUNS})"
_CANDIDATES = f"""
SELECT id, uri, state, gone_runs FROM pages
WHERE source_id = :source AND (
  state = 'live' AND {_PROVED}
  OR state = 'duplicate' AND EXISTS (
    SELECT versions.id FROM versions WHERE versions.page_id = pages.id AND versions.state IN {_IN_BASE}
  )
)
ORDER BY id
"""
_BURIED = (
    "UPDATE pages SET state = 'gone', verdict = 'vanished', verdict_run = :run WHERE id = :page AND state = 'live'"
)
_FORGETTABLE = f"SELECT id FROM pages WHERE source_id = :source AND state = 'duplicate' AND {_PROVED}"


def count_evidence(connection: Connection, run: Run, *, complete: bool) -> None:
    """Weigh what this run saw of every page that it did not find; done twice for one run it counts once."""
    mine = {"source": run.source_id, "run": run.id}
    connection.run(_FOUND_AGAIN, **mine)
    unseen = connection.rows(_UNSEEN, **mine)
    complete = complete and not (unseen and _a_list_was_unread(connection, run))
    for row in unseen:
        saw = sighting(
            seen=False,
            visited=row.visit is not None,
            rule=row.rule or "",
            complete=complete,
            lists_all=run.kind != "feed",
            exact=run.kind == "git",
        )
        after = weigh(Evidence(gone_runs=row.gone_runs, absent_runs=row.absent_runs), saw)
        counted = {"gone_runs": after.gone_runs, "absent_runs": after.absent_runs, "weighed_run": run.id}
        connection.change("pages", counted, _THIS, page=row.id)
        if saw in {"gone", "deleted", "absent"}:
            _follow_move(connection, run, row)


def _a_list_was_unread(connection: Connection, run: Run) -> bool:
    """Say whether a page with links, read lately, could not be read this time.

    A list that answers an error, or that robots.txt now hides, names nothing, and that is no evidence against what it
    might name. One that has been unreadable for `_LATELY` runs holds nothing up any more.
    """
    recent = connection.column(_RECENT, source=run.source_id)
    given = {"source": run.source_id, "run": run.id, "since": min(recent, default=run.id)}
    return connection.value(_UNREAD, **given) is not None


def _follow_move(connection: Connection, run: Run, row: Any) -> None:
    """Let a page that this run saw with the same text elsewhere take over the items of the one that is gone."""
    if row.state != "live":
        return
    heir = connection.first(_HEIR, page=row.id, run=run.id)
    if heir is None:
        return
    _supersede(connection, run, row.id)
    connection.run(_HAND_OVER, heir=heir.id, page=row.id)
    connection.run(tell("promote", "id = :version"), version=heir.version_id)
    moved = {"state": "live", "duplicate_of": None, "moved_from": row.uri, "verdict": "changed", "verdict_run": run.id}
    connection.change("pages", moved, _THIS, page=heir.id)
    connection.change("pages", {"duplicate_of": heir.id}, "duplicate_of = :page", page=row.id)
    connection.change("pages", {"state": "gone", "version_id": None}, _THIS, page=row.id)
    connection.run(READ_ANEW, page=row.id)


def candidates(connection: Connection, run: Run) -> list[tuple[int, str, str]]:
    """Return the pages that would leave the knowledge base: id, address and why."""
    return [
        (row.id, row.uri, "duplicate" if row.state == "duplicate" else "gone" if row.gone_runs > 1 else "absent")
        for row in connection.rows(_CANDIDATES, source=run.source_id)
    ]


def bury(connection: Connection, run: Run, chosen: Collection[int]) -> None:
    """Mark pages as gone: their versions in the knowledge base are to be deleted, others are dropped.

    A duplicate is not gone: only its items leave, and the text that waits for its turn stays.
    """
    for page in chosen:
        if connection.run(_BURIED, run=run.id, page=page):
            _supersede(connection, run, page)
            connection.run(READ_ANEW, page=page)
    for page in connection.column(_FORGETTABLE, source=run.source_id):
        connection.change("pages", {"state": "gone"}, _THIS, page=page)
        connection.run(READ_ANEW, page=page)


def _supersede(connection: Connection, run: Run, page: int) -> None:
    connection.run(SUPERSEDE, page=page, run=run.id, nothing=NO_TEXT)


def pardon(connection: Connection, run: Run) -> int:
    """Forget the evidence against the pages that would leave: a person said that they stay."""
    rows = candidates(connection, run)
    for page, _, _ in rows:
        connection.change("pages", {"gone_runs": 0, "absent_runs": 0}, _THIS, page=page)
    return len(rows)
