"""The schema: made by files, known to the code, and never taken for what it is not."""

from __future__ import annotations

import sqlite3

import pytest

from connectors.errors import FatalError, UsageError
from connectors.ledger import open_ledger
from connectors.ledger.database import connect
from connectors.ledger.migrate import migrate, migrations


async def test_a_ledger_is_opened_again_without_change(ledger_url):
    for _ in range(2):
        await open_ledger(ledger_url).close()


INDEXES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
    "postgresql": "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'",
}


async def test_an_old_ledger_keeps_what_it_knows_and_becomes_like_a_new_one(ledger_url):
    old = connect(ledger_url)
    with old.transaction():
        migrate(old, upto=1)
        values = {"source_id": 1, "page_id": 1, "run_id": 1, "state": "verified", "uri": "u", "title": "t"}
        values |= {"content": b"x" * 9000, "metadata": "{}", "size": 9000, "text_hash": b"t", "fingerprint": "f"}
        version = old.insert("versions", values | {"normal_hash": b"n" * 16, "reason": "", "created_at": 0})
        item = {"destination": "there", "item_id": "i", "version_id": version, "ordinal": 0}
        old.insert_many("items", [item])
    old.close()
    await open_ledger(ledger_url).close()
    now = connect(ledger_url)
    assert [tuple(row) for row in now.rows("SELECT item_id, version_id, mark FROM items")] == [("i", version, "")]
    assert now.column("SELECT number FROM migrations ORDER BY number") == [number for number, _, _ in migrations()]
    assert {"versions_by_state", "versions_by_delivery", "items_of_version"} <= set(now.column(INDEXES[now.kind]))
    now.close()


async def test_an_old_ledger_reads_anew_what_had_left_and_nothing_else(ledger_url):
    old = connect(ledger_url)
    with old.transaction():
        migrate(old, upto=2)
        version = {
            "source_id": 1,
            "page_id": 5,
            "run_id": 1,
            "uri": "u",
            "title": "t",
            "content": b"",
            "metadata": "{}",
        }
        version |= {"size": 0, "text_hash": b"t", "fingerprint": "f", "reason": "", "created_at": 0}
        robbed = old.insert("versions", version | {"state": "superseded"})
        for number, name in enumerate(["live", "gone", "dropped", "moved", "robbed"], 1):
            row = {"source_id": 1, "hash": number, "uri": name}
            read = {"etag": "e", "last_modified": "m", "body_hash": b"h", "config": "c", "links": b"l"}
            resource = old.insert("resources", row | read | {"seen_run": 1, "recorded_run": 1})
            page = {"resource_id": resource, "canonical": "", "title": "t", "flags": "[]", "blocks": b"", "verdict": ""}
            page |= {"version_id": robbed if name == "robbed" else None}
            page |= {"state": "gone" if name == "gone" else "live", "seen_run": 0 if name == "dropped" else 1}
            zeros = dict.fromkeys(("verdict_run", "gone_runs", "absent_runs", "weighed_run"), 0)
            if name != "moved":  # its page is known by another resource now
                old.insert("pages", row | page | zeros | {"moved_from": ""})
    old.close()
    await open_ledger(ledger_url).close()
    now = connect(ledger_url)
    kept = now.rows("SELECT uri, etag, last_modified, body_hash FROM resources ORDER BY id")
    assert [row.uri for row in kept if row.etag or row.last_modified or row.body_hash] == ["live"]
    now.close()


async def test_a_newer_ledger_is_refused_in_one_sentence(tmp_path):
    url = f"sqlite:///{tmp_path / 'l.sqlite3'}"
    await open_ledger(url).close()
    connection = sqlite3.connect(tmp_path / "l.sqlite3")
    connection.execute("INSERT INTO migrations VALUES (9999, 'from the future')")
    connection.commit()
    connection.close()
    with pytest.raises(FatalError, match="a newer persona-ingest wrote it"):
        open_ledger(url)


def test_migrations_are_numbered_without_a_gap():
    assert [number for number, _, _ in migrations()] == list(range(1, len(migrations()) + 1))


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("sqlite:////proc/nowhere/l.sqlite3", FatalError),
        ("sqlite:////dev/full", FatalError),
        ("nonsense://x", UsageError),
    ],
)
def test_a_state_that_cannot_be_written_says_what_to_do(url, error):
    with pytest.raises(error, match=r"Use|Check"):
        open_ledger(url)
