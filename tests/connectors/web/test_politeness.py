from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.web.politeness import Lane, seconds_until_retry

NOW = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120.0), (" 0 ", 0.0), ("Wed, 21 Oct 2026 07:29:00 GMT", 60.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert seconds_until_retry(value, now=NOW) == seconds


@given(st.text(max_size=30))
def test_any_other_retry_after_is_a_value_error(value):
    with contextlib.suppress(ValueError):
        assert seconds_until_retry(value, now=NOW) >= 0


async def test_no_more_than_the_concurrency_are_inside():
    lane = Lane(concurrency=3)
    inside = most = 0

    async def visit():
        nonlocal inside, most
        await lane.enter()
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.001)
        inside -= 1
        lane.leave()

    await asyncio.gather(*[visit() for _ in range(30)])
    assert most == 3


async def test_starts_are_at_least_the_delay_apart():
    lane = Lane(concurrency=8, delay_s=0.03)
    began, starts = monotonic(), []

    async def visit():
        await lane.enter()
        starts.append(monotonic())
        lane.leave()

    await asyncio.gather(*[visit() for _ in range(5)])
    # From the beginning, not from one to the next: a visitor whom the machine woke late is followed in time.
    assert all(start - began >= number * 0.03 - 0.001 for number, start in enumerate(starts))


async def test_overload_halves_and_good_answers_give_back():
    lane = Lane(concurrency=8)
    lane.overloaded()
    assert lane.limit == 4
    lane.overloaded()
    assert lane.limit == 4, "answers that were under way together count once"
    for _ in range(60):
        lane.good(0.01)
    assert lane.limit == 8


async def test_an_answer_much_slower_than_the_best_halves():
    lane = Lane(concurrency=8)
    lane.good(0.1)
    lane.good(5.0)
    assert lane.limit == 4


async def test_a_visitor_who_gives_up_leaves_no_hole():
    lane = Lane(concurrency=1)
    await lane.enter()
    waiting = asyncio.create_task(lane.enter())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    lane.leave()
    await asyncio.wait_for(lane.enter(), 1)


async def test_a_visitor_who_is_cancelled_when_called_gives_the_turn_on():
    lane = Lane(concurrency=1)
    await lane.enter()
    first, second = asyncio.create_task(lane.enter()), asyncio.create_task(lane.enter())
    await asyncio.sleep(0)
    lane.leave()
    first.cancel()
    await asyncio.wait_for(second, 1)


async def test_a_pause_holds_everybody():
    lane = Lane(concurrency=8)
    lane.pause(0.05)
    began = monotonic()
    await lane.enter()
    assert monotonic() - began >= 0.049


async def test_waiting_that_helps_nobody_is_in_vain_until_it_helps_one():
    lane = Lane(concurrency=8, in_vain_s=0.0)
    assert not lane.in_vain
    lane.overloaded()
    assert lane.in_vain
    lane.helped()
    assert not lane.in_vain


async def test_a_host_that_answers_well_again_has_its_patience_back():
    lane = Lane(concurrency=8, in_vain_s=0.0)
    lane.overloaded()
    for _ in range(20):
        assert lane.in_vain
        lane.good(0.01)
    assert not lane.in_vain


async def test_a_wait_that_was_asked_for_is_not_in_vain_so_soon():
    asked, unasked = Lane(concurrency=8, in_vain_s=0.05), Lane(concurrency=8, in_vain_s=0.05)
    asked.overloaded()
    unasked.overloaded()
    asked.pause(100)
    await asyncio.sleep(0.06)
    assert (asked.in_vain, unasked.in_vain) == (False, True)


async def test_where_waiting_is_in_vain_nobody_waits_long():
    lane = Lane(concurrency=8, in_vain_s=0.0)
    lane.overloaded()
    lane.pause(120)
    began = monotonic()
    await asyncio.wait_for(lane.enter(), 30)
    assert monotonic() - began >= 0.2, "the host is still asked slowly"
