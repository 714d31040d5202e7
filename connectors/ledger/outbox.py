"""SQL of what is due to be sent: batches, and the states of the page versions in them."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from connectors.ledger.database import listed, one_of
from connectors.ledger.pack import NO_TEXT, unpack_text
from connectors.ledger.transitions import after, before
from connectors.ledger.values import BatchHead, BatchWork
from connectors.models import Outgoing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from connectors.ledger.database import Connection
    from connectors.ledger.transitions import Event
    from connectors.ledger.values import Run

_CUT_AT_MOST = 20_000


@cache
def tell(event: Event, where: str, *columns: str) -> str:
    """Return the statement that carries an event out, wherever the state allows it, and sets these columns too."""
    values = ", ".join([f"state = '{after(event)}'", *(f"{column} = :{column}" for column in columns)])
    return f"UPDATE versions SET {values} WHERE state IN {one_of(before(event))} AND {where}"


_DELIVERED = ("delivered_run", "delivered_via", "delivered_boot", "delivered_tick")
_IN_BATCH = "batch_id = :batch"
CHOSEN = "id IN NUMBERS(:chosen)"
_GOES_BY_PUT = """EXISTS (
  SELECT elder.id FROM versions AS elder
  WHERE elder.page_id = versions.page_id AND elder.id <> versions.id AND (
    elder.state IN ('sent', 'delivered', 'updating')
    OR elder.state = 'verified' AND (SELECT count(*) FROM items WHERE items.version_id = elder.id) <= 1
  )
)"""
_UNCUT = f"""
SELECT id, size FROM versions
WHERE source_id = :source AND state = 'pending' AND batch_id IS NULL AND id > :behind AND NOT {_GOES_BY_PUT}
ORDER BY id LIMIT {_CUT_AT_MOST}
"""
_WAITING = f"""
SELECT sum(size) FROM versions
WHERE source_id = :source AND state IN ('pending', 'sent') AND (batch_id IS NOT NULL OR NOT {_GOES_BY_PUT})
"""
_NEWEST = "SELECT max(id) FROM versions"
_NUMBER = "SELECT max(number) FROM batches WHERE run_id = :run"
_PUT_INTO = "UPDATE versions SET batch_id = :batch WHERE id = :version"
_BATCH = "SELECT * FROM batches WHERE id = :batch"
_PENDING = """
SELECT id, uri, title, content, metadata FROM versions WHERE batch_id = :batch AND state = 'pending' ORDER BY id
"""
_SIZES = "SELECT id, size FROM versions WHERE batch_id = :batch AND state = 'pending' ORDER BY id"
_IN_STATE = "SELECT id FROM versions WHERE batch_id = :batch AND state = :wanted ORDER BY id"
_SEND = tell("intend", "id = :version", "normal_hash")
_SENT = """
UPDATE batches
SET state = 'sent', attempts = attempts + 1, calls = calls + 1, sent_at = :now, sent_boot = :boot, sent_tick = :tick
WHERE id = :batch
"""
_LEFT = "SELECT id FROM versions WHERE batch_id = :batch AND state IN ('pending', 'sent') LIMIT 1"
_DONE = """
UPDATE batches SET state = 'delivered', ended_at = :now WHERE id = :batch AND state IN ('pending', 'sent')
"""
_HELD = """EXISTS (
  SELECT id FROM versions WHERE versions.batch_id = batches.id AND versions.state IN ('pending', 'sent')
)"""
_EMPTIED = f"""
UPDATE batches SET state = 'delivered' WHERE source_id = :source AND state IN ('pending', 'sent') AND NOT {_HELD}
"""
_OPEN = f"""
SELECT id, run_id, number, pages, bytes FROM batches
WHERE source_id = :source AND state IN ('pending', 'sent', 'failed') AND {_HELD} ORDER BY id
"""
_NOT_APPLIED = "UPDATE batches SET state = 'pending', detail = :detail, attempts = attempts - :spared WHERE id = :batch"
_OVERTAKEN = f"""
UPDATE versions SET state = '{after("supersede")}', content = :nothing, batch_id = NULL, closed_run = run_id
WHERE state = 'pending' AND {{where}} AND NOT EXISTS (
  SELECT pages.id FROM pages WHERE pages.version_id = versions.id AND pages.state = 'live'
)
"""
_MOVED_ON = """
SELECT pages.id, pages.text_hash, pages.version_id
FROM pages JOIN pages AS owner ON owner.id = pages.duplicate_of
WHERE pages.source_id = :source AND pages.state = 'duplicate'
  AND (owner.text_hash <> pages.text_hash OR owner.state <> 'live')
ORDER BY pages.id
"""
_LIVING = """
SELECT id FROM pages WHERE source_id = :source AND text_hash = :text AND state = 'live' ORDER BY id LIMIT 1
"""


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
    rows = connection.rows(_UNCUT, source=run.source_id, behind=behind)
    done = connection.value(_NEWEST) or 0 if len(rows) < _CUT_AT_MOST else rows[-1].id
    heads = []
    for part, full in _parts(rows, most=most, max_bytes=max_bytes):
        if full or short:
            heads.append(_new_batch(connection, run, part, method=method, stream_id=run.stream_id, now=now))
        else:
            done = part[0].id - 1
    return heads, done


def waiting_bytes(connection: Connection, run: Run) -> int:
    """Return how much text waits to be sent in batches; updates in place wait for the end of the crawl anyway."""
    return int(connection.value(_WAITING, source=run.source_id) or 0)


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
    number = 1 + (connection.value(_NUMBER, run=run.id) or 0)
    size = sum(row.size for row in rows)
    values = {"source_id": run.source_id, "run_id": run.id, "number": number, "method": method, "stream_id": stream_id}
    values |= {"state": "pending", "pages": len(rows), "bytes": size, "attempts": 0, "calls": 0, "detail": ""}
    batch = connection.insert("batches", values | {"parent_id": parent, "created_at": now})
    connection.many(_PUT_INTO, [{"version": row.id, "batch": batch} for row in rows])
    return BatchHead(id=batch, number=number, pages=len(rows), bytes=size)


def adopt(connection: Connection, run: Run) -> list[BatchHead]:
    """Make the open batches of earlier runs this run's own, and return every open one with something to do."""
    connection.run(_EMPTIED, source=run.source_id)
    heads = []
    number = connection.value(_NUMBER, run=run.id) or 0
    for row in connection.rows(_OPEN, source=run.source_id):
        own = row.run_id == run.id
        number += not own
        if not own:
            _change(connection, row.id, run_id=run.id, number=number)
        heads.append(BatchHead(id=row.id, number=row.number if own else number, pages=row.pages, bytes=row.bytes))
    return heads


def _in_state(connection: Connection, batch: int, state: str) -> list[int]:
    return connection.column(_IN_STATE, batch=batch, wanted=state)


def _change(connection: Connection, batch: int, **values: Any) -> None:
    connection.change("batches", values, "id = :batch", batch=batch)


def load(connection: Connection, batch: int) -> BatchWork:
    """Return a batch with the pages that are still to be sent and those whose arrival is unknown."""
    row = connection.first(_BATCH, batch=batch)
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
        pending=tuple(map(outgoing, connection.rows(_PENDING, batch=batch))),
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
    connection.many(_SEND, [{"version": version, "normal_hash": value} for version, value in hashes.items()])
    connection.run(_SENT, batch=batch, now=now, boot=boot, tick=tick)
    return set(_in_state(connection, batch, "sent"))


def mark_delivered(connection: Connection, run: Run, batch: int, *, boot: str, tick: int, now: int) -> None:
    """Record the documented success of a batch's call."""
    method = connection.first(_BATCH, batch=batch).method
    proof = {"delivered_run": run.id, "delivered_via": method, "delivered_boot": boot, "delivered_tick": tick}
    connection.run(tell("succeed", _IN_BATCH, *_DELIVERED), batch=batch, **proof)
    _close_if_done(connection, batch, now=now)


def mark_not_applied(connection: Connection, batch: int, *, detail: str, burned: bool) -> None:
    """Record that a call surely had no effect."""
    connection.run(tell("not applied", _IN_BATCH), batch=batch)
    drop_overtaken(connection, _IN_BATCH, batch=batch)
    connection.run(_NOT_APPLIED, batch=batch, detail=detail, spared=int(not burned))


def note(connection: Connection, batch: int, *, detail: str) -> None:
    """Keep what the last call answered."""
    _change(connection, batch, detail=detail)


def settle(
    connection: Connection, run: Run, batch: int, found: Collection[int], *, boot: str, tick: int, now: int
) -> int:
    """Record what reading back showed of a batch whose outcome was unknown; the rest is due again.

    Returns:
        How many pages had arrived.
    """
    method = connection.first(_BATCH, batch=batch).method
    proof = {"delivered_run": run.id, "delivered_via": method, "delivered_boot": boot, "delivered_tick": tick}
    sent = _in_state(connection, batch, "sent")
    arrived = [version for version in sent if version in found]
    if arrived:
        connection.run(tell("found", CHOSEN, *_DELIVERED), chosen=listed(arrived), **proof)
    connection.run(tell("not found", _IN_BATCH), batch=batch)
    drop_overtaken(connection, _IN_BATCH, batch=batch)
    _change(connection, batch, state="pending")
    _close_if_done(connection, batch, now=now)
    return len(arrived)


def _close_if_done(connection: Connection, batch: int, *, now: int) -> None:
    if connection.first(_LEFT, batch=batch) is None:
        connection.run(_DONE, batch=batch, now=now)


def drop_overtaken(connection: Connection, where: str, **given: Any) -> None:
    """Drop pending versions that are not their page's newest, or whose page is gone: nobody wants them any more."""
    connection.run(_OVERTAKEN.format(where=where), nothing=NO_TEXT, **given)


def split(connection: Connection, run: Run, batch: int, *, detail: str, now: int) -> list[BatchHead]:
    """Divide what a batch still has to send between two new ones."""
    row = connection.first(_BATCH, batch=batch)
    rows = connection.rows(_SIZES, batch=batch)
    half = (len(rows) + 1) // 2
    heads = [
        _new_batch(connection, run, part, method=row.method, stream_id=row.stream_id, parent=batch, now=now)
        for part in (rows[:half], rows[half:])
        if part
    ]
    _change(connection, batch, state="split", detail=detail, ended_at=now)
    return heads


def quarantine(connection: Connection, batch: int, *, reason: str, now: int) -> None:
    """Set the one page of a batch aside, with the server's words."""
    connection.run(tell("refused alone", _IN_BATCH, "reason"), batch=batch, reason=reason)
    _change(connection, batch, state="failed", detail=reason, ended_at=now)


def fail(connection: Connection, batch: int, *, detail: str, now: int) -> None:
    """Give a batch up for this run; `retry` or the next run takes it up."""
    _change(connection, batch, state="failed", detail=detail, ended_at=now)


def promote_duplicates(connection: Connection, run: Run) -> int:
    """Make a duplicate due on its own when the page whose text it had has another text now, or is gone."""
    promoted = 0
    for row in connection.rows(_MOVED_ON, source=run.source_id):
        other = connection.value(_LIVING, source=run.source_id, text=row.text_hash)
        if other is not None:
            connection.change("pages", {"duplicate_of": other}, "id = :page", page=row.id)
            continue
        promoted += 1
        connection.run(tell("promote", "id = :version"), version=row.version_id)
        news = {"state": "live", "duplicate_of": None, "verdict": "new", "verdict_run": run.id}
        connection.change("pages", news, "id = :page", page=row.id)
    return promoted
