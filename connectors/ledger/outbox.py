"""SQL of what is due to be sent: batches, and the states of the page versions in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, func, select, update

from connectors.ledger.pack import unpack_text
from connectors.ledger.prepared import Prepared, among
from connectors.ledger.schema import batches, insert_id, items, pages, versions
from connectors.ledger.transitions import after, before
from connectors.ledger.values import BatchHead, BatchWork
from connectors.models import Outgoing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Update

    from connectors.ledger.transitions import Event
    from connectors.ledger.values import Run

_OPEN = ("pending", "sent", "failed")
_CUT_AT_MOST = 20_000


def tell(event: Event) -> Update:
    """Return the statement that carries an event out, wherever the state allows it."""
    return update(versions).where(among(versions.c.state, before(event))).values(state=after(event))


def _goes_by_put() -> ColumnElement[bool]:
    elder = versions.alias("elder")
    pieces = select(func.count()).where(items.c.version_id == elder.c.id).scalar_subquery()
    blocks = among(elder.c.state, ("sent", "delivered", "updating")) | and_(elder.c.state == "verified", pieces <= 1)
    blocked = select(elder.c.id).where(elder.c.page_id == versions.c.page_id, elder.c.id != versions.c.id, blocks)
    return blocked.exists()


_UNCUT = Prepared(
    select(versions.c.id, versions.c.size)
    .where(
        versions.c.source_id == bindparam("source"),
        versions.c.state == "pending",
        versions.c.batch_id.is_(None),
        versions.c.id > bindparam("behind"),
        ~_goes_by_put(),
    )
    .order_by(versions.c.id)
    .limit(_CUT_AT_MOST)
)
_NEWEST = Prepared(select(func.max(versions.c.id).label("last")))
_NUMBER = Prepared(select(func.max(batches.c.number).label("last")).where(batches.c.run_id == bindparam("run")))
_PUT_INTO = Prepared(update(versions).where(versions.c.id == bindparam("version")).values(batch_id=bindparam("batch")))
_BATCH = Prepared(select(batches).where(batches.c.id == bindparam("batch")))
_PENDING = Prepared(
    select(versions.c.id, versions.c.uri, versions.c.title, versions.c.content, versions.c.metadata)
    .where(versions.c.batch_id == bindparam("batch"), versions.c.state == "pending")
    .order_by(versions.c.id)
)
_IN_STATE = Prepared(
    select(versions.c.id)
    .where(versions.c.batch_id == bindparam("batch"), versions.c.state == bindparam("wanted"))
    .order_by(versions.c.id)
)
_SEND = Prepared(tell("intend").where(versions.c.id == bindparam("version")).values(normal_hash=bindparam("hash")))
_SENT = Prepared(
    update(batches)
    .where(batches.c.id == bindparam("batch"))
    .values(state="sent", attempts=batches.c.attempts + 1, calls=batches.c.calls + 1)
)
_SUCCEED = Prepared(tell("succeed").where(versions.c.batch_id == bindparam("batch")))
_LEFT = Prepared(
    select(versions.c.id)
    .where(versions.c.batch_id == bindparam("batch"), among(versions.c.state, ("pending", "sent")))
    .limit(1)
)
_DONE = Prepared(update(batches).where(batches.c.id == bindparam("batch"), among(batches.c.state, ("pending", "sent"))))


def cut(
    connection: Connection,
    run: Run,
    *,
    behind: int,
    most: int,
    max_bytes: int,
    method: str,
    short: bool,
    now: int,
) -> tuple[list[BatchHead], int]:
    """Put pending versions behind a version id into batches, in order; without ``short`` only full ones.

    A version whose page has an older version in the knowledge base goes by PUT and stays out, unless that one came
    back in several pieces: then the new one is stored first.

    Returns:
        The batches, and the version id behind which the next ones are.
    """
    rows = _UNCUT.all(connection, {"source": run.source_id, "behind": behind})
    done = _NEWEST.first(connection, {}).last or 0 if len(rows) < _CUT_AT_MOST else rows[-1].id
    heads = []
    for part, full in _parts(rows, most=most, max_bytes=max_bytes):
        if full or short:
            heads.append(_new_batch(connection, run, part, method=method, stream_id=run.stream_id, now=now))
        else:
            done = part[0].id - 1
    return heads, done


def waiting_bytes(connection: Connection, run: Run) -> int:
    """Return how much text waits to be sent in batches; updates in place wait for the end of the crawl anyway."""
    waits = among(versions.c.state, ("pending", "sent")) & (versions.c.batch_id.is_not(None) | ~_goes_by_put())
    size = select(func.sum(versions.c.size)).where(versions.c.source_id == run.source_id, waits)
    return int(connection.execute(size).scalar() or 0)


def _parts(rows: Sequence[Any], *, most: int, max_bytes: int) -> list[tuple[list[Any], bool]]:
    parts: list[tuple[list[Any], bool]] = []
    part: list[Any] = []
    size = 0
    for row in rows:
        if part and (len(part) >= most or size + row.size > max_bytes):
            parts.append((part, True))
            part, size = [], 0
        part.append(row)
        size += row.size
    if part:
        parts.append((part, len(part) >= most or size >= max_bytes))
    return parts


def _new_batch(
    connection: Connection,
    run: Run,
    rows: Sequence[Any],
    *,
    method: str,
    stream_id: str,
    now: int,
    parent: int | None = None,
) -> BatchHead:
    number = 1 + (_NUMBER.first(connection, {"run": run.id}).last or 0)
    size = sum(row.size for row in rows)
    values = {"source_id": run.source_id, "run_id": run.id, "number": number, "method": method, "stream_id": stream_id}
    values |= {"state": "pending", "pages": len(rows), "bytes": size, "attempts": 0, "calls": 0, "detail": ""}
    batch = insert_id(connection, batches, values | {"parent_id": parent, "created_at": now})
    _PUT_INTO.many(connection, [{"version": row.id, "batch": batch} for row in rows])
    return BatchHead(id=batch, number=number, pages=len(rows), bytes=size)


def adopt(connection: Connection, run: Run) -> list[BatchHead]:
    """Make the open batches of earlier runs this run's own, and return every open one with something to do."""
    held = select(versions.c.id).where(versions.c.batch_id == batches.c.id, versions.c.state.in_(("pending", "sent")))
    mine = batches.c.source_id == run.source_id
    emptied = update(batches).where(mine, batches.c.state.in_(("pending", "sent")), ~held.exists())
    connection.execute(emptied.values(state="delivered"))
    open_ones = select(batches).where(mine, batches.c.state.in_(_OPEN), held.exists()).order_by(batches.c.id)
    heads = []
    number = _NUMBER.first(connection, {"run": run.id}).last or 0
    for row in connection.execute(open_ones).all():
        own = row.run_id == run.id
        number += not own
        if not own:
            taken = {"run_id": run.id, "number": number}
            connection.execute(update(batches).where(batches.c.id == row.id).values(taken))
        heads.append(BatchHead(id=row.id, number=row.number if own else number, pages=row.pages, bytes=row.bytes))
    return heads


def _in_state(connection: Connection, batch: int, state: str) -> list[int]:
    return [row.id for row in _IN_STATE.all(connection, {"batch": batch, "wanted": state})]


def load(connection: Connection, batch: int) -> BatchWork:
    """Return a batch with the pages that are still to be sent and those whose arrival is unknown."""
    row = _BATCH.first(connection, {"batch": batch})
    return BatchWork(
        id=row.id,
        number=row.number,
        method=row.method,
        stream_id=row.stream_id,
        state=row.state,
        attempts=row.attempts,
        calls=row.calls,
        pages=row.pages,
        detail=row.detail,
        pending=tuple(map(outgoing, _PENDING.all(connection, {"batch": batch}))),
        sent=tuple(_in_state(connection, batch, "sent")),
        sent_boot=row.sent_boot or "",
        sent_tick=row.sent_tick or 0,
    )


def outgoing(version: Any) -> Outgoing:
    """Read a version's row as the page that leaves us."""
    return Outgoing(
        version_id=version.id,
        uri=version.uri,
        title=version.title,
        content=unpack_text(version.content),
        metadata=json.loads(version.metadata),
    )


def mark_sent(
    connection: Connection, batch: int, hashes: Mapping[int, bytes], *, boot: str, tick: int, now: int
) -> set[int]:
    """Record the intent to send, durable before the first byte leaves; return what may be sent."""
    _SEND.many(connection, [{"version": version, "hash": value} for version, value in hashes.items()])
    _SENT.run(connection, {"batch": batch, "sent_at": now, "sent_boot": boot, "sent_tick": tick})
    return set(_in_state(connection, batch, "sent"))


def mark_delivered(connection: Connection, run: Run, batch: int, *, boot: str, tick: int, now: int) -> None:
    """Record the documented success of a batch's call."""
    method = _BATCH.first(connection, {"batch": batch}).method
    proof = {"delivered_run": run.id, "delivered_via": method, "delivered_boot": boot, "delivered_tick": tick}
    _SUCCEED.run(connection, {"batch": batch} | proof)
    _close_if_done(connection, batch, now=now)


def mark_not_applied(connection: Connection, batch: int, *, detail: str, burned: bool) -> None:
    """Record that a call surely had no effect."""
    connection.execute(tell("not applied").where(versions.c.batch_id == batch))
    drop_overtaken(connection, versions.c.batch_id == batch)
    values: dict[str, Any] = {"state": "pending", "detail": detail}
    if not burned:
        values["attempts"] = batches.c.attempts - 1
    connection.execute(update(batches).where(batches.c.id == batch).values(values))


def note(connection: Connection, batch: int, *, detail: str) -> None:
    """Keep what the last call answered."""
    connection.execute(update(batches).where(batches.c.id == batch).values(detail=detail))


def settle(
    connection: Connection, run: Run, batch: int, found: Collection[int], *, boot: str, tick: int, now: int
) -> int:
    """Record what reading back showed of a batch whose outcome was unknown; the rest is due again.

    Returns:
        How many pages had arrived.
    """
    row = connection.execute(select(batches.c.method).where(batches.c.id == batch)).one()
    proof = {"delivered_run": run.id, "delivered_via": row.method, "delivered_boot": boot, "delivered_tick": tick}
    sent = _in_state(connection, batch, "sent")
    arrived = [version for version in sent if version in found]
    if arrived:
        connection.execute(tell("found").where(versions.c.id.in_(arrived)).values(proof))
    connection.execute(tell("not found").where(versions.c.batch_id == batch))
    drop_overtaken(connection, versions.c.batch_id == batch)
    connection.execute(update(batches).where(batches.c.id == batch).values(state="pending"))
    _close_if_done(connection, batch, now=now)
    return len(arrived)


def _close_if_done(connection: Connection, batch: int, *, now: int) -> None:
    if _LEFT.first(connection, {"batch": batch}) is None:
        _DONE.run(connection, {"batch": batch, "state": "delivered", "ended_at": now})


def drop_overtaken(connection: Connection, among: ColumnElement[bool]) -> None:
    """Drop pending versions that are not their page's newest, or whose page is gone: nobody wants them any more."""
    newest = select(pages.c.id).where(pages.c.version_id == versions.c.id, pages.c.state == "live")
    overtaken = tell("supersede").where(among, versions.c.state == "pending", ~newest.exists())
    connection.execute(overtaken.values(content=b"\x00", batch_id=None, closed_run=versions.c.run_id))


def split(connection: Connection, run: Run, batch: int, *, detail: str, now: int) -> list[BatchHead]:
    """Divide what a batch still has to send between two new ones."""
    row = connection.execute(select(batches).where(batches.c.id == batch)).one()
    query = select(versions.c.id, versions.c.size).where(versions.c.batch_id == batch, versions.c.state == "pending")
    rows = connection.execute(query.order_by(versions.c.id)).all()
    half = (len(rows) + 1) // 2
    heads = [
        _new_batch(connection, run, part, method=row.method, stream_id=row.stream_id, parent=batch, now=now)
        for part in (rows[:half], rows[half:])
        if part
    ]
    closed = {"state": "split", "detail": detail, "ended_at": now}
    connection.execute(update(batches).where(batches.c.id == batch).values(closed))
    return heads


def quarantine(connection: Connection, batch: int, *, reason: str, now: int) -> None:
    """Set the one page of a batch aside, with the server's words."""
    connection.execute(tell("refused alone").where(versions.c.batch_id == batch).values(reason=reason))
    closed = {"state": "failed", "detail": reason, "ended_at": now}
    connection.execute(update(batches).where(batches.c.id == batch).values(closed))


def fail(connection: Connection, batch: int, *, detail: str, now: int) -> None:
    """Give a batch up for this run; `retry` or the next run takes it up."""
    closed = {"state": "failed", "detail": detail, "ended_at": now}
    connection.execute(update(batches).where(batches.c.id == batch).values(closed))


def promote_duplicates(connection: Connection, run: Run) -> int:
    """Make a duplicate due on its own when the page whose text it had has another text now, or is gone."""
    owner = pages.alias("owner")
    query = (
        select(pages.c.id, pages.c.text_hash, pages.c.version_id)
        .join(owner, owner.c.id == pages.c.duplicate_of)
        .where(pages.c.source_id == run.source_id, pages.c.state == "duplicate")
        .where((owner.c.text_hash != pages.c.text_hash) | (owner.c.state != "live"))
        .order_by(pages.c.id)
    )
    promoted = 0
    for row in connection.execute(query).all():
        living = select(pages.c.id).where(
            pages.c.source_id == run.source_id, pages.c.text_hash == row.text_hash, pages.c.state == "live"
        )
        other = connection.execute(living.order_by(pages.c.id).limit(1)).scalar()
        if other is not None:
            connection.execute(update(pages).where(pages.c.id == row.id).values(duplicate_of=other))
            continue
        promoted += 1
        connection.execute(tell("promote").where(versions.c.id == row.version_id))
        news = {"state": "live", "duplicate_of": None, "verdict": "new", "verdict_run": run.id}
        connection.execute(update(pages).where(pages.c.id == row.id).values(news))
    return promoted
