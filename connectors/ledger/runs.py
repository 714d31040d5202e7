"""SQL of runs and leases: who works on which source, and where the last one stopped."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from connectors.errors import UsageError
from connectors.ledger import approvals, lease, pages, visits
from connectors.ledger.database import one_of
from connectors.ledger.pack import dump, from_ms
from connectors.ledger.values import Run

if TYPE_CHECKING:
    from connectors.ledger.database import Connection
    from connectors.ledger.values import Purpose

_CRAWLS = ("import", "sync")
_RUNS_WITH_VISITS = 14
_NIGHT_MS = 6 * 3_600_000
"""A sync whose crawl was over so long ago would tell of the source as it was another night."""
_THIS = "id = :id"
_UNFINISHED = """
SELECT id FROM runs WHERE source_id = :source AND ended_at IS NULL AND purpose {kinds} ORDER BY id DESC LIMIT 1
"""
_EARLIER = "SELECT id FROM runs WHERE source_id = :source AND id <> :run LIMIT 1"
_SOMETHING_DUE = "SELECT id FROM visits WHERE run_id = :run AND outcome IS NULL LIMIT 1"
_LAST_KEPT = f"SELECT id FROM runs WHERE source_id = :source ORDER BY id DESC LIMIT 1 OFFSET {_RUNS_WITH_VISITS}"
_OLD_VISITS = """
DELETE FROM visits WHERE run_id IN (SELECT id FROM runs WHERE source_id = :source AND id <= :last)
"""
_OWN_HOLDS = """
DELETE FROM holds WHERE run_id = :run AND EXISTS (SELECT id FROM pages WHERE id = holds.page_id AND source_id = :source)
"""


def begin(
    connection: Connection,
    *,
    source: str,
    kind: str,
    origin: str,
    destination: str,
    options: dict[str, Any],
    purpose: Purpose,
    config: str,
    me: lease.Holder,
    now: int,
    stale_s: float,
) -> Run:
    """Take the source's lease; go on with the run that nobody finished, or begin one.

    A sync does not go on with a run of another night whose crawl was over: it would ask the source for nothing. What
    that run recorded stays.

    Raises:
        UsageError: a process that lives works on the source.
    """
    source_id = _source(connection, source=source, destination=destination, kind=kind, origin=origin, now=now)
    _take_lease(connection, source_id, source, me, now=now, stale_s=stale_s, purpose=purpose)
    values: dict[str, Any] = {"kind": kind, "origin": origin, "options": dump(options)}
    if purpose in _CRAWLS:
        connection.change("sources", values, _THIS, id=source_id)
    unfinished = _unfinished(connection, source_id, crawls=purpose in _CRAWLS)
    if unfinished is not None and purpose in _CRAWLS and not _is_stale(connection, unfinished, purpose, now=now):
        connection.change("runs", {"resumed": 1, "config": config}, _THIS, id=unfinished)
        run_id = unfinished
    else:
        if unfinished is not None:
            _abandon(connection, unfinished, now=now)
        values = {
            "source_id": source_id,
            "purpose": purpose,
            "state": "running",
            "complete": 0,
            "config": config,
            "stream_id": f"persona-ingest-{secrets.token_hex(8)}",
            "resumed": 0,
            "started_at": now,
        }
        run_id = connection.insert("runs", values)
    row = connection.first("SELECT * FROM runs WHERE id = :id", id=run_id)
    if purpose in _CRAWLS:
        pages.forget_holds(connection, source_id, but=row.id)
    return Run(
        id=row.id,
        source_id=source_id,
        source=source,
        kind=kind,
        origin=origin,
        destination=destination,
        purpose=row.purpose,
        resumed=bool(row.resumed),
        stream_id=row.stream_id,
        config=config,
        started_at=from_ms(row.started_at),
        first=connection.value(_EARLIER, source=source_id, run=row.id) is None,
    )


def finish(connection: Connection, run: Run, *, state: str, complete: bool, summary: dict[str, Any], now: int) -> None:
    """Close the run and its books, and give the lease back."""
    visits.close(connection, run.id, now=now)
    ended = {"state": state, "complete": int(complete), "summary": dump(summary), "ended_at": now}
    connection.change("runs", ended, _THIS, id=run.id)
    if run.purpose in _CRAWLS:
        approvals.overtake(connection, source_id=run.source_id, run=run.id)
    _prune(connection, run)
    give_back(connection, run.source_id)


def release(connection: Connection, run: Run, *, now: int) -> None:
    """Release the lease; an import or sync stays unfinished, for the next process to go on with."""
    if run.purpose not in _CRAWLS:
        connection.change("runs", {"state": "completed", "ended_at": now}, _THIS, id=run.id)
    give_back(connection, run.source_id)


def give_back(connection: Connection, source_id: int) -> None:
    """Release a lease."""
    connection.change("sources", {"lease_token": None}, _THIS, id=source_id)


def holder_of(row: Any) -> lease.Holder | None:
    """Read the holder of a source's row; None when nobody holds it."""
    if row.lease_token is None:
        return None
    return lease.Holder(
        token=row.lease_token,
        host=row.lease_host,
        boot=row.lease_boot,
        pid=row.lease_pid,
        born=row.lease_born,
        beat=row.lease_beat,
        tick=row.lease_tick,
    )


def _source(connection: Connection, *, source: str, destination: str, kind: str, origin: str, now: int) -> int:
    found = "SELECT id FROM sources WHERE name = :name AND destination = :destination"
    known = connection.value(found, name=source, destination=destination)
    if known is not None:
        return int(known)
    values: dict[str, Any] = {"name": source, "destination": destination, "kind": kind}
    values |= {"origin": origin, "options": "{}"}
    return connection.insert("sources", values | {"created_at": now})


def _take_lease(
    connection: Connection,
    source_id: int,
    source: str,
    me: lease.Holder,
    *,
    now: int,
    stale_s: float,
    purpose: Purpose,
) -> None:
    row = connection.first("SELECT * FROM sources WHERE id = :id FOR UPDATE", id=source_id)
    holder = holder_of(row)
    if holder is not None and not lease.is_dead(holder, now_ms=now, stale_s=stale_s):
        raise UsageError(
            f"Another process (pid {holder.pid} on {holder.host.partition(' ')[0]}) works on the source {source!r}. "
            + (
                "Wait until it has finished, stop it, or give this import another --name."
                if purpose == "import"
                else "Wait until it has finished, or stop it."
            )
        )
    taken = {
        "lease_token": me.token,
        "lease_host": me.host,
        "lease_boot": me.boot,
        "lease_pid": me.pid,
        "lease_born": me.born,
        "lease_beat": me.beat,
        "lease_tick": me.tick,
    }
    connection.change("sources", taken, _THIS, id=source_id)


def _unfinished(connection: Connection, source_id: int, *, crawls: bool) -> Any:
    kinds = f"{'IN' if crawls else 'NOT IN'} {one_of(_CRAWLS)}"
    return connection.value(_UNFINISHED.format(kinds=kinds), source=source_id)


def _is_stale(connection: Connection, run_id: int, purpose: Purpose, *, now: int) -> bool:
    if purpose != "sync" or now - connection.value("SELECT started_at FROM runs WHERE id = :id", id=run_id) < _NIGHT_MS:
        return False
    return connection.value(_SOMETHING_DUE, run=run_id) is None


def _abandon(connection: Connection, run_id: int, *, now: int) -> None:
    visits.close(connection, run_id, now=now)
    connection.change("runs", {"state": "abandoned", "ended_at": now}, _THIS, id=run_id)


def _prune(connection: Connection, run: Run) -> None:
    """Forget the visits of old nights: a ledger must not grow by a site a night."""
    last = connection.value(_LAST_KEPT, source=run.source_id)
    if last is not None:
        connection.run(_OLD_VISITS, source=run.source_id, last=last)
    connection.run(_OWN_HOLDS, run=run.id, source=run.source_id)
