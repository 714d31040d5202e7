"""The knowledge base is away for an hour, by a clock of the test's own; the server and the ledger are real."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "crash"))
from outage import HOUR_S, IN_DOUBT, PAGES, UNDISTURBED, WAYS, opened


@pytest.fixture
async def crawl(request, tmp_path):
    async with opened(request.param[0], tmp_path, **request.param[1]) as made:
        yield made


PATIENT = {"patience_s": 2 * HOUR_S}
WAITED_OUT = [*(pytest.param((how, PATIENT), marks=pytest.mark.slow) for how in WAYS[:2]), (WAYS[2], PATIENT)]
EITHER = [pytest.param((WAYS[0], {}), marks=pytest.mark.slow), (WAYS[1], {})]


@pytest.mark.parametrize("crawl", [(WAYS[0], {})], indirect=True)
async def test_undisturbed_a_batch_takes_one_call(crawl):
    await crawl.crawl()
    assert crawl.store_calls == UNDISTURBED


@pytest.mark.parametrize("crawl", WAITED_OUT, indirect=True)
async def test_an_outage_of_an_hour_that_is_waited_out_costs_at_most_a_tenth_more_calls(crawl):
    states = await crawl.crawl(away_at=60)
    assert crawl.clock.now >= crawl.server.away[1]
    assert set(states) == {"delivered"}
    assert crawl.extra() <= 0.1
    coverage = await crawl.delivery.verify(crawl.run)
    assert (coverage.due, coverage.verified) == (PAGES, PAGES)
    assert crawl.everything_is_there_once()


@pytest.mark.parametrize("crawl", [(WAYS[1], {})], indirect=True)
async def test_calls_that_an_outage_cuts_off_do_not_make_the_batches_after_them_smaller(crawl):
    async def slow_after_the_first():
        while not crawl.server.items:
            await asyncio.sleep(0.002)
        crawl.server.slow_s = (0.5, 0)  # four calls are under way when the connections break

    slowing = asyncio.create_task(slow_after_the_first())
    await crawl.crawl(away_at=60)
    await slowing
    assert crawl.cut <= UNDISTURBED + IN_DOUBT


@pytest.mark.parametrize("crawl", EITHER, indirect=True)
async def test_after_ten_minutes_the_run_gives_up_and_retry_brings_everything(crawl):
    began = crawl.clock.now
    states = await crawl.crawl(away_at=60)
    assert states["failed"] > 0
    assert crawl.clock.now - began < HOUR_S / 3
    assert await crawl.delivery.gave_up()
    await crawl.ledger.release(crawl.run)
    crawl.clock.now = crawl.server.away[1]
    await crawl.server.is_back()
    await crawl.begin("retry")
    for head in await crawl.delivery.due(crawl.run):
        await crawl.delivery.deliver(crawl.run, head.id)
    coverage = await crawl.delivery.verify(crawl.run)
    assert (coverage.due, coverage.verified) == (PAGES, PAGES)
    assert crawl.everything_is_there_once()
    assert crawl.extra() <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize("crawl", EITHER, indirect=True)
async def test_a_run_that_outlives_the_outage_takes_up_what_it_gave_up(crawl):
    await crawl.crawl(away_at=60)
    crawl.clock.now = crawl.server.away[1]
    await crawl.server.is_back()
    coverage = await crawl.delivery.verify(crawl.run)
    assert (coverage.due, coverage.verified) == (PAGES, PAGES)
    assert crawl.everything_is_there_once()
    assert crawl.extra() <= 0.1


@pytest.mark.parametrize("crawl", [(WAYS[1], {})], indirect=True)
async def test_a_retry_in_the_same_outage_says_once_that_the_api_seems_to_be_down(crawl):
    await crawl.crawl(away_at=60)
    await crawl.ledger.release(crawl.run)
    await crawl.begin("retry")
    told = [(await crawl.delivery.deliver(crawl.run, head.id)).detail for head in await crawl.delivery.due(crawl.run)]
    assert "The API seems to be down." in "".join(told)
    assert max(detail.count("seems to be down") for detail in told) == 1
