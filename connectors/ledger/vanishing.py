"""SQL of pages that were not seen: the evidence of each run is counted once, moves are followed, the rest is listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, func, or_, select, update

from connectors.ledger.evidence import TOLD_ANYWAY, Evidence, sighting, weigh
from connectors.ledger.outbox import tell
from connectors.ledger.prepared import Prepared
from connectors.ledger.schema import pages, resources, runs, versions, visits
from connectors.ledger.transitions import before

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Select

    from connectors.ledger.values import Run

_LATELY = 7
_IN_BASE = ("sent", "delivered", "verified", "updating")
_WEIGH = Prepared(update(pages).where(pages.c.id == bindparam("page")))


def count_evidence(connection: Connection, run: Run, *, complete: bool) -> None:
    """Weigh what this run saw of every page that it did not find; done twice for one run it counts once."""
    seen = and_(resources.c.seen_run == run.id, pages.c.seen_run == resources.c.recorded_run)
    of_source = and_(pages.c.source_id == run.source_id, pages.c.state.in_(("live", "duplicate")))
    found_again = (
        select(pages.c.id)
        .join(resources, resources.c.id == pages.c.resource_id)
        .where(of_source, seen, or_(pages.c.gone_runs > 0, pages.c.absent_runs > 0))
    )
    connection.execute(
        update(pages).where(pages.c.id.in_(found_again)).values(gone_runs=0, absent_runs=0, weighed_run=run.id)
    )
    unseen = connection.execute(_unseen(run, of_source, seen)).all()
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
        _WEIGH.run(connection, {"page": row.id} | counted)
        if saw in {"gone", "deleted", "absent"}:
            _follow_move(connection, run, row)


def _unseen(run: Run, of_source: Any, seen: Any) -> Select[Any]:
    met = and_(visits.c.hash == resources.c.hash, visits.c.run_id == run.id)
    return (
        select(
            pages.c.id,
            pages.c.uri,
            pages.c.state,
            pages.c.gone_runs,
            pages.c.absent_runs,
            visits.c.id.label("visit"),
            visits.c.rule,
        )
        .join(resources, resources.c.id == pages.c.resource_id)
        .outerjoin(visits, met)
        .where(of_source, ~seen, pages.c.weighed_run != run.id)
        .order_by(pages.c.id)
    )


def _a_list_was_unread(connection: Connection, run: Run) -> bool:
    """Say whether a page with links, read lately, could not be read this time.

    A list that answers an error, or that robots.txt now hides, names nothing, and that is no evidence against what it
    might name. One that has been unreadable for `_LATELY` runs holds nothing up any more.
    """
    crawls = select(runs.c.id).where(runs.c.source_id == run.source_id, runs.c.purpose.in_(("import", "sync")))
    recent = connection.execute(crawls.order_by(runs.c.id.desc()).limit(_LATELY)).scalars().all()
    unread = (
        select(resources.c.id)
        .join(visits, and_(visits.c.hash == resources.c.hash, visits.c.run_id == run.id))
        .where(resources.c.source_id == run.source_id, resources.c.seen_run >= min(recent, default=run.id))
        .where(visits.c.outcome.in_(("skipped", "failed")), visits.c.rule.not_in(TOLD_ANYWAY))
        .where(resources.c.seen_run != run.id, func.length(resources.c.links) > 0)
    )
    return connection.execute(unread.limit(1)).first() is not None


def _follow_move(connection: Connection, run: Run, row: Any) -> None:
    """Let a page that this run saw with the same text elsewhere take over the items of the one that is gone."""
    if row.state != "live":
        return
    query = (
        select(pages.c.id, pages.c.version_id)
        .join(resources, resources.c.id == pages.c.resource_id)
        .where(pages.c.duplicate_of == row.id, pages.c.state == "duplicate")
        .where(resources.c.seen_run == run.id, pages.c.seen_run == resources.c.recorded_run)
    )
    heir = connection.execute(query.order_by(pages.c.id).limit(1)).first()
    if heir is None:
        return
    _supersede(connection, run, row.id)
    in_base = and_(versions.c.page_id == row.id, versions.c.state.in_(_IN_BASE))
    connection.execute(update(versions).where(in_base).values(page_id=heir.id))
    connection.execute(tell("promote").where(versions.c.id == heir.version_id))
    moved = {"state": "live", "duplicate_of": None, "moved_from": row.uri, "verdict": "changed", "verdict_run": run.id}
    connection.execute(update(pages).where(pages.c.id == heir.id).values(moved))
    connection.execute(update(pages).where(pages.c.duplicate_of == row.id).values(duplicate_of=heir.id))
    connection.execute(update(pages).where(pages.c.id == row.id).values(state="gone", version_id=None))


def candidates(connection: Connection, run: Run) -> list[tuple[int, str, str]]:
    """Return the pages that would leave the knowledge base: id, address and why."""
    proved = and_(pages.c.state == "live", or_(pages.c.gone_runs >= 2, pages.c.absent_runs >= 2))  # noqa: PLR2004
    folded = and_(pages.c.state == "duplicate", _has_delivered())
    query = select(pages.c.id, pages.c.uri, pages.c.state, pages.c.gone_runs).where(
        pages.c.source_id == run.source_id, or_(proved, folded)
    )
    return [
        (row.id, row.uri, "duplicate" if row.state == "duplicate" else "gone" if row.gone_runs > 1 else "absent")
        for row in connection.execute(query.order_by(pages.c.id))
    ]


def _has_delivered() -> Any:
    return select(versions.c.id).where(versions.c.page_id == pages.c.id, versions.c.state.in_(_IN_BASE)).exists()


def bury(connection: Connection, run: Run, chosen: Collection[int]) -> None:
    """Mark pages as gone: their versions in the knowledge base are to be deleted, others are dropped."""
    for page in chosen:
        _supersede(connection, run, page)
        gone = update(pages).where(pages.c.id == page, pages.c.state == "live")
        connection.execute(gone.values(state="gone", verdict="vanished", verdict_run=run.id))
    forgotten = and_(pages.c.source_id == run.source_id, pages.c.state == "duplicate")
    proved = and_(forgotten, or_(pages.c.gone_runs >= 2, pages.c.absent_runs >= 2))  # noqa: PLR2004
    connection.execute(update(pages).where(proved).values(state="gone"))


def _supersede(connection: Connection, run: Run, page: int) -> None:
    unsent = and_(versions.c.page_id == page, versions.c.state.in_(before("supersede")))
    closed = {"closed_run": run.id, "content": b"\x00", "batch_id": None}
    connection.execute(tell("supersede").where(unsent).values(closed))


def pardon(connection: Connection, run: Run) -> int:
    """Forget the evidence against the pages that would leave: a person said that they stay."""
    rows = candidates(connection, run)
    for page, _, _ in rows:
        connection.execute(update(pages).where(pages.c.id == page).values(gone_runs=0, absent_runs=0))
    return len(rows)
