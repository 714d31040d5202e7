"""A dry run's ledger: a copy that knows what the original knew, and that nobody holds."""

from __future__ import annotations

from contextlib import closing

import pytest

from connectors.ledger import open_ledger, rehearsal
from connectors.ledger.database import connect
from connectors.models import Draft, Extracted, Page, Resource

TABLES = ("sources", "runs", "resources", "pages", "versions", "batches", "items", "holds")


async def record(ledger, run, name, *, hold=False):
    uri = f"https://docs.example/{name}"
    resource = Resource(uri=uri, requested_uri=uri, media_type="text/html", body=name.encode(), status=200)
    page = Page(uri=uri, title=name, content=name)
    draft = Draft(page=page, content=f"Source: {uri}\n\n{name}\n", text_hash=name.encode().hex() * 16, fingerprint="f")
    await ledger.record(run, resource, Extracted(pages=(page,)), [draft], config="c", hold=hold)


def contents(url):
    with closing(connect(url)) as connection, connection.transaction():
        connection.run("UPDATE sources SET lease_token = NULL")
        found = {table: connection.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}
    return {table: [row._asdict() for row in rows] for table, rows in found.items()}


@pytest.mark.parametrize("chunk", [500, 2])
async def test_a_copy_holds_all_but_visits_and_the_lease(ledger_url, begin, tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(rehearsal, "_CHUNK", chunk)
    async with open_ledger(ledger_url) as ledger:
        run = await begin(ledger)
        for number in range(7):
            await record(ledger, run, f"page {number}", hold=number > 4)
        (head,) = await ledger.sending.cut(run, most=50, max_bytes=10**6, method="store", final=True)
        work = await ledger.sending.load(head.id)
        await ledger.sending.mark_sent(run, head.id, {page.version_id: b"h" for page in work.pending})
        await ledger.sending.mark_delivered(run, head.id)
        await ledger.sending.confirm(run, {page.version_id: [f"i{page.version_id}"] for page in work.pending})
        copied = rehearsal.copy_ledger(ledger_url, tmp_path)
        async with open_ledger(copied) as copy:
            (source,) = await copy.status()
            assert not source.busy
    assert contents(copied) == contents(ledger_url)


async def test_the_copy_of_a_ledger_that_is_not_there_is_an_empty_one(ledger_url, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    async with open_ledger(rehearsal.copy_ledger(ledger_url, folder)) as copy:
        assert await copy.status() == []
