"""What the ledger costs as a source grows: SQLite's own steps, counted, for each question of a run's end."""

from __future__ import annotations

import asyncio
import hashlib
from itertools import count

from connectors.ledger import open_ledger
from connectors.models import Draft, Extracted, Found, Page, Resource

STATES = ("sent", "delivered", "verified", "updating", "deleting", "quarantined")
FEW, MANY = 60, 240
CALLERS, EACH = 40, 20


def resource(number):
    uri = f"https://docs.example/{number}"
    return Resource(uri=uri, requested_uri=uri, media_type="text/html", body=b"%d" % number, status=200)


async def record(ledger, run, number):
    text = f"The text of page {number}."
    key = hashlib.sha256(text.encode()).hexdigest()
    page = Page(uri=resource(number).uri, title=f"Page {number}", content=text)
    await ledger.frontier(run).add([Found(uri=page.uri, by="link")])
    draft = Draft(page=page, content=text, text_hash=key, fingerprint=key)
    await ledger.record(run, resource(number), Extracted(pages=(page,)), [draft], config="c")


async def filled(ledger, begin, pages):
    """Import so many pages, verify all but the last few, and begin the run of the next night."""
    run = await begin(ledger)
    await asyncio.gather(*(record(ledger, run, number) for number in range(pages)))
    for head in await ledger.sending.cut(run, most=20, max_bytes=10**6, method="store", final=True):
        work = await ledger.sending.load(head.id)
        await ledger.sending.mark_sent(run, head.id, {page.version_id: b"h" for page in work.pending})
        await ledger.sending.mark_delivered(run, head.id)
        if head.number > 1:
            await ledger.sending.confirm(run, {page.version_id: [f"i{page.version_id}"] for page in work.pending})
    await ledger.finish(run, state="completed", complete=True, summary={})
    return await begin(ledger)


async def drained(rows):
    return [row async for row in rows]


ASKED = {
    "coverage": lambda ledger, run: ledger.sending.coverage(run),
    "expected": lambda ledger, run: drained(ledger.sending.expected(run, STATES)),
    "adopt": lambda ledger, run: ledger.sending.adopt(run),
    "waiting for proof": lambda ledger, run: ledger.sending.waiting_for_proof(run),
    "sizes of updates": lambda ledger, run: ledger.sending.sizes_of_updates(run),
    "removals": lambda ledger, run: ledger.sending.removals(run),
    "promote duplicates": lambda ledger, run: ledger.sending.promote_duplicates(run),
    "evidence": lambda ledger, run: ledger.sending.count_evidence(run, complete=True),
    "candidates": lambda ledger, run: ledger.sending.candidates(run),
    "claimed elsewhere": lambda ledger, run: ledger.sending.claimed_elsewhere(run),
    "ghosts": lambda ledger, run: ledger.sending.ghosts(run),
    "pages": lambda ledger, run: drained(ledger.pages(run)),
    "repeated blocks": lambda ledger, run: ledger.repeated_blocks(run),
    "counts": lambda ledger, run: ledger.counts(run),
    "highlights": lambda ledger, run: ledger.highlights(run, slowest=5, most=5),
    "status": lambda ledger, run: ledger.status(),
    "met": lambda ledger, run: ledger.met("https://persona.example/"),
    "finish": lambda ledger, run: ledger.finish(run, state="completed", complete=True, summary={}),
}


async def steps_of(ledger, run, asked=ASKED):
    """Return how many steps of SQLite's machine each question takes."""
    steps = count()

    def watch(connection):
        connection._driver.set_progress_handler(lambda: next(steps) < 0, 10)

    await ledger._writer.call(watch)
    taken, before = {}, next(steps)
    for name, ask in asked.items():
        await ask(ledger, run)
        after = next(steps)
        taken[name], before = after - before, after
    return taken


async def test_four_times_the_pages_cost_no_question_more_than_a_few_times_the_work(tmp_path, begin):
    taken = []
    for pages in (FEW, MANY):
        async with open_ledger(f"sqlite:///{tmp_path / str(pages)}") as ledger:
            taken.append(await steps_of(ledger, await filled(ledger, begin, pages)))
    few, many = taken
    grown = {name: (few[name], many[name]) for name in ASKED if many[name] > 6 * few[name] + 100}
    assert not grown


async def test_many_who_write_at_once_share_transactions(tmp_path, begin):
    async with open_ledger(f"sqlite:///{tmp_path / 'l.sqlite3'}") as ledger:
        run = await begin(ledger)
        begun = []
        ledger._writer._connection._driver.set_trace_callback(begun.append)

        async def one(start):
            for number in range(start, start + EACH):
                await ledger.known(run, f"https://docs.example/{number}")
                await asyncio.sleep(0.0005 * (start % 7))

        await asyncio.gather(*(one(1000 * caller) for caller in range(CALLERS)))
    assert 0 < begun.count("BEGIN IMMEDIATE") < CALLERS * EACH / 4


async def test_what_became_of_one_address_costs_the_same_however_many_there_are(tmp_path, begin):
    taken = []
    for pages in (FEW, MANY):
        async with open_ledger(f"sqlite:///{tmp_path / str(pages)}") as ledger:
            await filled(ledger, begin, pages)
            taken.append(
                (await steps_of(ledger, None, {"explain": lambda ledger, _: ledger.explain(resource(3).uri)}))[
                    "explain"
                ]
            )
    assert taken[1] <= taken[0] + 10


async def test_recording_a_page_costs_the_same_however_many_there_are(tmp_path, begin):
    taken = []
    for pages in (FEW, MANY):
        async with open_ledger(f"sqlite:///{tmp_path / str(pages)}") as ledger:
            run = await filled(ledger, begin, pages)
            asked = {
                "new": lambda ledger, run: record(ledger, run, 9999),
                "met": lambda ledger, run: record(ledger, run, 3),
            }
            taken.append(await steps_of(ledger, run, asked))
    few, many = taken
    assert all(many[name] <= few[name] + 10 for name in few), taken
