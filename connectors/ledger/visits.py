"""SQL of the frontier and of outcomes: every URI of a run has one row, and the row one outcome."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, func, select, update
from sqlalchemy.dialects import sqlite

from connectors.ledger.pack import plain, uri_hash
from connectors.ledger.prepared import Prepared
from connectors.ledger.schema import insert_id, resources, visits
from connectors.models import Due

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from connectors.ledger.values import Run
    from connectors.models import Found, FoundBy, Resource, Skipped

LONGEST_LINKS = 8 * 1024
"""Bytes of packed links that come along with a due URI; more are read when they are asked for."""
_ADD_SQLITE = Prepared(sqlite.insert(visits).on_conflict_do_nothing())
_TAKE = Prepared(
    select(
        visits.c.id,
        visits.c.uri,
        visits.c.found_by,
        visits.c.depth,
        visits.c.via,
        resources.c.etag,
        resources.c.last_modified,
        resources.c.config,
        case((func.length(resources.c.links) <= LONGEST_LINKS, resources.c.links)).label("links"),
    )
    .outerjoin(resources, and_(resources.c.hash == visits.c.hash, resources.c.source_id == bindparam("source")))
    .where(visits.c.run_id == bindparam("run"), visits.c.id > bindparam("after"), visits.c.outcome.is_(None))
    .order_by(visits.c.id)
    .limit(bindparam("most"))
)
_KNOWN = Prepared(
    select(resources.c.etag, resources.c.last_modified, resources.c.config).where(
        resources.c.hash == bindparam("hash"), resources.c.source_id == bindparam("source")
    )
)
_END = Prepared(
    update(visits)
    .where(visits.c.hash == bindparam("h"), visits.c.run_id == bindparam("r"), visits.c.outcome.is_(None))
    .values({column: bindparam(column) for column in ("outcome", "rule", "detail", "fault", "status", "seconds")})
    .values(ended_at=bindparam("ended_at"))
)
_OUTCOME = Prepared(
    select(visits.c.id, visits.c.outcome).where(visits.c.hash == bindparam("h"), visits.c.run_id == bindparam("r"))
)
_DISCOVERED = select(func.count()).select_from(visits).where(visits.c.run_id == bindparam("r"))
_DUE = (
    select(func.count())
    .select_from(visits)
    .where(visits.c.run_id == bindparam("r"), visits.c.outcome.is_(None), visits.c.id > bindparam("after"))
)


def add(connection: Connection, run: int, found: Mapping[int, Found]) -> int:
    """Insert what is not known yet, by the hashes of the URIs, and say how many that were."""
    rows = [
        {
            "run_id": run,
            "hash": key,
            "uri": plain(item.uri),
            "found_by": item.by,
            "depth": item.depth,
            "via": plain(item.via),
            "modified": plain(item.modified),
        }
        for key, item in found.items()
    ]
    if connection.dialect.name == "sqlite":
        return _ADD_SQLITE.many(connection, rows)
    return len(connection.execute(_add_on_postgresql(), rows).all()) if rows else 0


@cache
def _add_on_postgresql() -> Any:
    """Return one statement for many rows: each would be a way to the server and back."""
    from sqlalchemy.dialects import postgresql  # a twelfth of what `status` costs, and most ledgers are files

    return postgresql.insert(visits).on_conflict_do_nothing().returning(visits.c.id)


def take(connection: Connection, run: Run, *, after: int, most: int) -> tuple[list[Due], int, dict[str, bytes]]:
    """Return the oldest due URIs behind a visit id, the last one's id, and the packed links that they had."""
    parameters = {"source": run.source_id, "run": run.id, "after": after, "most": most}
    rows = _TAKE.all(connection, parameters)
    due = [_due(row.uri, row.found_by, row, config=run.config, depth=row.depth, via=row.via) for row in rows]
    links = {row.uri: bytes(row.links) for row in rows if row.links is not None}
    return due, (rows[-1].id if rows else after), links


def known(connection: Connection, run: Run, uri: str) -> Due | None:
    """Return the validators of a URI's last version, None when it never was read."""
    row = _KNOWN.first(connection, {"hash": uri_hash(uri), "source": run.source_id})
    return None if row is None else _due(uri, "known", row, config=run.config)


def _due(uri: str, by: FoundBy, row: Any, *, config: str, depth: int = 0, via: str = "") -> Due:
    usable = row.etag is not None and (not config or not row.config or row.config == config)
    etag, modified = (row.etag, row.last_modified) if usable else ("", "")
    return Due(uri=uri, by=by, depth=depth, via=via, etag=etag, last_modified=modified)


def end(
    connection: Connection,
    run: int,
    uri: str,
    *,
    outcome: str,
    now: int,
    rule: str = "",
    detail: str = "",
    fault: bool = False,
    status: int = 0,
    seconds: float = 0.0,
    depth: int = 0,
) -> bool:
    """Give a URI its outcome; the first one stays. A URI that nobody announced gets its row now.

    Returns:
        True when this outcome is the one that counts.
    """
    values = {
        "outcome": outcome,
        "rule": plain(rule),
        "detail": plain(detail),
        "fault": int(fault),
        "status": status,
        "seconds": seconds,
        "ended_at": now,
    }
    key = {"h": uri_hash(uri), "r": run}
    if _END.run(connection, key | values):
        return True
    if _OUTCOME.first(connection, key) is not None:
        return False
    found = {
        "run_id": run,
        "hash": key["h"],
        "uri": plain(uri),
        "found_by": "",
        "depth": depth,
        "via": "",
        "modified": "",
    }
    insert_id(connection, visits, found | values)
    return True


def not_modified(connection: Connection, run: int, met: Sequence[Resource], *, now: int) -> None:
    """Give URIs that answered "not modified" their outcome."""
    said = {"outcome": "not_modified", "rule": "", "detail": "", "fault": 0, "ended_at": now, "r": run}
    rows = [{"h": uri_hash(item.uri), "status": item.status, "seconds": item.seconds} | said for item in met]
    if _END.many(connection, rows) == len(rows):
        return
    for item in met:  # one of them nobody announced, or has its outcome
        end(
            connection,
            run,
            item.uri,
            outcome="not_modified",
            status=item.status,
            seconds=item.seconds,
            depth=item.depth,
            now=now,
        )


def skip(connection: Connection, run: int, item: Skipped, *, now: int) -> None:
    """Record an item that was passed over or failed."""
    end(
        connection,
        run,
        item.uri,
        outcome=item.outcome,
        rule=item.rule,
        detail=item.detail,
        fault=item.fault,
        status=item.status,
        seconds=item.seconds,
        depth=item.depth,
        now=now,
    )


def overrule(connection: Connection, run: int, uri: str, *, rule: str, detail: str) -> None:
    """Turn a fetched page's outcome into skipped: it proved, in the end, not to be one of ours."""
    connection.execute(
        update(visits)
        .where(visits.c.hash == uri_hash(uri), visits.c.run_id == run)
        .values(outcome="skipped", rule=rule, detail=detail)
    )


def outcome(connection: Connection, run: int, uri: str) -> str | None:
    """Return the outcome so far; None when it is due or was never met."""
    row = _OUTCOME.first(connection, {"h": uri_hash(uri), "r": run})
    return None if row is None else row.outcome


def tally(connection: Connection, run: int, *, after: int) -> tuple[int, int]:
    """Count the URIs of a run, and those due behind a visit id."""
    discovered = connection.execute(_DISCOVERED, {"r": run}).scalar_one()
    due = connection.execute(_DUE, {"r": run, "after": after}).scalar_one()
    return discovered, due


def close(connection: Connection, run: int, *, now: int) -> None:
    """Give whatever is still due when a run ends its outcome, so that the books balance."""
    connection.execute(
        update(visits)
        .where(visits.c.run_id == run, visits.c.outcome.is_(None))
        .values(outcome="skipped", rule="not-reached", detail="The run ended before its turn came.", fault=0)
        .values(ended_at=now, status=0, seconds=0.0)
    )
