"""The schema: made by files, known to the code, and never taken for what it is not."""

from __future__ import annotations

import sqlite3

import pytest

from connectors.errors import FatalError
from connectors.ledger import open_ledger
from connectors.ledger.migrate import migrations


async def test_a_ledger_is_opened_again_without_change(ledger_url):
    for _ in range(2):
        await open_ledger(ledger_url).close()


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


@pytest.mark.parametrize("url", ["sqlite:////proc/nowhere/l.sqlite3", "nonsense://x", "sqlite:////dev/full"])
def test_a_state_that_cannot_be_written_says_what_to_do(url):
    with pytest.raises(FatalError, match=r"Use|Check"):
        open_ledger(url)
