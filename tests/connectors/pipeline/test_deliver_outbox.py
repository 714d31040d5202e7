"""The outbox has a cap: the crawl waits for the knowledge base instead of filling the disk."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest

from connectors.errors import FatalError
from connectors.pipeline.deliver import Delivery
from connectors.pipeline.run import open_run
from connectors.settings import PersonaSettings, WebsiteSource

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "crash"))
from persona_server import Server

PAGES = 60
CAP = 6_000
BODY = "This page tells visitors, in enough words to be a page of its own, what they came here to learn about "


@pytest.fixture
async def away():
    """A knowledge base that answers 503 to everything until `back` is set."""
    async with Server() as server:
        server.back = asyncio.Event()
        answer = server._answer

        def maybe(*args):
            return answer(*args) if server.back.is_set() else (503, {"status": "error"}, {})

        server._answer = maybe
        yield server


async def opened(site, server, state, **more):
    names = [f"p{number}" for number in range(PAGES)]
    site.article("/", "Home", BODY + "everything.", {f"/{name}": name for name in names})
    for name in names:
        site.article(f"/{name}", f"About {name}", BODY + name + ".")
    source = WebsiteSource(website=site.base, name="s", delay=0, settle=0.1, prompts=False, review=False, batch_size=4)
    run = await open_run(source, persona=PersonaSettings(base_url=server.url), state=state)
    run.outbox.most = CAP
    run.collector.in_flight = 4
    delivery = Delivery(run.ledger, run.persona, source, rng=random.Random(1), first_pause_s=0.01, **more)
    run.delivery = run.outbox.delivery = delivery
    return run


async def deliver_all(run):
    async def one(head):
        async with slots:
            await run.deliver(head.id)

    slots = asyncio.Semaphore(3)
    tasks = [asyncio.create_task(one(head)) async for head in run.batches()]
    await asyncio.gather(*tasks)


async def test_the_crawl_waits_at_the_cap_and_goes_on_when_delivery_drains(site, away, state):
    run = await opened(site, away, state, patience_s=600)
    delivering = asyncio.create_task(deliver_all(run))
    while await run.delivery.waiting_bytes(run.run) < CAP:
        await asyncio.sleep(0.01)
    held_up = -1
    while held_up != run.progress.done:  # what was under way comes to its end, and then nothing moves
        held_up = run.progress.done
        await asyncio.sleep(0.5)
    waiting = await run.delivery.waiting_bytes(run.run)
    assert held_up < PAGES
    assert not delivering.done()
    assert waiting < 2 * CAP
    away.back.set()
    await delivering
    await run.collect()
    await run.change()
    await run.verify()
    summary = await run.finish()
    assert (summary["state"], summary["verified"], len(away.items)) == ("completed", PAGES + 1, PAGES + 1)


async def test_when_delivery_gave_up_the_crawl_stops_with_one_sentence_and_the_next_run_goes_on(site, away, state):
    run = await opened(site, away, state, patience_s=0.2)
    delivering = asyncio.create_task(deliver_all(run))
    with pytest.raises(FatalError, match="run the same command again"):
        await run.collect()
    run.stop()
    await delivering
    first = await run.finish()
    assert first["state"] == "stopped"
    assert len(first["problems"]) <= 2
    assert first["problems"][0].count(". ") == 1
    assert first["urls"]["fetched"] < PAGES
    away.back.set()
    run = await opened(site, away, state)
    assert run.resumed
    await deliver_all(run)
    await run.change()
    await run.verify()
    summary = await run.finish()
    assert (summary["state"], summary["verified"], len(away.items)) == ("completed", PAGES + 1, PAGES + 1)


async def test_less_than_a_batch_is_sent_when_it_fills_the_outbox(site, away, state):
    away.back.set()
    run = await opened(site, away, state)
    run.source = run.source.model_copy(update={"batch_size": 500})
    run.delivery = run.outbox.delivery = Delivery(run.ledger, run.persona, run.source, first_pause_s=0.01)
    await deliver_all(run)
    await run.verify()
    summary = await run.finish()
    assert (summary["state"], summary["verified"]) == ("completed", PAGES + 1)
    assert away.calls["post"] > 1


async def test_changed_pages_wait_for_the_end_of_the_crawl_and_fill_no_outbox(site, away, state):
    away.back.set()
    for words in ("", " Tonight it says something else."):
        run = await opened(site, away, state)
        for number in range(PAGES if words else 0):
            site.article(f"/p{number}", f"About p{number}", BODY + f"p{number}." + words)
        await deliver_all(run)
        await run.change()
        await run.verify()
        summary = await run.finish()
    assert (summary["state"], summary["pages"]["changed"]) == ("completed", PAGES)
