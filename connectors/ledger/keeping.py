"""SQL of one page: what is new or changed is frozen as it is to be sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.ledger.database import one_of
from connectors.ledger.pack import NO_TEXT, dump, pack, pack_blocks, pack_page, plain, plain_bytes, text_key, uri_hash
from connectors.ledger.transitions import before

if TYPE_CHECKING:
    from connectors.ledger.database import Connection
    from connectors.ledger.values import Run, Verdict
    from connectors.models import Draft, Page, Resource

_PAGE = """
SELECT pages.*, versions.state AS version_state
FROM pages LEFT JOIN versions ON versions.id = pages.version_id
WHERE pages.hash = :h AND pages.source_id = :s
"""
_OWNER = """
SELECT id, uri FROM pages
WHERE text_hash = :text AND source_id = :s AND state = 'live' AND hash <> :h
ORDER BY id LIMIT 1
"""
SUPERSEDE = f"""
UPDATE versions SET state = 'superseded', content = :nothing, batch_id = NULL, closed_run = :run
WHERE page_id = :page AND state IN {one_of(before("supersede"))}
"""
NO_VALIDATORS = "UPDATE resources SET etag = '', last_modified = '', body_hash = NULL"
"""What this is done to is read and cleaned again next time, whatever its server says."""
READ_ANEW = f"{NO_VALIDATORS} WHERE id = (SELECT resource_id FROM pages WHERE id = :page)"
"""For a page that leaves its address, or is dropped: what is there as it was may be delivered next time."""
NO_HOLD = "DELETE FROM holds WHERE page_id = :page"


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a page; ``owner`` is the address that has the same text, where it is a duplicate."""

    verdict: Verdict
    owner: str = ""


def keep_page(connection: Connection, run: Run, draft: Draft, *, resource_id: int, now: int) -> Kept:
    """Record a page of a cleaned resource, or one that was held; a text that is news is frozen as pending."""
    # In a source's first run nearly every page is new: whether one is there shows when it cannot be inserted.
    row = None if run.first else page_at(connection, run, draft.page.uri)
    if row is None:
        kept = _keep_new(connection, run, draft, resource_id=resource_id, now=now)
        if kept is not None:
            return kept
        row = page_at(connection, run, draft.page.uri)
    return _keep_known(connection, run, draft, row, resource_id=resource_id, now=now)


def _keep_new(connection: Connection, run: Run, draft: Draft, *, resource_id: int, now: int) -> Kept | None:
    """Record a page that nobody met before; None when somebody did."""
    text = text_key(draft.text_hash)
    owner = _owner(connection, run, draft, text)
    verdict: Verdict = "new" if owner is None else "duplicate"
    values = _as_seen(run, draft.page, resource_id=resource_id) | _as_owned(owner)
    values |= {"text_hash": text, "canonical": source_line(draft.content), "verdict": verdict, "verdict_run": run.id}
    page_id = _new_page(connection, run, draft.page, values)
    if not page_id:
        return None
    version = _freeze(connection, run, draft, page_id=page_id, owner=owner, now=now)
    change_page(connection, page_id, {"version_id": version})
    return Kept(verdict, owner.uri if owner else "")


def _keep_known(connection: Connection, run: Run, draft: Draft, row: Any, *, resource_id: int, now: int) -> Kept:
    text = text_key(draft.text_hash)
    canonical = source_line(draft.content)
    delivered = row.state == "live" and row.version_state not in {None, "deleted", "superseded"}
    same_text = bytes(row.text_hash or b"") == text
    seen = _as_seen(run, draft.page, resource_id=resource_id)
    if delivered and same_text and row.canonical == canonical:
        change_page(connection, row.id, seen | _said(run, row, "unchanged"))
        return Kept("unchanged")
    # If only its address changed, it stays a page of its own.
    owner = None if delivered and same_text else _owner(connection, run, draft, text)
    if owner is not None and same_text and row.state == row.version_state == "duplicate":
        change_page(connection, row.id, seen | _said(run, row, "duplicate"))
        return Kept("duplicate", owner.uri)
    verdict: Verdict = "duplicate" if owner is not None else "changed" if delivered else "new"
    connection.run(SUPERSEDE, page=row.id, run=run.id, nothing=NO_TEXT)
    values = seen | _said(run, row, verdict) | _as_owned(owner)
    values |= {"text_hash": text, "canonical": canonical, "title": plain(draft.page.title)}
    values["version_id"] = _freeze(connection, run, draft, page_id=row.id, owner=owner, now=now)
    change_page(connection, row.id, values)
    return Kept(verdict, owner.uri if owner else "")


def _owner(connection: Connection, run: Run, draft: Draft, text: bytes) -> Any:
    """Return the live page that has this text already; None when there is none."""
    return connection.first(_OWNER, text=text, s=run.source_id, h=uri_hash(draft.page.uri))


def _as_owned(owner: Any) -> dict[str, Any]:
    if owner is None:
        return {"state": "live", "duplicate_of": None}
    return {"state": "duplicate", "duplicate_of": owner.id}


def source_line(content: str) -> str:
    """Return the address that a deliverable text's first line names; empty when it names none."""
    first = content.partition("\n")[0]
    return plain(first.removeprefix("Source:").strip()) if first.startswith("Source:") else ""


def _freeze(connection: Connection, run: Run, draft: Draft, *, page_id: int, owner: Any, now: int) -> int:
    """Store a version as it is to be sent."""
    content = plain_bytes(draft.content)
    values = {
        "source_id": run.source_id,
        "page_id": page_id,
        "run_id": run.id,
        "state": "pending" if owner is None else "duplicate",
        "uri": plain(draft.page.uri),
        "title": plain(draft.page.title),
        "content": pack(content),
        "metadata": dump(dict(draft.page.metadata)),
        "size": len(content),
        "text_hash": text_key(draft.text_hash),
        "fingerprint": draft.fingerprint,
        "reason": "",
        "created_at": now,
    }
    return connection.insert("versions", values)


def _new_page(connection: Connection, run: Run, page: Page, values: dict[str, Any]) -> int:
    """Insert a page and return its number; 0 when there is one under its URI."""
    fresh = {
        "source_id": run.source_id,
        "hash": uri_hash(page.uri),
        "uri": plain(page.uri),
        "canonical": "",
        "title": plain(page.title),
        "verdict": "",
        "verdict_run": 0,
        "weighed_run": 0,
        "moved_from": "",
    }
    return connection.insert_unless_known("pages", fresh | values)


def change_page(connection: Connection, page: int, values: dict[str, Any]) -> None:
    """Set columns of a page, by its number."""
    connection.change("pages", values, "id = :key", key=page)


def _as_seen(run: Run, page: Page, *, resource_id: int) -> dict[str, Any]:
    """Return what every sight of a page sets."""
    return {
        "resource_id": resource_id,
        "seen_run": run.id,
        "flags": dump(page.flags),
        "blocks": pack_blocks(page.blocks),
        "gone_runs": 0,
        "absent_runs": 0,
    }


def _said(run: Run, row: Any, verdict: str) -> dict[str, Any]:
    """Return what this run says of a page; said twice (after a restart) the first word stays unless it was less."""
    again = row.verdict_run == run.id
    if again and (verdict == "unchanged" or (row.verdict == "new" and verdict == "changed")):
        return {}
    return {"verdict": verdict, "verdict_run": run.id}


def follow_move(connection: Connection, run: Run, resource: Resource, draft: Draft, *, alone: bool) -> None:
    """Let a page that moved keep its history: its old address redirected to the new one, which is no page yet."""
    if not alone or not resource.redirects or page_at(connection, run, draft.page.uri) is not None:
        return
    for old in reversed(resource.redirects):
        row = page_at(connection, run, old)
        if row is not None and row.state == "live":
            connection.run(READ_ANEW, page=row.id)
            moved = {"hash": uri_hash(draft.page.uri), "uri": plain(draft.page.uri), "moved_from": row.uri}
            change_page(connection, row.id, moved)
            return


def hold_page(
    connection: Connection, run: Run, page: Page, resource_id: int, *, canonical: str, config: str
) -> Verdict:
    """Let a page wait until the whole source was seen."""
    row = page_at(connection, run, page.uri)
    if row is None:
        page_id = _new_page(connection, run, page, _as_seen(run, page, resource_id=resource_id) | {"state": "held"})
    else:
        page_id = row.id
        seen = _as_seen(run, page, resource_id=resource_id)
        del seen["gone_runs"], seen["absent_runs"]  # whether it is a page at all is decided later
        change_page(connection, page_id, seen)
    connection.run(NO_HOLD, page=page_id)
    values = {"page_id": page_id, "run_id": run.id, "canonical": plain(canonical), "config": config}
    connection.insert_many("holds", [values | {"page": pack_page(page)}])
    return "held"


def page_at(connection: Connection, run: Run, uri: str) -> Any:
    """Return the page under a URI, with its version's state; None when there is none."""
    return connection.first(_PAGE, h=uri_hash(uri), s=run.source_id)
