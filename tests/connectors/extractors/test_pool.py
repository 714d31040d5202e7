"""The cleaning processes: what they survive, and what they never pass on."""

import asyncio
import os
import signal

import pytest

from connectors.extractors.pool import CleanerPool
from connectors.models import CleaningRules, Resource

RULES = CleaningRules()


def resource(body=b"unknown \x00\x01\x02", *, uri="http://a.example/x", media_type="application/x-thing", **more):
    return Resource(uri=uri, requested_uri=uri, media_type=media_type, body=body, **more)


@pytest.fixture
async def pool():
    made = CleanerPool(2, wall_s=20)
    yield made
    await made.close()


async def test_an_item_nobody_can_read_is_answered_and_says_why(pool):
    out = await pool.clean(resource(), RULES)
    assert (out.pages, out.problem) == ((), "unsupported")


async def test_many_items_are_each_answered_once(pool):
    bodies = [b"" if number % 3 == 0 else b"\0\1" * number for number in range(200)]
    outs = await asyncio.gather(*(pool.clean(resource(body), RULES) for body in bodies))
    assert [out.problem for out in outs] == ["empty" if not body else "unsupported" for body in bodies]
    assert len(pool.pids()) <= 2


async def test_a_child_killed_from_outside_costs_no_item(pool):
    await pool.clean(resource(), RULES)
    work = [asyncio.ensure_future(pool.clean(resource(b"\0" * 100_000), RULES)) for _ in range(100)]
    await asyncio.sleep(0)
    for pid in pool.pids():
        os.kill(pid, signal.SIGKILL)
    outs = await asyncio.gather(*work)
    assert {out.problem for out in outs} == {"unsupported"}


async def test_no_child_outlives_close():
    pool = CleanerPool(2)
    await pool.clean(resource(), RULES)
    pids = pool.pids()
    await pool.close()
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
