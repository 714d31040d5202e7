"""SQL of what the knowledge base should hold: which versions, as which items, and who else claims them."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, select, update

from connectors.ledger.outbox import drop_overtaken, outgoing, tell
from connectors.ledger.pack import unpack_text
from connectors.ledger.schema import items, pages, probes, sources, versions
from connectors.ledger.transitions import after, before
from connectors.ledger.values import Holding, Removal, Update

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from connectors.ledger.values import Run

_CHUNK = 400
_GHOSTS_OF_RUNS = 30


def expected(connection: Connection, run: Run, *, states: Collection[str], after_id: int, most: int) -> list[Holding]:
    """Return versions in some states behind a version id, with the items they were last seen as."""
    query = (
        select(
            versions.c.id,
            versions.c.page_id,
            versions.c.state,
            versions.c.normal_hash,
            versions.c.uri,
            pages.c.canonical,
            versions.c.delivered_boot,
            versions.c.delivered_tick,
        )
        .join(pages, pages.c.id == versions.c.page_id)
        .where(versions.c.source_id == run.source_id, versions.c.state.in_(list(states)), versions.c.id > after_id)
        .where(versions.c.normal_hash.is_not(None))
    )
    rows = connection.execute(query.order_by(versions.c.id).limit(most)).all()
    known = _items_of(connection, [row.id for row in rows])
    return [
        Holding(
            version_id=row.id,
            page_id=row.page_id,
            state=sys.intern(row.state),  # a string for all, not one for each
            key=bytes(row.normal_hash),
            uri=row.canonical or row.uri,
            boot=sys.intern(row.delivered_boot or ""),
            tick=row.delivered_tick or 0,
            items=tuple(known.get(row.id, ())),
        )
        for row in rows
    ]


def _items_of(connection: Connection, chosen: Sequence[int]) -> dict[int, list[str]]:
    known: dict[int, list[str]] = defaultdict(list)
    for start in range(0, len(chosen), _CHUNK):
        part = items.c.version_id.in_(chosen[start : start + _CHUNK])
        query = select(items.c.version_id, items.c.item_id).where(part).order_by(items.c.version_id, items.c.ordinal)
        for version, item in connection.execute(query):
            known[version].append(item)
    return known


def claimed_elsewhere(connection: Connection, run: Run) -> tuple[Counter[bytes], set[str]]:
    """Return what other sources hold in the same knowledge base: how often which text, and which items."""
    others = (
        select(versions.c.normal_hash)
        .join(sources, sources.c.id == versions.c.source_id)
        .where(sources.c.destination == run.destination, sources.c.id != run.source_id)
        .where(versions.c.state.in_(("sent", "delivered", "verified")), versions.c.normal_hash.is_not(None))
    )
    texts = Counter(bytes(value) for value in connection.execute(others).scalars())
    theirs = (
        select(items.c.item_id)
        .join(versions, versions.c.id == items.c.version_id)
        .where(items.c.destination == run.destination, versions.c.source_id != run.source_id)
    )
    return texts, set(connection.execute(theirs).scalars())


def ghosts(connection: Connection, run: Run) -> set[bytes]:
    """Return the texts that we once delivered and that should be gone: whoever has one is a late copy of ours."""
    query = select(versions.c.normal_hash).where(
        versions.c.source_id == run.source_id,
        versions.c.state.in_(("deleted", "replaced", "superseded")),
        versions.c.closed_run > run.id - _GHOSTS_OF_RUNS,
        versions.c.normal_hash.is_not(None),
    )
    return {bytes(value) for value in connection.execute(query).scalars()}


def contents(connection: Connection, chosen: Sequence[int]) -> dict[int, str]:
    """Return the delivered texts of versions."""
    found: dict[int, str] = {}
    for start in range(0, len(chosen), _CHUNK):
        part = versions.c.id.in_(chosen[start : start + _CHUNK])
        for row in connection.execute(select(versions.c.id, versions.c.content).where(part)):
            found[row.id] = unpack_text(row.content)
    return found


def confirm(connection: Connection, run: Run, seen: Mapping[int, Sequence[str]]) -> None:
    """Record versions that were seen exactly once, and the items they are."""
    chosen = list(seen)
    for start in range(0, len(chosen), _CHUNK):
        part = chosen[start : start + _CHUNK]
        ids = [item for version in part for item in seen[version]]
        connection.execute(delete(items).where(items.c.version_id.in_(part)))
        mine = and_(items.c.destination == run.destination, items.c.item_id.in_(ids))
        connection.execute(delete(items).where(mine))
        rows = [
            {"destination": run.destination, "item_id": item, "version_id": version, "ordinal": ordinal}
            for version in part
            for ordinal, item in enumerate(seen[version])
        ]
        if rows:
            connection.execute(insert(items), rows)
        once = tell("seen once").where(versions.c.id.in_(part))
        connection.execute(once.values(verified_run=run.id))


def lose(connection: Connection, chosen: Sequence[int]) -> None:
    """Record that delivered versions are not in the knowledge base: they are due again."""
    for start in range(0, len(chosen), _CHUNK):
        part = chosen[start : start + _CHUNK]
        connection.execute(delete(items).where(items.c.version_id.in_(part)))
        connection.execute(tell("missing").where(versions.c.id.in_(part)).values(batch_id=None))
        drop_overtaken(connection, versions.c.id.in_(part))


def revive(connection: Connection, chosen: Sequence[int]) -> None:
    """Take out of quarantine what proved to have arrived after all."""
    for start in range(0, len(chosen), _CHUNK):
        part = versions.c.id.in_(chosen[start : start + _CHUNK])
        connection.execute(tell("found").where(part).values(reason=""))


def coverage(connection: Connection, run: Run) -> dict[str, int]:
    """Count the versions that are due, by state; of a page with two only the newer one counts."""
    # No join: SQLite would look through all pages for each version.
    newest = select(pages.c.version_id).where(pages.c.source_id == run.source_id, pages.c.state == "live")
    query = select(versions.c.state, func.count()).where(versions.c.id.in_(newest)).group_by(versions.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


def probed(connection: Connection, *, destination: str) -> float | None:
    """Return the settling time that a probe taught us: a few times what it saw, and never less than a second."""
    seen = connection.execute(select(probes.c.visible_s).where(probes.c.destination == destination)).scalar()
    return None if seen is None else max(1.0, 3 * float(seen))


def keep_probe(connection: Connection, *, destination: str, told: dict[str, Any]) -> None:
    """Keep what a probe taught us; the last one counts."""
    connection.execute(delete(probes).where(probes.c.destination == destination))
    connection.execute(insert(probes).values(destination=destination, **told))


# -- changes in place -------------------------------------------------------------------------------------------------


def updates(connection: Connection, run: Run, *, after_id: int, most: int) -> list[Update]:
    """Return versions that replace another one in place: the elder is verified and one item, or we began already."""
    elder, own = versions.alias("elder"), items.alias("own")
    one = select(func.count()).where(own.c.version_id == elder.c.id).correlate(elder).scalar_subquery() == 1
    query = (
        select(versions, elder.c.id.label("elder_id"), items.c.item_id)
        .join(elder, and_(elder.c.page_id == versions.c.page_id, elder.c.id < versions.c.id))
        .join(items, items.c.version_id == elder.c.id)
        .where(versions.c.source_id == run.source_id, versions.c.state.in_(before("intend update")))
        .where(elder.c.state == "verified", one, versions.c.batch_id.is_(None), versions.c.id > after_id)
    )
    rows = connection.execute(query.order_by(versions.c.id, elder.c.id).limit(most)).all()
    newest = {row.id: row for row in rows}  # of several elders the last one
    return [
        Update(page=outgoing(row), elder=row.elder_id, item_id=row.item_id, state=row.state) for row in newest.values()
    ]


def waiting_for_proof(connection: Connection, run: Run) -> int:
    """Count changed or vanished pages whose delivered version has no known item yet: they need a reading first."""
    younger = versions.alias("younger")
    newer = select(younger.c.id).where(younger.c.page_id == versions.c.page_id, younger.c.state == "pending")
    query = (
        select(func.count())
        .select_from(versions)
        .join(pages, pages.c.id == versions.c.page_id)
        .where(versions.c.source_id == run.source_id, versions.c.state.in_(("sent", "delivered")))
        .where(newer.exists() | (pages.c.state != "live"))
    )
    return int(connection.execute(query).scalar_one())


def sizes_of_updates(connection: Connection, run: Run) -> tuple[int, int]:
    """Return how many due updates halve a page's text, and how many live pages the source has."""
    elder = versions.alias("elder")
    query = (
        select(func.count())
        .select_from(versions)
        .join(elder, and_(elder.c.page_id == versions.c.page_id, elder.c.id < versions.c.id))
        .where(versions.c.source_id == run.source_id, versions.c.state == "pending", elder.c.state == "verified")
        .where(versions.c.size * 2 < elder.c.size)
    )
    total = select(func.count()).where(pages.c.source_id == run.source_id, pages.c.state == "live")
    return connection.execute(query).scalar_one(), connection.execute(total).scalar_one()


def intend_update(connection: Connection, version: int, key: bytes) -> None:
    """Record that an item is about to get this version's text."""
    connection.execute(tell("intend update").where(versions.c.id == version).values(normal_hash=key))


def updated(connection: Connection, run: Run, change: Update, *, boot: str, tick: int) -> None:
    """Record that an item has the new text: it is the new version's now, and the elder is no more."""
    proof = {"delivered_run": run.id, "delivered_via": "put", "delivered_boot": boot, "delivered_tick": tick}
    connection.execute(tell("updated").where(versions.c.id == change.page.version_id).values(proof))
    _retire(connection, run, change.elder)
    mine = and_(items.c.destination == run.destination, items.c.item_id == change.item_id)
    connection.execute(update(items).where(mine).values(version_id=change.page.version_id))


def update_lost_its_item(connection: Connection, run: Run, change: Update) -> None:
    """Record that the item to update is gone: the new version is due as a page of its own."""
    connection.execute(tell("update lost its item").where(versions.c.id == change.page.version_id))
    _retire(connection, run, change.elder)
    mine = and_(items.c.destination == run.destination, items.c.item_id == change.item_id)
    connection.execute(delete(items).where(mine))


def refuse_update(connection: Connection, version: int, *, reason: str) -> None:
    """Set an update aside that the API refuses; the elder stays where it is."""
    connection.execute(tell("update refused").where(versions.c.id == version).values(reason=reason))


def _retire(connection: Connection, run: Run, version: int) -> None:
    gone = tell("replace").where(versions.c.id == version)
    connection.execute(gone.values(closed_run=run.id, content=b"\x00"))


# -- removals ---------------------------------------------------------------------------------------------------------


def removals(connection: Connection, run: Run) -> list[Removal]:
    """Return what is to leave: versions of pages that are gone or duplicates, and those that a stored one replaced."""
    younger = versions.alias("younger")
    replaced = select(younger.c.id).where(
        younger.c.page_id == versions.c.page_id, younger.c.id > versions.c.id, younger.c.state == "verified"
    )
    query = (
        select(versions.c.id, versions.c.page_id, versions.c.uri, versions.c.state, pages.c.state.label("page_state"))
        .join(pages, pages.c.id == versions.c.page_id)
        .where(versions.c.source_id == run.source_id, versions.c.state.in_(("verified", "deleting")))
        .where((pages.c.state != "live") | replaced.exists() | (versions.c.state == "deleting"))
        .order_by(versions.c.id)
    )
    rows = connection.execute(query).all()
    known = _items_of(connection, [row.id for row in rows])
    return [
        Removal(
            version_id=row.id,
            page_id=row.page_id,
            uri=row.uri,
            state=row.state,
            reason="replaced" if row.page_state == "live" else row.page_state,
            items=tuple(known.get(row.id, ())),
        )
        for row in rows
    ]


def intend_removal(connection: Connection, version: int) -> None:
    """Record that a version's items are about to be deleted."""
    connection.execute(tell("intend delete").where(versions.c.id == version))


def removed(connection: Connection, run: Run, removal: Removal) -> None:
    """Record that a version's items are gone. One that a stored version replaced counts as replaced, not as deleted."""
    connection.execute(delete(items).where(items.c.version_id == removal.version_id))
    state = "replaced" if removal.reason == "replaced" else after("deleted")
    done: dict[str, Any] = {"state": state, "closed_run": run.id, "content": b"\x00"}
    mine = and_(versions.c.id == removal.version_id, versions.c.state.in_(before("deleted")))
    connection.execute(update(versions).where(mine).values(done))
