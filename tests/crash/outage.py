"""The knowledge base is away for an hour, by a clock of our own; the server and the ledger are real."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from contextlib import asynccontextmanager

import httpx
from persona_server import Server

from connectors.ledger import lease, open_ledger
from connectors.models import Draft, Extracted, Page, Resource, sha256_hex
from connectors.persona.client import PersonaClient
from connectors.pipeline.deliver import Delivery
from connectors.settings import DeliveryOptions

HOUR_S = 3600.0
PAGES = 200
BATCH = 2
CUT_EVERY = 20
UNDISTURBED = PAGES // BATCH
IN_DOUBT = CUT_EVERY // BATCH  # a cut between the first call that broke and the last before the outage is told: halves
WAYS = ("answers 503", "refuses", "stores nothing")


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

    async def is_back(self):
        """Wait until it listens again."""
        while not self._server:
            await asyncio.sleep(0.002)

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
        self.store_calls = self.cut = 0
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
            if number % CUT_EVERY == CUT_EVERY - 1:
                heads = await self.delivery.cut(self.run, final=number == PAGES - 1)
                self.cut += len(heads)
                tasks += [asyncio.create_task(one(head)) for head in heads]
        return Counter(outcome.state for outcome in await asyncio.gather(*tasks))

    def extra(self):
        """Return how many more calls than batches there were, as a share; batches in doubt may be half the size."""
        assert UNDISTURBED <= self.cut <= UNDISTURBED + IN_DOUBT, self.cut
        return round(self.store_calls / self.cut - 1, 3)

    def everything_is_there_once(self):
        return len(self.server.items) == PAGES == len(set(self.server.items.values()))


@asynccontextmanager
async def opened(how: str, folder, **more):
    """Give a crawl whose knowledge base will be away in this way."""
    clock = Clock()
    async with AwayServer(clock, how=how) as server:
        tending = asyncio.create_task(server.tend())
        async with open_ledger(f"sqlite:///{folder}/ledger.sqlite3") as ledger:
            made = Crawl(ledger, server, clock, **more)
            await made.begin("import")
            yield made
            await made.client.close()
        tending.cancel()


async def measure(how: str) -> dict:
    """Return what an hour's outage costs in store calls, waited out by one run, and whether all is there once."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened(how, folder, patience_s=2 * HOUR_S) as crawl:
            await crawl.crawl(away_at=60)
            coverage = await crawl.delivery.verify(crawl.run)
            return {
                "batches": crawl.cut,
                "store calls": crawl.store_calls,
                "extra": crawl.extra(),
                "verified": f"{coverage.verified} of {coverage.due}",
                "there once": crawl.everything_is_there_once(),
            }
