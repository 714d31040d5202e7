"""The knowledge base is away for an hour, by a clock of the test's own; the server and the ledger are real."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from connectors.ledger import lease, open_ledger
from connectors.models import Draft, Extracted, Page, Resource, sha256_hex
from connectors.persona.client import PersonaClient
from connectors.pipeline.deliver import Delivery
from connectors.settings import DeliveryOptions

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "crash"))
from persona_server import Server

HOUR_S = 3600.0
PAGES = 200
BATCH = 2


class Clock:
    """Seconds since boot that pass when somebody sleeps."""

    def __init__(self):
        self.now = lease.tick_ms() / 1000

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        until = self.now + seconds
        await asyncio.sleep(0.002)  # others that sleep meanwhile
        self.now = max(self.now, until)


class AwayServer(Server):
    """A server that is away between two moments of a clock: it answers 503, or closes its door."""

    def __init__(self, clock, *, how):
        super().__init__()
        self.clock, self.how = clock, how
        self.away = (0.0, 0.0)

    async def tend(self):
        while True:
            await asyncio.sleep(0.002)
            if self.how == "refuses":
                if self.is_away() and self._server:
                    await self._deafen()
                elif not self.is_away() and not self._server:
                    await self._listen()

    def is_away(self):
        return self.away[0] <= self.clock.now < self.away[1]

    def _answer(self, *args):
        if self.is_away() and self.how != "stores nothing":
            return 503, {"status": "error"}, {}
        return super()._answer(*args)

    def _stored(self, *args):
        if self.is_away():
            return 503, {"status": "error"}, {}
        return super()._stored(*args)


class Crawl:
    """A crawl that records pages while four batches at a time are under way."""

    def __init__(self, ledger, server, clock, **more):
        self.ledger, self.server, self.clock = ledger, server, clock
        self.client = PersonaClient(base_url=server.url, timeout_s=5, transport=httpx.AsyncHTTPTransport(verify=False))
        self.options = DeliveryOptions(settle=30, **{"batch-size": BATCH})
        self.more = more
        self.store_calls = 0
        count = self.client.store_pages

        async def counted(pages):  # a refused call never comes to the server
            self.store_calls += 1
            await count(pages)

        self.client.store_pages = counted

    async def begin(self, purpose):
        self.run = await self.ledger.begin(
            source="docs", kind="website", origin="https://d.example/", destination="there", options={}, purpose=purpose
        )
        self.delivery = Delivery(
            self.ledger, self.client, self.options, tick=self.clock, sleep=self.clock.sleep,
            rng=random.Random(1), **self.more,
        )  # fmt: skip

    async def record(self, number):
        uri = f"https://d.example/{number}"
        text = f"Source: {uri}\n\nwhat page {number} says"
        page = Page(uri=uri, title=str(number), content=text)
        draft = Draft(page=page, content=text, text_hash=sha256_hex(text.encode()), fingerprint=str(number))
        resource = Resource(uri=uri, requested_uri=uri, media_type="text/html", body=text.encode(), status=200)
        await self.ledger.record(self.run, resource, Extracted(pages=(page,)), [draft], config="c")

    async def crawl(self, *, away_at=None):
        tasks = []
        slots = asyncio.Semaphore(4)

        async def one(head):
            async with slots:
                return await self.delivery.deliver(self.run, head.id)

        for number in range(PAGES):
            if number == away_at:
                self.server.away = (self.clock.now, self.clock.now + HOUR_S)
            await self.record(number)
            if number % 20 == 19:
                heads = await self.delivery.cut(self.run, final=number == PAGES - 1)
                tasks += [asyncio.create_task(one(head)) for head in heads]
        return Counter(outcome.state for outcome in await asyncio.gather(*tasks))

    def everything_is_there_once(self):
        return len(self.server.items) == PAGES == len(set(self.server.items.values()))


@pytest.fixture
async def crawl(request, tmp_path):
    clock = Clock()
    async with AwayServer(clock, how=request.param[0]) as server:
        tending = asyncio.create_task(server.tend())
        async with open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite3") as ledger:
            made = Crawl(ledger, server, clock, **request.param[1])
            await made.begin("import")
            yield made
            await made.client.close()
        tending.cancel()


UNDISTURBED = PAGES // BATCH
WAYS = ("answers 503", "refuses", "stores nothing")
PATIENT = {"patience_s": 2 * HOUR_S}
EITHER = [pytest.param((WAYS[0], {}), marks=pytest.mark.slow), (WAYS[1], {})]


@pytest.mark.parametrize("crawl", [(WAYS[0], {})], indirect=True)
async def test_undisturbed_a_batch_takes_one_call(crawl):
    await crawl.crawl()
    assert crawl.store_calls == UNDISTURBED


@pytest.mark.parametrize(
    "crawl", [(WAYS[0], PATIENT), pytest.param((WAYS[1], PATIENT), marks=pytest.mark.slow)], indirect=True
)
async def test_an_outage_of_an_hour_that_is_waited_out_costs_at_most_a_tenth_more_calls(crawl):
    states = await crawl.crawl(away_at=60)
    assert crawl.clock.now >= crawl.server.away[1]
    assert set(states) == {"delivered"}
    assert crawl.store_calls <= UNDISTURBED * 1.1
    coverage = await crawl.delivery.verify(crawl.run)
    assert (coverage.due, coverage.verified) == (PAGES, PAGES)
    assert crawl.everything_is_there_once()


@pytest.mark.parametrize("crawl", EITHER, indirect=True)
async def test_after_ten_minutes_the_run_gives_up_and_retry_brings_everything(crawl):
    began = crawl.clock.now
    states = await crawl.crawl(away_at=60)
    assert states["failed"] > 0
    assert crawl.clock.now - began < HOUR_S / 3
    assert await crawl.delivery.gave_up()
    await crawl.ledger.release(crawl.run)
    crawl.clock.now = crawl.server.away[1]
    await asyncio.sleep(0.05)
    await crawl.begin("retry")
    for head in await crawl.delivery.due(crawl.run):
        await crawl.delivery.deliver(crawl.run, head.id)
    coverage = await crawl.delivery.verify(crawl.run)
    assert (coverage.due, coverage.verified) == (PAGES, PAGES)
    assert crawl.everything_is_there_once()
    assert crawl.store_calls <= UNDISTURBED * 1.1


@pytest.mark.slow
@pytest.mark.parametrize("crawl", EITHER, indirect=True)
async def test_a_run_that_outlives_the_outage_takes_up_what_it_gave_up(crawl):
    await crawl.crawl(away_at=60)
    crawl.clock.now = crawl.server.away[1]
    await asyncio.sleep(0.05)
    coverage = await crawl.delivery.verify(crawl.run)
    assert (coverage.due, coverage.verified) == (PAGES, PAGES)
    assert crawl.everything_is_there_once()
    assert crawl.store_calls <= UNDISTURBED * 1.1


@pytest.mark.slow
@pytest.mark.parametrize("crawl", [(WAYS[2], PATIENT)], indirect=True)
async def test_while_only_storing_fails_one_call_a_minute_finds_out_when_it_works_again(crawl):
    await crawl.crawl(away_at=60)
    coverage = await crawl.delivery.verify(crawl.run)
    assert coverage.verified == PAGES
    assert crawl.everything_is_there_once()
    assert crawl.store_calls <= UNDISTURBED + 75
