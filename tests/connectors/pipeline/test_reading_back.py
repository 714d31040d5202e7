"""Reading back the short way: what is known by its bytes is not read again, and nothing else is taken for it."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from connectors.ledger import open_ledger
from connectors.persona.client import PersonaClient

sys.path.insert(0, str(Path(__file__).parent))
from test_deliver import PAGES, Rig, Script, Server, content, new_database, of, postgres  # noqa: F401 - a fixture


class Watching(PersonaClient):
    """A client that tells which texts were read, and lets a test act at the end of a reading."""

    read: list[str]
    meanwhile = None

    async def training_data_but(self, known):
        self.read = []
        async for item in super().training_data_but(known):
            if not isinstance(item, bytes):
                self.read.append(item.content)
            yield item
        if self.meanwhile:
            await self.meanwhile()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
async def rig(request, tmp_path):
    async with Server() as server, open_ledger(new_database(request, tmp_path)) as ledger:
        made = Rig(ledger, server)
        await made.client.close()
        made.client = Watching(base_url=server.url, transport=httpx.AsyncHTTPTransport(verify=False))
        yield made
        await made.client.close()


async def marks(rig):
    rows = "SELECT item_id, mark FROM items ORDER BY item_id"
    found = await rig.ledger._writer.call(lambda connection: connection.rows(rows))
    return {item: mark for item, mark in found if mark}


def item_of(rig, name):
    return next(item for item, text in rig.server.items.items() if text.startswith(content(name, "").split("\n")[0]))


async def test_what_is_as_it_was_read_last_time_is_not_read_again(rig):
    await rig.night(PAGES)
    assert len(rig.client.read) == 7
    _, _, coverage, _ = await rig.night(PAGES)
    assert (coverage.verified, rig.client.read) == (7, [content("p6", "text 6")]), (
        "the last one has no comma to be known by"
    )


@pytest.mark.parametrize("name", ["p0", "p3", "p6"])
async def test_a_page_that_somebody_changed_is_seen(rig, name):
    await rig.night(PAGES)
    rig.server.items[item_of(rig, name)] += "."
    _, _, coverage, _ = await rig.night(PAGES)
    assert (coverage.foreign_changed, coverage.changed) == (1, (f"https://docs.example/{name}",))


@pytest.mark.parametrize("name", ["p0", "p3", "p6"])
async def test_a_page_that_somebody_deleted_is_missing(rig, name):
    await rig.night(PAGES)
    del rig.server.items[item_of(rig, name)]
    _, _, coverage, _ = await rig.night(PAGES)
    assert (coverage.missing, coverage.verified) == (1, 7)
    assert rig.holds() == of(PAGES)


async def test_pages_that_somebody_exchanged_are_seen_both(rig):
    await rig.night(PAGES)
    one, two = item_of(rig, "p1"), item_of(rig, "p2")
    rig.server.items[one], rig.server.items[two] = rig.server.items[two], rig.server.items[one]
    _, _, coverage, _ = await rig.night(PAGES)
    assert (coverage.verified, coverage.missing) == (7, 0)
    known = await rig.ledger._writer.call(
        lambda connection: connection.rows(
            "SELECT items.item_id, versions.uri FROM items JOIN versions ON versions.id = items.version_id"
        )
    )
    assert {uri: item for item, uri in known}["https://docs.example/p1"] == two


async def test_an_update_that_was_answered_well_and_not_made_is_seen(rig):
    await rig.night(PAGES)
    answer = rig.server._answer

    def forgetful(kind, method, path, body, fault):
        return (200, {"status": "success"}, {}) if method == "PUT" else answer(kind, method, path, body, fault)

    rig.server._answer = forgetful
    _, changes, coverage, _ = await rig.night(PAGES | {"p2": "news"})
    assert changes.updated == 1
    assert coverage.missing == 1, "it is not there, and the old text under its item does not count as it"
    assert rig.holds() == of(PAGES | {"p2": "news"})


async def test_an_updated_page_is_known_by_its_new_bytes(rig):
    await rig.night(PAGES)
    changed = PAGES | {"p2": "news"}
    await rig.night(changed)
    _, _, coverage, _ = await rig.night(changed)
    assert (coverage.verified, len(rig.client.read)) == (7, 1)


async def test_white_space_that_changed_is_read_once_and_known_from_then_on(rig):
    await rig.night(PAGES)
    for item, text in rig.server.items.items():
        rig.server.items[item] = text.replace("\n\n", "\n")
    for texts in (7, 1):
        _, _, coverage, _ = await rig.night(PAGES)
        assert (coverage.verified, coverage.foreign_changed, len(rig.client.read)) == (7, 0, texts)


async def test_pages_in_pieces_are_read_every_night_and_have_no_mark(rig):
    rig.server.script = Script(pieces=150)
    for _ in range(2):
        _, _, coverage, _ = await rig.night(PAGES)
        assert coverage.verified == 7
        assert not await marks(rig)


async def test_items_of_another_source_are_not_read_either_and_still_nobody_elses(rig):
    await rig.night(PAGES)
    begin = rig.ledger.begin

    async def other(**options):
        return await begin(**(options | {"source": "other"}))

    rig.ledger.begin = other
    _, _, coverage, _ = await rig.night(PAGES | {"own": "text"})
    assert coverage.verified == 8
    _, _, coverage, _ = await rig.night(PAGES | {"own": "text"})
    assert (coverage.verified, coverage.missing, coverage.surplus_deleted, len(rig.client.read)) == (8, 0, 0, 2)
    rig.ledger.begin = begin
    for texts in (2, 1):  # the last of each was the list's last, and had no comma to be known by
        _, _, coverage, _ = await rig.night(PAGES)
        assert (coverage.verified, coverage.surplus_deleted, len(rig.client.read)) == (7, 0, texts)
    assert rig.holds() == of(PAGES) + of(PAGES | {"own": "text"})


async def test_what_another_source_let_go_of_meanwhile_is_read_after_all(rig):
    begin = rig.ledger.begin

    async def other(**options):
        return await begin(**(options | {"source": "other"}))

    rig.ledger.begin = other
    await rig.night({"theirs": "text", "more": "text"})
    rig.ledger.begin = begin
    await rig.night(PAGES)
    readings = []

    async def let_go():
        readings.append(len(rig.client.read))
        await rig.ledger._writer.call(lambda db: db.run("DELETE FROM items WHERE item_id = :item", item="item1"))

    rig.client.meanwhile = let_go
    _, _, coverage, _ = await rig.night(PAGES)
    assert (coverage.verified, coverage.missing, coverage.surplus_deleted) == (7, 0, 0)
    assert readings == [2, 3], "the first reading passed an item over that nobody claims any more"
