"""SQL of what was read: resources, pages, and the page versions that are due to be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.ledger import visits
from connectors.ledger.keeping import (
    NO_HOLD,
    NO_VALIDATORS,
    READ_ANEW,
    change_page,
    follow_move,
    hold_page,
    keep_page,
    page_at,
)
from connectors.ledger.pack import (
    pack_links,
    plain,
    unpack_links,
    unpack_page,
    uri_hash,
)
from connectors.ledger.values import Held
from connectors.models import sha256_hex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.ledger.database import Connection
    from connectors.ledger.values import Run, Verdict
    from connectors.models import Draft, Extracted, Resource

_BY_URI = "hash = :h AND source_id = :s"
_RESOURCE = f"SELECT * FROM resources WHERE {_BY_URI}"
_SEEN = f"UPDATE resources SET seen_run = :run WHERE {_BY_URI}"
_HELD = """
SELECT page_id, page, canonical FROM holds WHERE run_id = :run AND page_id > :after ORDER BY page_id LIMIT :most
"""
_FREED = """
UPDATE versions SET state = 'pending', batch_id = NULL, reason = ''
WHERE source_id = :source AND state = 'quarantined'
"""
_STALE = "run_id <> :run AND EXISTS (SELECT id FROM pages WHERE id = holds.page_id AND source_id = :source)"
_UNDECIDED = f"""
{NO_VALIDATORS} WHERE id IN (
  SELECT resource_id FROM pages WHERE id IN (SELECT page_id FROM holds WHERE {_STALE})
)
"""


def same(connection: Connection, run: Run, resource: Resource, *, config: str) -> tuple[str, ...] | None:
    """Return the links that a resource had, when it is proved to be as it was; None when it is to be cleaned.

    The proof is its server's or revision's word, or the same bytes and the same cleaning.
    """
    row = _row_of(connection, run, resource)
    if resource.body is None:
        return () if row is None else unpack_links(row.links)
    if row is None or row.config != config or row.body_hash is None or bytes(row.body_hash) != _digest(resource.body):
        return None
    return unpack_links(row.links)


def unchanged(connection: Connection, run: Run, met: Sequence[Resource], *, now: int) -> None:
    """Record resources that `same` proved to be as they were."""
    plainly = [item for item in met if item.body is None and item.requested_uri == item.uri]
    visits.not_modified(connection, run.id, plainly, now=now)
    connection.many(_SEEN, [{"h": uri_hash(item.uri), "s": run.source_id, "run": run.id} for item in plainly])
    for item in met:
        if item.body is not None or item.requested_uri != item.uri:
            _unchanged(connection, run, item, now=now)


def _unchanged(connection: Connection, run: Run, resource: Resource, *, now: int) -> None:
    values: dict[str, Any] = {"seen_run": run.id}
    if resource.body is None:
        _end(connection, run, resource, outcome="not_modified", now=now)
    else:
        values |= {"etag": plain(resource.etag), "last_modified": plain(resource.last_modified)}
        _end(connection, run, resource, outcome="fetched", now=now, detail="Same bytes and same cleaning as last time.")
    row = _row_of(connection, run, resource) if resource.requested_uri != resource.uri else None
    uri = resource.uri if row is None else row.uri
    connection.change("resources", values, _BY_URI, h=uri_hash(uri), s=run.source_id)


def _row_of(connection: Connection, run: Run, resource: Resource) -> Any:
    """Return the row of a resource; one that answered "not modified" may have been known by where it was asked for."""
    row = _resource(connection, run, resource.uri)
    if row is None and resource.body is None and resource.requested_uri != resource.uri:
        row = _resource(connection, run, resource.requested_uri)
    return row


def fail(connection: Connection, run: Run, resource: Resource, extracted: Extracted, *, now: int) -> None:
    """Record a resource that gave no page, and the links it had all the same.

    It exists, so its not giving a page is no evidence against pages it once gave; that it asks not to be indexed is.
    """
    _end(connection, run, resource, outcome=extracted.outcome, rule=extracted.problem, detail=extracted.detail, now=now)
    # Without validators and hash it is read and cleaned again next time.
    values: dict[str, Any] = {"etag": "", "last_modified": "", "body_hash": None}
    if extracted.problem != "noindex":
        values["seen_run"] = run.id
    if extracted.links:
        values["links"] = pack_links(extracted.links)
    row = _resource(connection, run, resource.uri)
    if row is not None:
        connection.change("resources", values, "id = :key", key=row.id)
    elif extracted.links:
        values |= {"source_id": run.source_id, "hash": uri_hash(resource.uri), "uri": plain(resource.uri)}
        values |= {"config": "", "seen_run": run.id, "recorded_run": 0}
        connection.insert("resources", values)


def record(
    connection: Connection,
    run: Run,
    resource: Resource,
    extracted: Extracted,
    drafts: Sequence[Draft],
    *,
    config: str,
    hold: bool,
    canonical: str,
    now: int,
) -> list[Verdict]:
    """Record a cleaned resource with its pages; what is new or changed is frozen as pending."""
    resource_id = _keep_resource(connection, run, resource, extracted, config=config)
    for draft in drafts:
        follow_move(connection, run, resource, draft, alone=len(drafts) == 1)
    if hold:
        _end(connection, run, resource, outcome="fetched", now=now)
        held_pages = [draft.page for draft in drafts] or list(extracted.pages)
        canonical = canonical or extracted.canonical
        return [
            hold_page(connection, run, page, resource_id, canonical=canonical, config=config) for page in held_pages
        ]
    kept = [keep_page(connection, run, draft, resource_id=resource_id, now=now) for draft in drafts]
    if kept and all(item.verdict == "duplicate" for item in kept):
        detail = f"Its text is that of {kept[0].owner}, which is delivered."
        _end(connection, run, resource, outcome="skipped", rule="duplicate", detail=detail, now=now)
    else:
        _end(connection, run, resource, outcome="fetched", now=now)
    return [item.verdict for item in kept]


def held(connection: Connection, run: Run, *, after: int, most: int) -> list[tuple[int, Held]]:
    """Return held pages behind a page id."""
    rows = connection.rows(_HELD, run=run.id, after=after, most=most)
    return [(row.page_id, Held(page=unpack_page(row.page), canonical=row.canonical)) for row in rows]


def release_page(connection: Connection, run: Run, draft: Draft, *, now: int) -> Verdict:
    """Record a page that was held, as it is to be sent."""
    row = page_at(connection, run, draft.page.uri)
    resource_id = row.resource_id if row is not None else 0
    kept = keep_page(connection, run, draft, resource_id=resource_id, now=now)
    if row is not None:
        _weigh_again(connection, run, row.id)
        connection.run(NO_HOLD, page=row.id)
    if kept.verdict == "duplicate":
        detail = f"Its text is that of {kept.owner}, which is delivered."
        visits.overrule(connection, run.id, _uri_of(connection, resource_id), rule="duplicate", detail=detail)
    return kept.verdict


def _weigh_again(connection: Connection, run: Run, page: int) -> None:
    """Let a page that stands because the address it names is none be read next time: by then that may be one."""
    named = connection.value("SELECT canonical FROM holds WHERE page_id = :page", page=page)
    if named and visits.outcome(connection, run.id, named) not in {"fetched", "not_modified"}:
        connection.run(READ_ANEW, page=page)


def drop(connection: Connection, run: Run, uri: str, *, rule: str, detail: str) -> None:
    """Give a held page up, for a reason."""
    row = page_at(connection, run, uri)
    if row is None:
        return
    connection.run(NO_HOLD, page=row.id)
    connection.run(READ_ANEW, page=row.id)  # whether another page still speaks for it is asked each time
    if row.state == "held":
        connection.run("DELETE FROM pages WHERE id = :page", page=row.id)
    else:  # delivered earlier: to this run it was not there, and the rule says whether that is evidence
        change_page(connection, row.id, {"seen_run": 0})
    visits.overrule(connection, run.id, _uri_of(connection, row.resource_id), rule=rule, detail=detail)


def unquarantine(connection: Connection, run: Run, *, which: str) -> int:
    """Make quarantined pages due again: one by its URI, or all of the source."""
    if which in {"all", run.source}:
        return connection.run(_FREED, source=run.source_id)
    return connection.run(f"{_FREED} AND uri = :uri", source=run.source_id, uri=which)


def forget_holds(connection: Connection, source: int, *, but: int) -> None:
    """Drop what earlier runs held and never decided; its resources are read again."""
    connection.run(_UNDECIDED, source=source, run=but)
    connection.run(f"DELETE FROM holds WHERE {_STALE}", source=source, run=but)


def _keep_resource(connection: Connection, run: Run, resource: Resource, extracted: Extracted, *, config: str) -> int:
    values: dict[str, Any] = {
        "etag": plain(resource.etag),
        "last_modified": plain(resource.last_modified),
        "body_hash": None if resource.body is None else _digest(resource.body),
        "config": config,
        "links": pack_links(extracted.links),
        "seen_run": run.id,
        "recorded_run": run.id,
    }
    row = None if run.first else _resource(connection, run, resource.uri)
    if row is None:
        key = {"source_id": run.source_id, "hash": uri_hash(resource.uri), "uri": plain(resource.uri)}
        number = connection.insert_unless_known("resources", values | key)
        if number:
            return number
        row = _resource(connection, run, resource.uri)
    connection.change("resources", values, "id = :key", key=row.id)
    return int(row.id)


def _end(
    connection: Connection,
    run: Run,
    resource: Resource,
    *,
    outcome: str,
    now: int,
    rule: str = "",
    detail: str = "",
) -> None:
    visits.end(
        connection,
        run.id,
        resource.uri,
        outcome=outcome,
        rule=rule,
        detail=detail,
        status=resource.status,
        seconds=resource.seconds,
        depth=resource.depth,
        now=now,
    )


def _resource(connection: Connection, run: Run, uri: str) -> Any:
    return connection.first(_RESOURCE, h=uri_hash(uri), s=run.source_id)


def _uri_of(connection: Connection, resource_id: int) -> str:
    return connection.value("SELECT uri FROM resources WHERE id = :id", id=resource_id) or ""


def _digest(body: bytes) -> bytes:
    return bytes.fromhex(sha256_hex(body))[:16]
