"""The collecting half of the ledger, on both databases."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from connectors.errors import UsageError
from connectors.ledger import open_ledger
from connectors.models import Draft, Extracted, Found, Page, Resource, Skipped

A, B, C = "https://docs.example/a", "https://docs.example/b", "https://docs.example/c"


def resource(uri, body=b"<p>x</p>", **more):
    return Resource(**{"uri": uri, "requested_uri": uri, "media_type": "text/html", "body": body, "status": 200} | more)


def draft(uri, text="words", **more):
    page = Page(**{"uri": uri, "title": f"Title of {uri}", "content": text} | more)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Draft(page=page, content=f"Source: {uri}\n\n# {text}\n", text_hash=digest, fingerprint=digest + "c1")


def found(*uris):
    return [Found(uri=uri, by="link") for uri in uris]


async def record(ledger, run, uri, text="words", *, links=(), config="c1", flags=(), blocks=(), **more):
    item = draft(uri, text, flags=flags, blocks=blocks)
    extracted = Extracted(pages=(item.page,), links=links)
    return await ledger.record(run, resource(uri, text.encode(), **more), extracted, [item], config=config)


async def test_the_frontier_gives_each_uri_once_and_the_oldest_first(ledger, begin):
    frontier = ledger.frontier(await begin())
    assert await frontier.add(found(A, B, A)) == 2
    assert await frontier.add(found(B, C)) == 1
    assert await frontier.counts() == (3, 3)
    assert [due.uri for due in await frontier.take(2)] == [A, B]
    assert await frontier.counts() == (3, 1)
    assert [due.uri for due in await frontier.take(9)] == [C]
    assert await frontier.take(9) == []


async def test_a_sync_goes_on_with_no_run_of_another_night_whose_crawl_was_over(ledger_url, begin):
    """Else it would ask the source for nothing and say that all is as it was."""
    now = datetime(2026, 11, 23, 2, tzinfo=UTC)

    async def next_run(purpose, *, hours, end=()):
        async with open_ledger(ledger_url, clock=lambda: now + timedelta(hours=hours)) as ledger:
            run = await begin(ledger, purpose=purpose)
            await ledger.frontier(run).add(found(A, B))
            await ledger.frontier(run).take(9)
            for uri in end:
                await ledger.skip(run, Skipped(uri=uri, rule="robots"))
            return run.id, run.resumed

    first, _ = await next_run("sync", hours=0, end=[A])
    assert await next_run("sync", hours=24) == (first, True), "its crawl goes on"
    assert await next_run("sync", hours=24, end=[B]) == (first, True)
    assert await next_run("sync", hours=5) == (first, True), "what stopped it was put right"
    assert await next_run("import", hours=24) == (first, True), "the same command goes on"
    second, resumed = await next_run("sync", hours=24)
    assert (second > first, resumed) == (True, False)


async def test_what_was_taken_and_not_ended_is_due_again_after_a_restart(ledger_url, begin):
    first = open_ledger(ledger_url)
    run = await begin(first)
    await first.frontier(run).add(found(A, B, C))
    await first.frontier(run).take(2)
    await first.skip(run, Skipped(uri=A, rule="robots"))
    await first.close()
    async with open_ledger(ledger_url) as second:
        again = await begin(second)
        assert (again.id, again.resumed, again.stream_id) == (run.id, True, run.stream_id)
        assert [due.uri for due in await second.frontier(again).take(9)] == [B, C]


async def test_a_uri_ends_in_one_outcome_and_the_first_stays(ledger, begin):
    run = await begin()
    await ledger.frontier(run).add(found(A))
    await ledger.skip(run, Skipped(uri=A, rule="http-404", outcome="failed", status=404))
    await ledger.skip(run, Skipped(uri=A, rule="robots"))
    await ledger.skip(run, Skipped(uri=B, rule="redirect"))
    assert await ledger.visited(run, A) == "failed"
    counts = await ledger.counts(run)
    assert (counts.discovered, counts.failed, counts.skipped) == (2, {"http-404": 1}, {"redirect": 1})


async def test_the_books_balance_when_a_run_is_finished_early(ledger, begin):
    run = await begin()
    await ledger.frontier(run).add(found(A, B, C))
    assert await record(ledger, run, A) == ["new"]
    await ledger.finish(run, state="completed", complete=False, summary={})
    counts = await ledger.counts(run)
    assert (counts.discovered, counts.fetched, counts.skipped, counts.due) == (3, 1, {"not-reached": 2}, 0)


async def test_a_page_is_new_then_unchanged_then_changed(ledger, begin):
    for text, verdict in (("one", "new"), ("one", "unchanged"), ("two", "changed")):
        run = await begin()
        assert await record(ledger, run, A, text) == [verdict]
        counts = await ledger.counts(run)
        assert getattr(counts, verdict) == 1
        await ledger.finish(run, state="completed", complete=True, summary={})


async def test_validators_and_links_come_back_the_next_night(ledger, begin):
    run = await begin(config="c1")
    await record(ledger, run, A, links=(B, C), etag='"1"', last_modified="Mon")
    await ledger.finish(run, state="completed", complete=True, summary={})
    run = await begin(config="c1")
    await ledger.frontier(run).add(found(A, B))
    due = await ledger.frontier(run).take(2)
    assert [(item.etag, item.last_modified) for item in due] == [('"1"', "Mon"), ("", "")]
    assert (await ledger.known(run, A)).etag == '"1"'
    assert await ledger.known(run, B) is None
    assert await ledger.same(run, resource(A, None), "c1") == (B, C)
    assert await ledger.visited(run, A) is None, "its links come first"
    await ledger.unchanged(run, resource(A, None))
    counts = await ledger.counts(run)
    assert (counts.not_modified, counts.unchanged, counts.new) == (1, 1, 0)


async def test_the_links_of_what_was_taken_are_at_hand_without_asking(ledger, begin):
    many = tuple(f"https://docs.example/{hashlib.sha256(str(number).encode()).hexdigest()}" for number in range(400))
    run = await begin(config="c1")
    for uri, links in {A: (B, C), B: (), C: many}.items():
        await record(ledger, run, uri, uri, links=links, etag='"1"')
    await ledger.finish(run, state="completed", complete=True, summary={})
    run = await begin(config="c1")
    assert ledger.links_at_hand(run, resource(A, None)) is None
    await ledger.frontier(run).add(found(A, B, C, "https://docs.example/new"))
    await ledger.frontier(run).take(9)
    at_hand = [ledger.links_at_hand(run, resource(uri, None)) for uri in (A, B, C, "https://docs.example/new")]
    assert at_hand == [(B, C), (), None, None], "so many links wait in the database"
    assert await ledger.same(run, resource(C, None), "c1") == many
    assert ledger.links_at_hand(run, resource(A, b"other")) is None, (
        "it was read: only its bytes say whether it is the same"
    )


async def test_what_is_at_hand_is_bounded(ledger, begin):
    frontier = ledger.frontier(await begin())
    for start in range(0, 1200, 100):
        frontier.keep_at_hand({f"https://docs.example/{number}": b"" for number in range(start, start + 100)})
    kept = [number for number in range(1200) if frontier.links_at_hand(f"https://docs.example/{number}") is not None]
    assert kept == list(range(1200 - 512, 1200))


async def test_many_unchanged_pages_are_recorded_in_one_step_and_the_first_outcome_stays(ledger, begin):
    run = await begin(config="c1")
    for uri in (A, B, C):
        await record(ledger, run, uri, uri, etag='"1"')
    await ledger.finish(run, state="completed", complete=True, summary={})
    run = await begin(config="c1")
    await ledger.frontier(run).add(found(A, B))
    await ledger.skip(run, Skipped(uri=B, rule="robots"))
    moved = resource(C, None, requested_uri="https://docs.example/old")
    await ledger.unchanged(run, resource(A, None, status=304), resource(B, None, status=304), moved)
    assert [await ledger.visited(run, uri) for uri in (A, B, C)] == ["not_modified", "skipped", "not_modified"]
    counts = await ledger.counts(run)
    assert (counts.discovered, counts.not_modified, counts.unchanged) == (3, 2, 3)
    assert [visit.status for visit in await ledger.explain(A)][:1] == [304]


async def test_another_cleaning_reaches_an_unchanged_page(ledger, begin):
    run = await begin(config="c1")
    await record(ledger, run, A, etag='"1"')
    await ledger.finish(run, state="completed", complete=True, summary={})
    run = await begin(config="c2")
    assert (await ledger.known(run, A)).etag == ""
    assert await ledger.same(run, resource(A, b"words"), "c2") is None
    assert await ledger.visited(run, A) is None
    assert await record(ledger, run, A, config="c2") == ["unchanged"]
    await ledger.finish(run, state="completed", complete=True, summary={})
    run = await begin(config="c2")
    assert await ledger.same(run, resource(A, b"other"), "c2") is None
    assert await ledger.same(run, resource(A, b"words"), "c2") == ()
    await ledger.unchanged(run, resource(A, b"words"))
    assert await ledger.visited(run, A) == "fetched"


async def test_only_the_first_run_of_a_source_is_its_first(ledger, begin):
    run = await begin()
    assert run.first
    assert await ledger.same(run, resource(A, b"words"), "c") is None
    await record(ledger, run, A)
    await ledger.release(run)
    assert (await begin()).first, "the same run, resumed"
    await ledger.finish(run, state="completed", complete=True, summary={})
    assert not (await begin()).first


async def test_the_same_text_under_two_uris_is_delivered_once_and_never_flaps(ledger, begin):
    run = await begin()
    assert await record(ledger, run, B, "same") == ["new"]
    assert await record(ledger, run, A, "same") == ["duplicate"]
    counts = await ledger.counts(run)
    assert (counts.fetched, counts.skipped, counts.due_pages) == (1, {"duplicate": 1}, 1)
    await ledger.finish(run, state="completed", complete=True, summary={})
    run = await begin()
    assert await record(ledger, run, A, "same") == ["duplicate"]  # it comes first tonight, and still
    assert await record(ledger, run, B, "same") == ["unchanged"]
    assert (await ledger.counts(run)).due_pages == 1


async def test_a_held_page_is_released_or_dropped(ledger, begin):
    run = await begin()
    for uri in (A, B):
        page = Page(uri=uri, title="T", content="weak", metadata={"n": [1]}, flags=("thin",), blocks=(1, 2), weak=True)
        extracted = Extracted(pages=(page,), canonical=C)
        assert await ledger.record(run, resource(uri), extracted, [], config="c1", hold=True) == ["held"]
    seen = []
    async for item in ledger.held(run):
        seen.append(item)
        if item.page.uri == A:
            assert await ledger.release_page(run, draft(A, "strong")) == "new"
        else:
            await ledger.drop(run, B, "boilerplate", "all of it stands elsewhere")
    assert [item.page.uri for item in seen] == [A, B]
    assert (seen[0].page.metadata, seen[0].page.blocks, seen[0].canonical) == ({"n": [1]}, (1, 2), C)
    counts = await ledger.counts(run)
    assert (counts.fetched, counts.skipped, counts.new) == (1, {"boilerplate": 1}, 1)
    assert [item async for item in ledger.held(run)] == []


async def test_blocks_on_most_pages_are_found_again(ledger, begin):
    run = await begin()
    for number in range(6):
        item = draft(f"{A}{number}", str(number), blocks=(2**64 - 5, number, 7 if number < 3 else 8))
        await ledger.record(run, resource(item.page.uri), Extracted(pages=(item.page,)), [item], config="c1")
    assert await ledger.repeated_blocks(run) == {2**64 - 5}


async def test_a_resource_that_gives_no_page_says_why(ledger, begin):
    run = await begin()
    await ledger.fail(run, resource(A), Extracted(problem="killed-time", detail="over 10 s"))
    await ledger.fail(run, resource(B), Extracted(problem="empty", detail="no text"))
    counts = await ledger.counts(run)
    assert (counts.failed, counts.skipped) == ({"killed-time": 1}, {"empty": 1})
    assert [(item.uri, item.rule) for item in await ledger.failures(run)] == [(A, "killed-time")]
    assert (await ledger.explain(B))[0].detail == "no text"


async def test_a_source_has_one_worker_at_a_time(ledger_url, ledger, begin):
    run = await begin()
    async with open_ledger(ledger_url) as other:
        with pytest.raises(UsageError, match="works on the source 'docs'"):
            await begin(other)
        assert (await begin(other, source="else")).source == "else"
        await ledger.release(run)
        assert (await begin(other)).resumed


async def test_a_page_that_moved_by_a_redirect_keeps_its_history(ledger, begin):
    run = await begin()
    await record(ledger, run, A, "text")
    await ledger.finish(run, state="completed", complete=True, summary={})
    run = await begin()
    await ledger.skip(run, Skipped(uri=A, rule="redirect"))
    assert await record(ledger, run, B, "text", redirects=(A,), requested_uri=A) == ["changed"]
    assert [row.uri async for row in ledger.pages(run)] == [B]


async def test_pages_come_with_what_this_run_said_of_them(ledger, begin):
    run = await begin()
    await record(ledger, run, A, "one")
    await ledger.finish(run, state="completed", complete=True, summary={"pages": 1})
    run = await begin()
    await record(ledger, run, A, "one")
    await record(ledger, run, B, "two")
    assert [(row.uri, row.verdict) async for row in ledger.pages(run)] == [(A, "unchanged"), (B, "new")]
    assert [row.uri async for row in ledger.pages(run, only="brought")] == [B]
    assert (await ledger.runs())[1].summary == {"pages": 1}


async def test_an_even_sample_of_the_pages_begins_with_the_first(ledger, begin):
    run = await begin()
    uris = [f"https://docs.example/{number}" for number in range(450)]
    await asyncio.gather(*(record(ledger, run, uri, uri) for uri in uris))
    assert [row.uri async for row in ledger.pages(run, every=2)] == uris[::2]
    assert [row.uri async for row in ledger.pages(run, only="brought", every=100)] == uris[::100]
    assert await ledger.how_many(run) == await ledger.how_many(run, only="brought") == 450


async def test_pages_without_their_texts_are_the_same_otherwise(ledger, begin):
    run = await begin()
    await record(ledger, run, A, "one", flags=("thin",), blocks=(1, 2**64 - 1))
    (whole,) = [row async for row in ledger.pages(run)]
    (bare,) = [row async for row in ledger.pages(run, text=False)]
    assert (bare.content, tuple(bare.blocks), bare.flags) == ("", (1, 2**64 - 1), ("thin",))
    assert dataclasses.replace(bare, content=whole.content) == whole


async def test_prompts_that_are_owed_make_a_source_due_until_they_are_settled(ledger, begin):
    run = await begin()
    await ledger.owe_prompts(run, [["topic"], ["other"]], context="A site.")
    assert (await ledger.kept_prompts(run), (await ledger.counts(run)).prompts) == ([], 0)
    first, second = await ledger.owed_prompts(run)
    assert (first.topics, first.context, second.topics) == (("topic",), "A site.", ("other",))
    assert await ledger.sources_due(run.destination) == [run.source]
    await ledger.settle_prompts(run, first, ["Why?"])
    await ledger.settle_prompts(run, second, [])
    assert await ledger.owed_prompts(run) == []
    assert await ledger.sources_due(run.destination) == []
    assert await ledger.kept_prompts(run) == ["Why?"]


async def test_prompts_and_findings_are_kept(ledger, begin):
    run = await begin()
    await ledger.keep_prompts(run, ["topic"], ["Why?", "How?"])
    await ledger.keep_findings(run, [(A, "Title", "thin")])
    assert await ledger.kept_prompts(run) == ["Why?", "How?"]
    counts = await ledger.counts(run)
    assert (counts.prompts, counts.reviewed) == (2, 1)


async def test_status_shows_a_source_its_work_and_its_last_run(ledger, begin):
    run = await begin(options={"max-pages": 5})
    await record(ledger, run, A)
    (status,) = await ledger.status()
    assert (status.name, status.busy, status.pages, status.versions) == ("docs", True, 1, {"pending": 1})
    assert (status.options, status.last_run.state) == ({"max-pages": 5}, "running")
    await ledger.finish(run, state="completed", complete=True, summary={})
    assert [(row.busy, row.last_run.state) for row in await ledger.status()] == [(False, "completed")]


async def test_what_no_database_can_store_is_replaced_and_never_raises(ledger, begin):
    run = await begin()
    item = draft(A, "text")
    page = Page(uri=A, title="a\x00b\ud800", content="x", metadata={"k": "\x00\ud800"}, flags=("f: \x00",))
    item = Draft(page=page, content="Source: " + A + "\n\nx\x00\ud800", text_hash="ab" * 32, fingerprint="f")
    await ledger.record(run, resource(A), Extracted(pages=(page,)), [item], config="c1")
    await ledger.skip(run, Skipped(uri=B, rule="r", detail="nul \x00 and \ud800"))
    assert [row.title async for row in ledger.pages(run)] == ["a\ufffdb?"]


async def test_calls_in_flight_share_transactions_and_one_bad_call_fails_alone(ledger, begin):
    run = await begin()
    bad = ledger._read(lambda connection: connection.rows("SELECT broken FROM nowhere"))
    calls = [ledger.skip(run, Skipped(uri=f"{A}{n}", rule="robots")) for n in range(20)]
    results = await asyncio.gather(*calls[:10], bad, *calls[10:], return_exceptions=True)
    assert [type(item).__name__ for item in results if item is not None] == ["FatalError"]
    assert (await ledger.counts(run)).discovered == 20


async def test_retry_knows_which_sources_have_something_to_send(ledger, begin):
    run = await begin()
    await record(ledger, run, A)
    await ledger.release(run)
    there = "https://persona.example/"
    assert await ledger.sources_due(there) == ["docs"]
    assert await ledger.sources_due("https://elsewhere.example/") == []
    assert await ledger.sources_due(there, quarantined="all") == ["docs"]
    again = await ledger.begin_retry(source="docs", destination=there)
    await ledger.release(again)
    assert (await begin()).id == run.id  # the import that nobody finished goes on
    with pytest.raises(UsageError, match="Nothing was imported"):
        await ledger.begin_retry(source="other", destination=there)


async def test_a_connection_that_breaks_is_opened_again(ledger_url, begin):
    async with open_ledger(ledger_url) as opened:
        run = await begin(opened)
        opened._writer._connection.close()
        await opened.skip(run, Skipped(uri=A, rule="robots"))
        assert await opened.visited(run, A) == "skipped"


async def test_a_delivered_page_that_is_dropped_was_not_seen(ledger, begin):
    run = await begin()
    await record(ledger, run, A)
    await ledger.finish(run, state="completed", complete=True, summary={})
    for night in (1, 2):
        run = await begin()
        item = draft(A, "words")
        await ledger.record(run, resource(A), Extracted(pages=(item.page,)), [item], config="c1", hold=True)
        await ledger.drop(run, A, "canonical", "B speaks for it")
        await ledger.sending.count_evidence(run, complete=True)
        assert len(await ledger.sending.candidates(run)) == night - 1
        await ledger.finish(run, state="completed", complete=True, summary={})
