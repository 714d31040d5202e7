"""SQL of what the knowledge base should hold: which versions, as which items, and who else claims them."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from connectors.ledger.database import listed, one_of
from connectors.ledger.outbox import CHOSEN, drop_overtaken, outgoing, tell
from connectors.ledger.pack import NO_TEXT, unpack_text
from connectors.ledger.transitions import after, before
from connectors.ledger.values import Holding, Removal, Update

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from connectors.ledger.database import Connection
    from connectors.ledger.values import Run

_CHUNK = 400
_ID, _VERSION = attrgetter("id"), attrgetter("version_id")
_NO_MARK = ""  # of an item that has another text now than when it was read
_GHOSTS_OF_RUNS = 30

# All of it stands in indexes: rows of versions and pages, whose texts lie before what is asked for, are not read.
_EXPECTED = """
SELECT due.id, due.page_id, due.normal_hash, items.item_id, items.mark
FROM (
  SELECT id, page_id, normal_hash FROM versions
  WHERE source_id = :source AND state = :state AND id > :after AND normal_hash IS NOT NULL
  ORDER BY id LIMIT :most
) AS due LEFT JOIN items ON items.version_id = due.id
ORDER BY due.id, items.ordinal
"""
_DETAILS = """
SELECT versions.id, versions.uri, pages.canonical, versions.delivered_boot, versions.delivered_tick
FROM versions JOIN pages ON pages.id = versions.page_id
WHERE versions.id IN NUMBERS(:chosen)
"""
_ITEMS = "SELECT version_id, item_id FROM items WHERE version_id IN NUMBERS(:chosen) ORDER BY version_id, ordinal"
# From the sources on: where there is no other one, nothing is looked through.
_ELSEWHERE = """
FROM (SELECT id FROM sources WHERE destination = :destination AND id <> :source) AS others
JOIN versions ON versions.source_id = others.id
"""
_TEXTS_ELSEWHERE = f"""
SELECT versions.normal_hash {_ELSEWHERE}
WHERE versions.state IN ('sent', 'delivered', 'verified') AND versions.normal_hash IS NOT NULL
"""
_ITEMS_ELSEWHERE = f"SELECT items.item_id {_ELSEWHERE} JOIN items ON items.version_id = versions.id"
_MARKS_ELSEWHERE = f"""
SELECT items.item_id, items.mark, versions.normal_hash {_ELSEWHERE} JOIN items ON items.version_id = versions.id
WHERE items.mark <> ''
"""
_GHOSTS = """
SELECT normal_hash FROM versions
WHERE source_id = :source AND state IN ('deleted', 'replaced', 'superseded') AND closed_run > :since
  AND normal_hash IS NOT NULL
"""
_CONTENTS = f"SELECT id, content FROM versions WHERE {CHOSEN}"
_NO_ITEMS_OF = "DELETE FROM items WHERE version_id IN NUMBERS(:chosen)"
_NO_ITEMS = "DELETE FROM items WHERE destination = :destination AND item_id IN TEXTS(:ids)"
_COVERAGE = """
SELECT state, count(*) AS number FROM versions
WHERE id IN (SELECT version_id FROM pages WHERE source_id = :source AND state = 'live')
GROUP BY state
"""  # no join: SQLite would look through all pages for each version
_UPDATES = f"""
SELECT
  versions.id, versions.uri, versions.title, versions.content, versions.metadata, versions.state,
  elder.id AS elder_id, items.item_id
FROM versions
JOIN versions AS elder ON elder.page_id = versions.page_id AND elder.id < versions.id
JOIN items ON items.version_id = elder.id
WHERE versions.source_id = :source AND versions.state IN {one_of(before("intend update"))}
  AND elder.state = 'verified' AND (SELECT count(*) FROM items AS own WHERE own.version_id = elder.id) = 1
  AND versions.batch_id IS NULL AND versions.id > :after
ORDER BY versions.id, elder.id LIMIT :most
"""
_UNPROVED = """
SELECT count(*) FROM versions JOIN pages ON pages.id = versions.page_id
WHERE versions.source_id = :source AND versions.state IN ('sent', 'delivered') AND (
  pages.state <> 'live'
  OR EXISTS (SELECT id FROM versions AS younger WHERE younger.page_id = versions.page_id AND younger.state = 'pending')
)
"""
_HALVED = """
SELECT count(*) FROM versions
JOIN versions AS elder ON elder.page_id = versions.page_id AND elder.id < versions.id
WHERE versions.source_id = :source AND versions.state = 'pending' AND elder.state = 'verified'
  AND versions.size * 2 < elder.size
"""
_LIVE = "SELECT count(*) FROM pages WHERE source_id = :source AND state = 'live'"
_REMOVALS = """
SELECT versions.id, versions.page_id, versions.uri, versions.state, pages.state AS page_state
FROM versions JOIN pages ON pages.id = versions.page_id
WHERE versions.source_id = :source AND versions.state IN ('verified', 'deleting') AND (
  pages.state <> 'live' OR versions.state = 'deleting' OR EXISTS (
    SELECT younger.id FROM versions AS younger
    WHERE younger.page_id = versions.page_id AND younger.id > versions.id AND younger.state = 'verified'
  )
)
ORDER BY versions.id
"""
_REMOVED = f"""
UPDATE versions SET state = :state, closed_run = :run, content = :nothing
WHERE id = :version AND state IN {one_of(before("deleted"))}
"""
_THIS = "id = :version"
_ITEM_OF = "destination = :destination AND item_id = :item"


def expected(connection: Connection, run: Run, *, states: Collection[str], after_id: int, most: int) -> list[Holding]:
    """Return versions in some states behind a version id, with the items they were last seen as and no details."""
    found = [
        holding
        for state in states  # each for itself: so they come out of the index in the order of their ids
        for holding in _in_state(connection, run, state, after_id=after_id, most=most)
    ]
    return sorted(found, key=_VERSION)[:most]


def _in_state(connection: Connection, run: Run, state: str, *, after_id: int, most: int) -> Iterator[Holding]:
    rows = connection.rows(_EXPECTED, source=run.source_id, state=state, after=after_id, most=most)
    for version, alike in groupby(rows, key=_ID):
        first, *more = alike
        yield Holding(
            version_id=version,
            page_id=first.page_id,
            state=state,
            key=bytes(first.normal_hash),
            items=() if first.item_id is None else (first.item_id, *[row.item_id for row in more]),
            mark=bytes.fromhex(first.mark or "") if not more else b"",
        )


def detailed(connection: Connection, found: Sequence[Holding]) -> list[Holding]:
    """Return these versions with their details."""
    known = {
        row.id: row
        for part in _parts([holding.version_id for holding in found])
        for row in connection.rows(_DETAILS, chosen=listed(part))
    }
    return [
        replace(
            holding,
            uri=row.canonical or row.uri,
            boot=sys.intern(row.delivered_boot or ""),  # a string for all, not one for each
            tick=row.delivered_tick or 0,
        )
        for holding in found
        if (row := known.get(holding.version_id)) is not None
    ]


def _items_of(connection: Connection, chosen: Sequence[int]) -> dict[int, list[str]]:
    known: dict[int, list[str]] = defaultdict(list)
    for part in _parts(chosen):
        for row in connection.rows(_ITEMS, chosen=listed(part)):
            known[row.version_id].append(row.item_id)
    return known


def _parts(chosen: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(chosen), _CHUNK):
        yield chosen[start : start + _CHUNK]


def claimed_elsewhere(connection: Connection, run: Run) -> tuple[Counter[bytes], set[str]]:
    """Return what other sources hold in the same knowledge base: how often which text, and which items."""
    asked = {"destination": run.destination, "source": run.source_id}
    texts = Counter(map(bytes, connection.column(_TEXTS_ELSEWHERE, **asked)))
    return texts, set(connection.column(_ITEMS_ELSEWHERE, **asked))


def marks_elsewhere(connection: Connection, run: Run) -> dict[bytes, tuple[str, bytes]]:
    """Return by which bytes the items of other sources in the same knowledge base are known: their ids and keys."""
    rows = connection.rows(_MARKS_ELSEWHERE, destination=run.destination, source=run.source_id)
    return {bytes.fromhex(row.mark): (row.item_id, bytes(row.normal_hash)) for row in rows}


def ghosts(connection: Connection, run: Run) -> set[bytes]:
    """Return the texts that we once delivered and that should be gone: whoever has one is a late copy of ours."""
    since = run.id - _GHOSTS_OF_RUNS
    return set(map(bytes, connection.column(_GHOSTS, source=run.source_id, since=since)))


def contents(connection: Connection, chosen: Sequence[int]) -> dict[int, str]:
    """Return the delivered texts of versions."""
    return {
        row.id: unpack_text(row.content)
        for part in _parts(chosen)
        for row in connection.rows(_CONTENTS, chosen=listed(part))
    }


def confirm(connection: Connection, run: Run, seen: Mapping[int, Sequence[str]], *, marks: Mapping[int, bytes]) -> None:
    """Record versions that were seen exactly once, the items they are, and the marks of those that are one item."""
    remember(connection, run, seen, marks=marks)
    for part in _parts(list(seen)):
        connection.run(tell("seen once", CHOSEN, "verified_run"), chosen=listed(part), verified_run=run.id)


def remember(
    connection: Connection, run: Run, seen: Mapping[int, Sequence[str]], *, marks: Mapping[int, bytes]
) -> None:
    """Record which items versions are, and by which marks they are known again."""
    for part in _parts(list(seen)):
        connection.run(_NO_ITEMS_OF, chosen=listed(part))
        rows = [
            {
                "destination": run.destination,
                "item_id": item,
                "version_id": version,
                "ordinal": ordinal,
                "mark": marks.get(version, b"").hex(),
            }
            for version in part
            for ordinal, item in enumerate(seen[version])
        ]
        connection.run(
            _NO_ITEMS, destination=run.destination, ids=listed([item for version in part for item in seen[version]])
        )
        connection.insert_many("items", rows)


def lose(connection: Connection, chosen: Sequence[int]) -> None:
    """Record that delivered versions are not in the knowledge base: they are due again."""
    for part in map(listed, _parts(chosen)):
        connection.run(_NO_ITEMS_OF, chosen=part)
        connection.run(tell("missing", CHOSEN, "batch_id"), chosen=part, batch_id=None)
        drop_overtaken(connection, CHOSEN, chosen=part)


def revive(connection: Connection, chosen: Sequence[int]) -> None:
    """Take out of quarantine what proved to have arrived after all."""
    for part in map(listed, _parts(chosen)):
        connection.run(tell("found", CHOSEN, "reason"), chosen=part, reason="")


def coverage(connection: Connection, run: Run) -> dict[str, int]:
    """Count the versions that are due, by state; of a page with two only the newer one counts."""
    return {row.state: row.number for row in connection.rows(_COVERAGE, source=run.source_id)}


def probed(connection: Connection, *, destination: str) -> float | None:
    """Return the settling time that a probe taught us: a few times what it saw, and never less than a second."""
    seen = connection.value("SELECT visible_s FROM probes WHERE destination = :destination", destination=destination)
    return None if seen is None else max(1.0, 3 * float(seen))


def keep_probe(connection: Connection, *, destination: str, told: dict[str, Any]) -> None:
    """Keep what a probe taught us; the last one counts."""
    connection.run("DELETE FROM probes WHERE destination = :destination", destination=destination)
    connection.insert_many("probes", [{"destination": destination, **told}])


# -- changes in place -------------------------------------------------------------------------------------------------


def updates(connection: Connection, run: Run, *, after_id: int, most: int) -> list[Update]:
    """Return versions that replace another one in place: the elder is verified and one item, or we began already."""
    rows = connection.rows(_UPDATES, source=run.source_id, after=after_id, most=most)
    newest = {row.id: row for row in rows}  # of several elders the last one
    return [
        Update(page=outgoing(row), elder=row.elder_id, item_id=row.item_id, state=row.state) for row in newest.values()
    ]


def waiting_for_proof(connection: Connection, run: Run) -> int:
    """Count changed or vanished pages whose delivered version has no known item yet: they need a reading first."""
    return int(connection.value(_UNPROVED, source=run.source_id))


def sizes_of_updates(connection: Connection, run: Run) -> tuple[int, int]:
    """Return how many due updates halve a page's text, and how many live pages the source has."""
    return int(connection.value(_HALVED, source=run.source_id)), int(connection.value(_LIVE, source=run.source_id))


def intend_update(connection: Connection, version: int, key: bytes) -> None:
    """Record that an item is about to get this version's text."""
    connection.run(tell("intend update", _THIS, "normal_hash"), version=version, normal_hash=key)


def updated(connection: Connection, run: Run, change: Update, *, boot: str, tick: int) -> None:
    """Record that an item has the new text: it is the new version's now, and the elder is no more."""
    proof = {"delivered_run": run.id, "delivered_via": "put", "delivered_boot": boot, "delivered_tick": tick}
    version = change.page.version_id
    connection.run(tell("updated", _THIS, *proof), version=version, **proof)
    _retire(connection, run, change.elder)
    own = {"destination": run.destination, "item": change.item_id}
    connection.change("items", {"version_id": version, "mark": _NO_MARK}, _ITEM_OF, **own)


def update_lost_its_item(connection: Connection, run: Run, change: Update) -> None:
    """Record that the item to update is gone: the new version is due as a page of its own."""
    connection.run(tell("update lost its item", _THIS), version=change.page.version_id)
    _retire(connection, run, change.elder)
    connection.run(f"DELETE FROM items WHERE {_ITEM_OF}", destination=run.destination, item=change.item_id)


def refuse_update(connection: Connection, version: int, *, reason: str) -> None:
    """Set an update aside that the API refuses; the elder stays where it is."""
    connection.run(tell("update refused", _THIS, "reason"), version=version, reason=reason)


def _retire(connection: Connection, run: Run, version: int) -> None:
    retire = tell("replace", _THIS, "closed_run", "content")
    connection.run(retire, version=version, closed_run=run.id, content=NO_TEXT)


# -- removals ---------------------------------------------------------------------------------------------------------


def removals(connection: Connection, run: Run) -> list[Removal]:
    """Return what is to leave: versions of pages that are gone or duplicates, and those that a stored one replaced."""
    rows = connection.rows(_REMOVALS, source=run.source_id)
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
    connection.run(tell("intend delete", _THIS), version=version)


def removed(connection: Connection, run: Run, removal: Removal) -> None:
    """Record that a version's items are gone. One that a stored version replaced counts as replaced, not as deleted."""
    connection.run("DELETE FROM items WHERE version_id = :version", version=removal.version_id)
    state = "replaced" if removal.reason == "replaced" else after("deleted")
    connection.run(_REMOVED, version=removal.version_id, state=state, run=run.id, nothing=NO_TEXT)
