"""A sample of the crash proof: `tests/crash/run.py` is the whole of it."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench import Bench, House
from cases import LATE_SETTLE_S, Case
from fates import DISKS
from persona_server import Script
from report import Asked
from run import CONTROLS, Proof

UNHURRIED = {"settle_s": LATE_SETTLE_S, "timeout_s": 1.0}
"""So long that a loaded machine stays within it."""
CASES = [
    Case("import, half applied then reset", Script(posts={0: "reset during", 1: "late"}), order=UNHURRIED),
    Case("night", Script(edits={1: "reset after"}, posts={0: "reset after"}), night=2, order=UNHURRIED),
]


@pytest.fixture
async def proof():
    async with Proof(workers=4) as made:
        yield made


def clean(report):
    return (report.lost, report.double, report.foreign, report.stuck) == (0, 0, 0, 0)


@pytest.mark.timeout(170)
async def test_a_process_killed_anywhere_loses_nothing_and_doubles_nothing(proof):
    plans = await proof.plan(CASES)
    await proof.kills(random.Random(2).sample(plans, 14))
    await proof.pairs(plans, 2)
    assert clean(proof.report), proof.report.bad
    assert proof.report.killed >= 12


@pytest.mark.timeout(170)
async def test_random_kills_takeovers_and_clocks_lose_nothing(proof):
    await proof.random_kills(CASES[:1], 2)
    plans = [(CASES[1], place) for place in ("call:1", "after mark_sent:1", "put:1", "answer:1")]
    await proof.takeovers(plans, 3)
    await proof.clocks(plans, 4)
    assert clean(proof.report), proof.report.bad
    assert proof.report.open_hits["random kill"] >= 2
    assert proof.report.hits["killed, then the machine starts anew"] >= 3


@pytest.mark.timeout(170)
async def test_a_disk_that_is_full_or_broken_stops_the_run_and_loses_nothing(proof):
    await proof.disks([(CASES[0], "call:1"), (CASES[1], "in mark_sent:1")], 2)
    assert clean(proof.report), proof.report.bad
    assert all(proof.report.hits[how] == 2 for how in DISKS)


@pytest.mark.timeout(170)
async def test_with_postgresql_as_the_ledger_nothing_is_lost_either():
    async with Proof(workers=3, asked=Asked(dialect="postgresql")) as proof:
        plans = await proof.plan(CASES)
        await proof.kills(random.Random(3).sample(plans, 5))
        await proof.disks([(CASES[0], "call:1"), (CASES[1], "in mark_sent:1")], 2)
    assert clean(proof.report), proof.report.bad
    assert proof.report.hits["the database ends its connections"] == 2


@pytest.mark.timeout(170)
async def test_without_any_one_of_its_parts_the_proof_fails(proof):
    await proof.controls()
    assert proof.report.controls == dict.fromkeys(("synced intent", "settling wait", "read-back", "sweep"), True)


async def test_a_client_that_resends_doubles_pages():
    async with House() as house, Bench(house) as bench:
        verdict = await bench.naive(Case("import", Script(posts={0: "reset after"}), order=CONTROLS), "answer:2")
    assert verdict.double > 0


async def test_a_report_without_all_that_was_asked_is_no_proof(proof):
    await proof.plan(CASES[:1])
    proof.report.over = True
    assert not proof.report.proven

    async def breaks(*_):
        raise OSError

    await proof.over([1, 2], breaks)
    assert len(proof.report.broken) == 2
    assert {"5000 trials", "every place", "every place under every fault"} <= set(proof.report.missing())
