"""Who may take a source over, and from whom."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.errors import FatalError, UsageError
from connectors.ledger import lease, open_ledger
from connectors.models import Skipped

NOW = 1_000_000_000


def last_sign_of_life(connection):
    return connection.value("SELECT lease_tick FROM sources")


def holder(**more):
    return dataclasses.replace(lease.myself(now_ms=NOW), **more)


def ended_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_holder_that_lives_is_not_dead():
    assert not lease.is_dead(holder(), now_ms=NOW)


@pytest.mark.parametrize(
    "more",
    [
        {"boot": "another start of this machine"},
        {"pid": ended_process()},
        {"born": 1},  # another process got the same pid
        {"tick": lease.tick_ms() - 61_000},  # stopped: it is there and gives no sign
        {"host": "other", "boot": "other", "beat": NOW - 61_000},
    ],
)
def test_a_holder_is_dead_when(more):
    assert lease.is_dead(holder(**more), now_ms=NOW)


def test_a_holder_elsewhere_is_believed_while_it_beats():
    elsewhere = holder(host="other", boot="other", pid=1, born=1, beat=NOW - 59_000)
    assert not lease.is_dead(elsewhere, now_ms=NOW)


def test_a_clock_that_was_set_takes_no_lease_away_on_one_machine():
    assert not lease.is_dead(holder(beat=NOW - 7_200_000), now_ms=NOW)


async def test_a_source_of_a_killed_process_is_taken_over_at_once(ledger_url, begin):
    code = """
import asyncio, os, sys
from connectors.ledger import open_ledger
async def main():
    ledger = open_ledger(sys.argv[1])
    await ledger.begin(source="docs", kind="website", origin="o", destination="https://persona.example/",
                       options={}, purpose="import")
    os._exit(9)
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", code, ledger_url], check=False, cwd=Path.cwd())
    async with open_ledger(ledger_url) as second:
        assert (await begin(second)).resumed


async def test_who_lost_the_source_can_write_no_more(ledger_url, begin):
    async with open_ledger(ledger_url, beat_s=3600) as first, open_ledger(ledger_url, stale_s=-1) as second:
        lost = await begin(first)
        taken = await begin(second)
        assert taken.id == lost.id
        with pytest.raises(FatalError, match="took this source over"):
            await first.skip(lost, Skipped(uri="https://docs.example/a", rule="robots"))
        assert not await first.holds(lost)
        assert await second.holds(taken)


@pytest.mark.parametrize("broken", [False, True])
async def test_a_beat_keeps_the_lease_also_when_the_connection_broke(ledger_url, begin, broken):
    async with open_ledger(ledger_url, beat_s=0.05) as first, open_ledger(ledger_url) as second:
        await begin(first)
        if broken:
            first._writer._connection.close()
        began = await second._read(last_sign_of_life)
        async with asyncio.timeout(60):
            while await second._read(last_sign_of_life) < began + 200:
                await asyncio.sleep(0.02)
        with pytest.raises(UsageError):
            await begin(second)


@pytest.mark.parametrize(("purpose", "advised"), [("import", True), ("sync", False)])
async def test_only_an_import_is_told_to_take_another_name(tmp_path, purpose, advised):
    url = f"sqlite:///{tmp_path / 'l.sqlite3'}"
    words = {"source": "s", "kind": "website", "origin": "o", "destination": "d", "options": {}}
    async with open_ledger(url) as first, open_ledger(url) as second:
        await first.begin(purpose="sync", **words)
        with pytest.raises(UsageError, match="Wait until it has finished") as caught:
            await second.begin(purpose=purpose, **words)
    assert ("--name" in str(caught.value)) is advised
