"""Delivery against a real server that answers badly, over a real ledger."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from connectors.errors import FatalError
from connectors.ledger import open_ledger
from connectors.models import Draft, Extracted, Page, Resource, Skipped
from connectors.persona.client import PersonaClient
from connectors.pipeline.deliver import Delivery
from connectors.settings import DeliveryOptions

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "crash"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from databases import new_database, postgres  # noqa: F401 - a fixture
from persona_server import EDIT_FAULTS, POST_FAULTS, READ_FAULTS, Script, Server

SETTLE_S = 0.25
TIMEOUT_S = 1.0  # which a loaded machine keeps, and the script's "drip" does not


def content(name, text):
    return f"Source: https://docs.example/{name}\n\n# {name}\n\n{text} " + f"and more of {name} {text} " * 20


class Rig:
    """A ledger, a server and what is between them."""

    def __init__(self, ledger, server, **options):
        self.ledger = ledger
        self.server = server
        self.sleeps = []
        self.options = DeliveryOptions(settle=SETTLE_S, **({"batch-size": 3} | options))
        self.run = None
        self.delivery = None
        self.client = PersonaClient(
            base_url=server.url, timeout_s=TIMEOUT_S, transport=httpx.AsyncHTTPTransport(verify=False)
        )

    async def begin(self, purpose="import"):
        self.run = await self.ledger.begin(
            source="docs",
            kind="website",
            origin="https://docs.example/",
            destination="there",
            options={},
            purpose=purpose,
        )
        self.delivery = self.make()
        return self.run

    def make(self, **more):
        return Delivery(self.ledger, self.client, self.options, rng=random.Random(1), first_pause_s=0.001, **more)

    async def page(self, name, text="text"):
        uri = f"https://docs.example/{name}"
        page = Page(uri=uri, title=name, content=text)
        whole = content(name, text)
        digest = hashlib.sha256(whole.partition("\n")[2].replace(name, "").encode()).hexdigest()
        draft = Draft(page=page, content=whole, text_hash=digest, fingerprint=digest)
        resource = Resource(uri=uri, requested_uri=uri, media_type="text/html", body=whole.encode(), status=200)
        return await self.ledger.record(self.run, resource, Extracted(pages=(page,)), [draft], config="c")

    async def send(self):
        return [
            await self.delivery.deliver(self.run, head.id) for head in await self.delivery.cut(self.run, final=True)
        ]

    async def night(self, pages, *, purpose="sync", skipped=(), complete=True):
        """Import or sync pages (name to text), to the end."""
        await self.begin(purpose)
        for name, text in pages.items():
            await self.page(name, text)
        for name, rule in dict(skipped).items():
            await self.ledger.skip(self.run, Skipped(uri=f"https://docs.example/{name}", rule=rule))
        outcomes = await self.send()
        changes = await self.delivery.change(self.run, complete=complete)
        coverage = await self.delivery.verify(self.run)
        counts = await self.ledger.counts(self.run)
        await self.ledger.finish(self.run, state="completed", complete=complete, summary={})
        return outcomes, changes, coverage, counts

    def holds(self):
        return Counter(self.server.items.values())


def of(pages):
    return Counter(content(name, text) for name, text in pages.items())


def pieces_of(server, pages):
    return Counter(piece for name, text in pages.items() for piece in server.cut(content(name, text)))


PAGES = {f"p{number}": f"text {number}" for number in range(7)}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
async def rig(request, tmp_path):
    url = new_database(request, tmp_path)
    async with Server() as server, open_ledger(url) as ledger:
        made = Rig(ledger, server)
        yield made
        await made.client.close()


async def test_pages_go_out_in_batches_and_are_verified(rig):
    outcomes, _, coverage, counts = await rig.night(PAGES)
    assert [(item.state, item.pages, item.calls) for item in outcomes] == [
        ("delivered", 3, 1),
        ("delivered", 3, 1),
        ("delivered", 1, 1),
    ]
    assert (coverage.due, coverage.verified, coverage.missing) == (7, 7, 0)
    assert (counts.stored, counts.batches) == (7, {"delivered": 3})
    assert rig.holds() == of(PAGES)


async def verified_by(rig):
    """Return in which run each version was last written down as verified, by its id."""
    rows = "SELECT id, verified_run FROM versions ORDER BY id"
    found = await rig.ledger._writer.call(lambda connection: connection.rows(rows))
    return [run for _, run in found]


async def test_what_is_verified_as_the_same_item_is_not_written_down_again(rig):
    await rig.night(PAGES)
    first = rig.run.id
    _, _, coverage, _ = await rig.night(PAGES)
    assert coverage.verified == 7
    assert await verified_by(rig) == [first] * 7
    (moved, text), *_ = rig.server.items.items()
    del rig.server.items[moved]
    rig.server.items["another"] = text
    _, _, coverage, _ = await rig.night(PAGES)
    assert (coverage.verified, coverage.missing) == (7, 0)
    assert sorted(await verified_by(rig)) == [*[first] * 6, rig.run.id], "it is another item now"


async def test_a_stream_has_one_id_for_the_whole_run(rig):
    rig.options = rig.options.model_copy(update={"delivery": "stream"})
    _, _, coverage, counts = await rig.night(PAGES)
    assert rig.server.streams == {rig.run.stream_id}
    assert (coverage.verified, counts.streamed, counts.stored) == (7, 7, 0)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("fault", POST_FAULTS)
async def test_after_any_bad_answer_every_page_is_there_once(rig, fault, number):
    rig.server.script = Script(posts={number: fault})
    if fault == "refuse" and number == 0:
        rig.server.go_down()
    _, _, coverage, _ = await rig.night(PAGES)
    await rig.server.quiet()
    assert rig.holds() == of(PAGES)
    assert (coverage.due, coverage.verified, coverage.quarantined) == (7, 7, 0)
    assert rig.server.given or number == 0


@pytest.mark.parametrize("fault", READ_FAULTS)
async def test_a_reading_that_fails_is_never_taken_for_an_empty_knowledge_base(rig, fault):
    rig.server.script = Script(posts={0: "reset after"}, reads={0: fault, 2: fault})
    _, _, coverage, _ = await rig.night(PAGES)
    assert rig.holds() == of(PAGES)
    assert coverage.verified == 7


async def test_a_knowledge_base_that_cuts_pages_into_pieces_is_understood(rig):
    rig.server.script = Script(pieces=150, posts={0: "reset after", 1: "half 500"})
    _, _, coverage, _ = await rig.night(PAGES)
    assert rig.holds() == pieces_of(rig.server, PAGES)
    assert coverage.verified == 7


async def test_pages_that_appear_late_are_waited_for_and_not_sent_again(rig):
    rig.server.script = Script(appears_s=0.05)
    _, _, coverage, _ = await rig.night(PAGES)
    assert rig.server.calls["post"] == 3
    assert (coverage.verified, coverage.missing) == (7, 0)


async def test_a_poisoned_page_is_found_by_splitting_and_the_others_arrive(rig):
    rig.options = rig.options.model_copy(update={"batch_size": 7})
    rig.server.script = Script(poison="text 4")
    outcomes, _, coverage, counts = await rig.night(PAGES)
    assert outcomes[0].state == "quarantined"
    assert outcomes[0].calls <= 1 + 2 * 3
    assert rig.holds() == of({name: text for name, text in PAGES.items() if name != "p4"})
    assert (coverage.verified, coverage.quarantined, counts.quarantined) == (6, 1, 1)
    (failure,) = await rig.ledger.failures(rig.run)
    assert failure.uri.endswith("/p4")
    assert "a page holds poison" in failure.detail


async def test_a_quarantined_page_is_sent_again_when_a_person_says_so(rig):
    rig.server.script = Script(poison="text 4")
    await rig.night(PAGES)
    rig.server.script = Script()
    await rig.begin("retry")
    assert await rig.ledger.unquarantine(rig.run, "https://docs.example/p4") == 1
    await rig.send()
    assert (await rig.delivery.verify(rig.run)).verified == 7
    assert rig.holds() == of(PAGES)


async def test_after_a_413_batches_get_smaller(rig):
    rig.options = rig.options.model_copy(update={"batch_size": 6})
    rig.server.script = Script(most=3)
    _, _, coverage, _ = await rig.night(PAGES)
    assert coverage.verified == 7
    assert rig.delivery._size.most <= 3


async def test_a_wrong_secret_stops_the_run_and_burns_no_attempt(rig):
    await rig.begin()
    await rig.page("p0")
    (head,) = await rig.delivery.cut(rig.run, final=True)
    rig.server._stored = lambda *_: (401, {"status": "error"}, {})
    with pytest.raises(FatalError):
        await rig.delivery.deliver(rig.run, head.id)
    work = await rig.ledger.sending.load(head.id)
    assert (work.state, work.attempts, len(work.pending)) == ("pending", 0, 1)


async def test_a_batch_that_never_gets_through_fails_and_retry_takes_it_up(rig):
    rig.server.script = Script(posts=dict.fromkeys(range(5), "500"))
    await rig.begin()
    await rig.page("p0")
    (outcome,) = await rig.send()
    assert (outcome.state, outcome.calls) == ("failed", 5)
    assert await rig.ledger.sources_due("there") == ["docs"]
    await rig.ledger.release(rig.run)
    await rig.begin("retry")
    assert [item.state for item in await rig.send()] == ["delivered"]
    assert (await rig.delivery.verify(rig.run)).verified == 1


async def test_retry_after_is_honoured(rig):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    rig.server._stored = lambda *_: (429, {"status": "error"}, {"Retry-After": "120"})
    await rig.begin()
    await rig.page("p0")
    rig.delivery = rig.make(sleep=sleep)
    await rig.send()
    assert slept.count(120.0) >= 4


async def test_the_pause_is_jittered_and_never_longer_than_a_minute(rig):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    delivery = Delivery(rig.ledger, rig.client, rig.options, rng=random.Random(7), sleep=sleep)
    for attempt in range(1, 30):
        await delivery._timing.pause(attempt, None)
    assert max(slept) <= 60.0
    assert len(set(slept)) == 29
    assert min(slept[20:]) < 30.0


async def test_changed_pages_are_updated_in_place_and_nothing_else_is_written(rig):
    await rig.night(PAGES)
    ids = set(rig.server.items)
    tonight = PAGES | {"p1": "another text", "p5": "new words"}
    _, changes, coverage, counts = await rig.night(tonight)
    assert rig.holds() == of(tonight)
    assert set(rig.server.items) == ids
    assert (changes.updated, counts.updated, counts.changed, rig.server.calls["edit"]) == (2, 2, 2, 2)
    assert coverage.verified == 7
    await rig.night(tonight)
    assert rig.server.calls["edit"] == 2


@pytest.mark.parametrize("fault", EDIT_FAULTS)
async def test_an_update_or_removal_with_a_bad_answer_is_repeated(rig, fault):
    await rig.night(PAGES)
    rig.server.script = Script(edits={0: fault, 2: fault})
    tonight = {name: text for name, text in PAGES.items() if name != "p6"} | {"p1": "another text"}
    _, changes, coverage, _ = await rig.night(tonight, skipped={"p6": "deleted"})
    assert rig.holds() == of(tonight)
    assert (changes.updated, changes.deleted, coverage.due, coverage.verified) == (1, 1, 6, 6)


async def test_a_changed_page_in_pieces_is_stored_anew_before_the_old_one_goes(rig):
    rig.server.script = Script(pieces=150)
    await rig.night(PAGES)
    tonight = PAGES | {"p1": "another text"}
    _, _, coverage, _ = await rig.night(tonight)
    assert rig.holds() == pieces_of(rig.server, tonight)
    assert coverage.verified == 7


async def test_a_page_goes_after_two_nights_of_404_and_not_after_one(rig):
    rest = {name: text for name, text in PAGES.items() if name != "p3"}
    await rig.night(PAGES)
    _, first, _, _ = await rig.night(rest, skipped={"p3": "http-404"})
    assert (first.deleted, rig.holds()) == (0, of(PAGES))
    _, second, coverage, counts = await rig.night(rest, skipped={"p3": "http-404"})
    assert (second.deleted, counts.vanished, counts.deleted, coverage.due) == (1, 1, 1, 6)
    assert rig.holds() == of(rest)


async def test_a_page_that_came_back_between_is_not_gone(rig):
    rest = {name: text for name, text in PAGES.items() if name != "p3"}
    await rig.night(PAGES)
    await rig.night(rest)
    await rig.night(PAGES)
    await rig.night(rest)
    assert rig.holds() == of(PAGES)
    await rig.night(rest, complete=False)
    assert rig.holds() == of(PAGES)
    await rig.night(rest)
    assert rig.holds() == of(rest)


async def test_errors_and_robots_are_no_evidence(rig):
    rest = {name: text for name, text in PAGES.items() if name not in {"p3", "p4"}}
    await rig.night(PAGES)
    for _ in range(3):
        await rig.night(rest, skipped={"p3": "http-500", "p4": "robots"})
    assert rig.holds() == of(PAGES)


async def test_many_deletions_at_once_wait_for_a_person(rig):
    many = {f"p{number}": f"text {number}" for number in range(20)}
    few = {f"p{number}": f"text {number}" for number in range(13)}
    await rig.night(many)
    await rig.night(few)
    _, changes, _, _ = await rig.night(few)
    assert (changes.deleted, len(changes.withheld), rig.holds()) == (0, 7, of(many))
    assert "7 of 20 pages" in changes.why
    await rig.begin("retry")
    approved = await rig.delivery.change(rig.run, approved={page.uri for page in changes.withheld})
    assert (approved.deleted, rig.holds()) == (7, of(few))


async def test_pages_that_lose_half_their_text_at_once_wait_for_a_person(rig):
    await rig.night({name: text + " long" * 500 for name, text in PAGES.items()})
    before = rig.holds()
    _, changes, _, _ = await rig.night(PAGES)
    assert (changes.updated, len(changes.withheld), rig.holds() == before) == (0, 7, True)


async def test_the_second_address_of_a_text_takes_over_when_the_first_is_gone(rig):
    await rig.begin()
    same = {"old": "same", "new": "same"}
    for name in same:
        await rig.page(name, "same")
    await rig.send()
    await rig.delivery.verify(rig.run)
    await rig.ledger.finish(rig.run, state="completed", complete=True, summary={})
    assert rig.holds() == of({"old": "same"})
    ids = set(rig.server.items)
    _, changes, coverage, _ = await rig.night({"new": "same"}, skipped={"old": "http-404"})
    assert rig.holds() == of({"new": "same"})
    assert (set(rig.server.items), changes.updated, changes.deleted, coverage.verified) == (ids, 1, 0, 1)


async def test_items_that_are_not_ours_are_never_touched(rig):
    theirs = [rig.server.add("Somebody's notes"), rig.server.add("Source: https://else.example/\n\nOther")]
    await rig.night(PAGES)
    await rig.night(PAGES | {"p0": "changed"}, skipped={"p1": "deleted"})
    assert rig.server.items[theirs[0]] == "Somebody's notes"
    assert rig.server.items[theirs[1]].endswith("Other")


async def test_surplus_copies_are_deleted_and_the_lowest_id_stays(rig):
    await rig.night(PAGES)
    first = next(item for item, text in rig.server.items.items() if text == content("p2", "text 2"))
    for _ in range(12):
        rig.server.add(content("p2", "text 2"))
    await rig.begin("verify")
    look = await rig.delivery.verify(rig.run, repair=False)
    assert (look.surplus_deleted, len(rig.server.items)) == (12, 19)
    coverage = await rig.delivery.verify(rig.run)
    assert (coverage.surplus_deleted, coverage.verified) == (12, 7)
    assert rig.holds() == of(PAGES)
    assert first in rig.server.items


async def test_a_page_that_somebody_deleted_is_sent_again_in_the_same_run(rig):
    await rig.night(PAGES)
    del rig.server.items[next(iter(rig.server.items))]
    await rig.begin("verify")
    assert (await rig.delivery.verify(rig.run, repair=False)).missing == 1
    coverage = await rig.delivery.verify(rig.run)
    assert (coverage.missing, coverage.verified) == (1, 7)
    assert rig.holds() == of(PAGES)


async def test_what_somebody_changed_is_reported_and_only_repair_undoes_it(rig):
    await rig.night(PAGES)
    item = next(iter(rig.server.items))
    rig.server.items[item] = "Edited by hand"
    _, _, coverage, _ = await rig.night(PAGES)
    assert (coverage.foreign_changed, coverage.verified, rig.server.items[item]) == (1, 7, "Edited by hand")
    assert coverage.changed == ("https://docs.example/p0",)
    await rig.begin("verify")
    await rig.delivery.verify(rig.run, repair=True)
    assert rig.holds() == of(PAGES)


async def test_white_space_that_changed_on_the_way_is_no_change(rig):
    await rig.night(PAGES)
    for item, text in rig.server.items.items():
        rig.server.items[item] = text.replace("\n\n", "\n").strip() + "\n"
    _, _, coverage, _ = await rig.night(PAGES)
    assert (coverage.verified, coverage.foreign_changed, rig.server.calls["post"]) == (7, 0, 3)


async def test_two_sources_with_the_same_page_keep_a_copy_each(rig):
    await rig.night(PAGES)
    first = rig.ledger.begin

    async def begin(**options):
        return await first(**(options | {"source": "other"}))

    rig.ledger.begin = begin
    _, _, coverage, _ = await rig.night(PAGES)
    assert coverage.verified == 7
    assert rig.holds() == of(PAGES) + of(PAGES)
    rig.ledger.begin = first
    _, _, coverage, _ = await rig.night(PAGES)
    assert (coverage.verified, coverage.surplus_deleted) == (7, 0)


async def test_while_the_api_is_down_few_calls_are_made_and_then_all_arrives(rig):
    await rig.begin()
    pages = {f"p{number}": f"text {number}" for number in range(60)}
    for name, text in pages.items():
        await rig.page(name, text)
    rig.server.script = Script(posts=dict.fromkeys(range(8), "500"))
    rig.delivery = rig.make(patience_s=30)
    heads = await rig.delivery.cut(rig.run, final=True)
    await asyncio.gather(*(rig.delivery.deliver(rig.run, head.id) for head in heads))
    coverage = await rig.delivery.verify(rig.run)
    assert (len(heads), coverage.verified) == (20, 60)
    assert rig.holds() == of(pages)
