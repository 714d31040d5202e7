"""SQL of the frontier and of outcomes: every URI of a run has one row, and the row one outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.ledger.pack import plain, uri_hash
from connectors.models import Due

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.ledger.database import Connection
    from connectors.ledger.values import Run
    from connectors.models import Found, FoundBy, Resource, Skipped

LONGEST_LINKS = 8 * 1024
"""Bytes of packed links that come along with a due URI; more are read when they are asked for."""
_TAKE = f"""
SELECT
  visits.id, visits.uri, visits.found_by, visits.depth, visits.via,
  resources.etag, resources.last_modified, resources.config,
  CASE WHEN length(resources.links) <= {LONGEST_LINKS} THEN resources.links END AS links
FROM visits LEFT JOIN resources ON resources.hash = visits.hash AND resources.source_id = :source
WHERE visits.run_id = :run AND visits.id > :after AND visits.outcome IS NULL
ORDER BY visits.id LIMIT :most
"""
_KNOWN = "SELECT etag, last_modified, config FROM resources WHERE hash = :hash AND source_id = :source"
_END = """
UPDATE visits SET
  outcome = :outcome, rule = :rule, detail = :detail, fault = :fault, status = :status, seconds = :seconds,
  ended_at = :ended_at
WHERE hash = :h AND run_id = :r AND outcome IS NULL
"""
_OUTCOME = "SELECT id, outcome FROM visits WHERE hash = :h AND run_id = :r"
_DISCOVERED = "SELECT count(*) FROM visits WHERE run_id = :r"
_DUE = "SELECT count(*) FROM visits WHERE run_id = :r AND outcome IS NULL AND id > :after"
_CLOSE = """
UPDATE visits SET
  outcome = 'skipped', rule = 'not-reached', detail = 'The run ended before its turn came.', fault = 0,
  ended_at = :now, status = 0, seconds = 0.0
WHERE run_id = :r AND outcome IS NULL
"""


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
    return connection.insert_many("visits", rows, but_known=True)


def take(connection: Connection, run: Run, *, after: int, most: int) -> tuple[list[Due], int, dict[str, bytes]]:
    """Return the oldest due URIs behind a visit id, the last one's id, and the packed links that they had."""
    rows = connection.rows(_TAKE, source=run.source_id, run=run.id, after=after, most=most)
    due = [_due(row.uri, row.found_by, row, config=run.config, depth=row.depth, via=row.via) for row in rows]
    links = {row.uri: bytes(row.links) for row in rows if row.links is not None}
    return due, (rows[-1].id if rows else after), links


def known(connection: Connection, run: Run, uri: str) -> Due | None:
    """Return the validators of a URI's last version, None when it never was read."""
    row = connection.first(_KNOWN, hash=uri_hash(uri), source=run.source_id)
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
    if connection.run(_END, **key, **values):
        return True
    if connection.first(_OUTCOME, **key) is not None:
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
    connection.insert("visits", found | values)
    return True


def not_modified(connection: Connection, run: int, met: Sequence[Resource], *, now: int) -> None:
    """Give URIs that answered "not modified" their outcome."""
    said = {"outcome": "not_modified", "rule": "", "detail": "", "fault": 0, "ended_at": now, "r": run}
    rows = [{"h": uri_hash(item.uri), "status": item.status, "seconds": item.seconds} | said for item in met]
    if connection.many(_END, rows) == len(rows):
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
    ended = {"outcome": "skipped", "rule": rule, "detail": detail}
    connection.change("visits", ended, "hash = :h AND run_id = :r", h=uri_hash(uri), r=run)


def outcome(connection: Connection, run: int, uri: str) -> str | None:
    """Return the outcome so far; None when it is due or was never met."""
    row = connection.first(_OUTCOME, h=uri_hash(uri), r=run)
    return None if row is None else row.outcome


def tally(connection: Connection, run: int, *, after: int) -> tuple[int, int]:
    """Count the URIs of a run, and those due behind a visit id."""
    return int(connection.value(_DISCOVERED, r=run)), int(connection.value(_DUE, r=run, after=after))


def close(connection: Connection, run: int, *, now: int) -> None:
    """Give whatever is still due when a run ends its outcome, so that the books balance."""
    connection.run(_CLOSE, r=run, now=now)
