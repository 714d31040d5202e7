"""A sample of the crash proof: `tests/crash/run.py` is the whole of it."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench import Bench, Case
from persona_server import Script
from run import Proof

UNHURRIED = {"settle_s": 1.2, "timeout_s": 1.0}
"""So long that a loaded machine stays within it."""
CASES = [
    Case("import, half applied then reset", Script(posts={0: "reset during", 1: "late"}), order=UNHURRIED),
    Case("night", Script(edits={1: "reset after"}, posts={0: "reset after"}), night=2, order=UNHURRIED),
]


@pytest.fixture
async def proof():
    async with Proof(workers=2) as made:
        yield made


def clean(report):
    return (report.lost, report.double, report.foreign, report.stuck) == (0, 0, 0, 0)


@pytest.mark.timeout(170)
async def test_a_process_killed_anywhere_loses_nothing_and_doubles_nothing(proof):
    plans = await proof.plan(CASES)
    await proof.kills(random.Random(2).sample(plans, 14), until=float("inf"))
    await proof.pairs(plans, 2)
    assert clean(proof.report), proof.report.bad
    assert proof.report.kills >= 12


@pytest.mark.timeout(170)
async def test_random_kills_full_disks_and_takeovers_lose_nothing(proof):
    await proof.random_kills(CASES[:1], 2)
    await proof.disks(2)
    plans = [(CASES[1], place) for place in ("call:1", "after mark_sent:1", "put:1", "answer:1")]
    await proof.takeovers(plans, 3)
    assert clean(proof.report), proof.report.bad
    assert proof.report.random_open >= 2


@pytest.mark.timeout(170)
async def test_without_any_one_of_its_parts_the_proof_fails(proof):
    await proof.controls(UNHURRIED)
    assert proof.report.controls == dict.fromkeys(
        ("synced intent", "settling wait", "read-back", "sweep"),
        True,
    )


async def test_a_client_that_resends_doubles_pages():
    async with Bench() as bench:
        verdict = await bench.naive(Case("import", Script(posts={0: "reset after"})), "answer:2")
    assert verdict.double > 0
