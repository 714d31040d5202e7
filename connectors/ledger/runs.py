"""SQL of runs and leases: who works on which source, and where the last one stopped."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from connectors.errors import UsageError
from connectors.ledger import approvals, lease, pages, visits
from connectors.ledger.pack import dump, from_ms
from connectors.ledger.schema import holds, insert_id, runs, sources
from connectors.ledger.schema import pages as pages_table
from connectors.ledger.schema import visits as visits_table
from connectors.ledger.values import Run

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from connectors.ledger.values import Purpose

_CRAWLS = ("import", "sync")
_RUNS_WITH_VISITS = 14


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
    resume: bool,
    me: lease.Holder,
    now: int,
    stale_s: float,
) -> Run:
    """Take the source's lease; go on with the run that nobody finished, or begin one.

    Raises:
        UsageError: a process that lives works on the source.
    """
    source_id = _source(connection, source=source, destination=destination, kind=kind, origin=origin, now=now)
    _take_lease(connection, source_id, source, me, now=now, stale_s=stale_s)
    values: dict[str, Any] = {"kind": kind, "origin": origin, "options": dump(options)}
    if purpose in _CRAWLS:
        connection.execute(update(sources).where(sources.c.id == source_id).values(values))
    unfinished = _unfinished(connection, source_id, crawls=purpose in _CRAWLS)
    if unfinished is not None and resume and purpose in _CRAWLS:
        connection.execute(update(runs).where(runs.c.id == unfinished.id).values(resumed=1, config=config))
        row: Any = connection.execute(select(runs).where(runs.c.id == unfinished.id)).one()
    else:
        if unfinished is not None:
            _abandon(connection, unfinished.id, now=now)
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
        run_id = insert_id(connection, runs, values)
        row = connection.execute(select(runs).where(runs.c.id == run_id)).one()
    if purpose in _CRAWLS:
        pages.forget_holds(connection, source_id, but=row.id)
    earlier = select(runs.c.id).where(runs.c.source_id == source_id, runs.c.id != row.id).limit(1)
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
        first=connection.execute(earlier).first() is None,
    )


def finish(connection: Connection, run: Run, *, state: str, complete: bool, summary: dict[str, Any], now: int) -> None:
    """Close the run and its books, and give the lease back."""
    visits.close(connection, run.id, now=now)
    ended = {"state": state, "complete": int(complete), "summary": dump(summary), "ended_at": now}
    connection.execute(update(runs).where(runs.c.id == run.id).values(ended))
    if run.purpose in _CRAWLS:
        approvals.overtake(connection, source_id=run.source_id, run=run.id)
    _prune(connection, run)
    give_back(connection, run.source_id)


def release(connection: Connection, run: Run, *, now: int) -> None:
    """Release the lease; an import or sync stays unfinished, for the next process to go on with."""
    if run.purpose not in _CRAWLS:
        connection.execute(update(runs).where(runs.c.id == run.id).values(state="completed", ended_at=now))
    give_back(connection, run.source_id)


def give_back(connection: Connection, source_id: int) -> None:
    """Release a lease."""
    connection.execute(update(sources).where(sources.c.id == source_id).values(lease_token=None))


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
    found = select(sources.c.id).where(sources.c.name == source, sources.c.destination == destination)
    known = connection.execute(found).scalar()
    if known is not None:
        return int(known)
    values: dict[str, Any] = {"name": source, "destination": destination, "kind": kind}
    values |= {"origin": origin, "options": "{}"}
    return insert_id(connection, sources, values | {"created_at": now})


def _take_lease(
    connection: Connection, source_id: int, source: str, me: lease.Holder, *, now: int, stale_s: float
) -> None:
    row = connection.execute(select(sources).where(sources.c.id == source_id).with_for_update()).one()
    holder = holder_of(row)
    if holder is not None and not lease.is_dead(holder, now_ms=now, stale_s=stale_s):
        raise UsageError(
            f"Another process (pid {holder.pid} on {holder.host.partition(' ')[0]}) works on the source {source!r}. "
            "Wait until it has finished, stop it, or give this import another --name."
        )
    connection.execute(
        update(sources)
        .where(sources.c.id == source_id)
        .values(
            lease_token=me.token,
            lease_host=me.host,
            lease_boot=me.boot,
            lease_pid=me.pid,
            lease_born=me.born,
            lease_beat=me.beat,
            lease_tick=me.tick,
        )
    )


def _unfinished(connection: Connection, source_id: int, *, crawls: bool) -> Any:
    kinds = runs.c.purpose.in_(_CRAWLS) if crawls else runs.c.purpose.not_in(_CRAWLS)
    query = select(runs.c.id).where(runs.c.source_id == source_id, runs.c.ended_at.is_(None), kinds)
    return connection.execute(query.order_by(runs.c.id.desc()).limit(1)).first()


def _abandon(connection: Connection, run_id: int, *, now: int) -> None:
    visits.close(connection, run_id, now=now)
    connection.execute(update(runs).where(runs.c.id == run_id).values(state="abandoned", ended_at=now))


def _prune(connection: Connection, run: Run) -> None:
    """Forget the visits of old nights: a ledger must not grow by a site a night."""
    newest = select(runs.c.id).where(runs.c.source_id == run.source_id).order_by(runs.c.id.desc())
    keep = connection.execute(newest.limit(1).offset(_RUNS_WITH_VISITS)).scalar()
    if keep is not None:
        old = select(runs.c.id).where(runs.c.source_id == run.source_id, runs.c.id <= keep)
        connection.execute(delete(visits_table).where(visits_table.c.run_id.in_(old)))
    of_source = select(pages_table.c.id).where(pages_table.c.source_id == run.source_id)
    connection.execute(delete(holds).where(holds.c.run_id == run.id, holds.c.page_id.in_(of_source)))
