"""Pages that leave by what the ledger counted, on both databases."""

from __future__ import annotations

import hashlib

import pytest

from connectors.models import Draft, Extracted, Page, Resource

URI = "https://docs.example/a"


def resource():
    return Resource(uri=URI, requested_uri=URI, media_type="text/html", body=b"<p>words</p>", status=200)


async def deliver(ledger, run):
    """Record the page and deliver it."""
    page = Page(uri=URI, title="A", content="words")
    digest = hashlib.sha256(b"words").hexdigest()
    draft = Draft(page=page, content=f"Source: {URI}\n\nwords\n", text_hash=digest, fingerprint=digest)
    await ledger.record(run, resource(), Extracted(pages=(page,)), [draft], config="c")
    (head,) = await ledger.sending.cut(run, most=10, max_bytes=10_000, method="store", final=True)
    work = await ledger.sending.load(head.id)
    await ledger.sending.mark_sent(run, head.id, {version.version_id: b"hash" for version in work.pending})
    await ledger.sending.mark_delivered(run, head.id)
    await ledger.sending.confirm(run, {version.version_id: ("item1",) for version in work.pending})


async def night(ledger, begin, problem):
    """Read the page again and get no page of it; return what would leave, and what leaves."""
    run = await begin(purpose="sync")
    await ledger.fail(run, resource(), Extracted(problem=problem))
    await ledger.sending.count_evidence(run, complete=True)
    chosen = await ledger.sending.candidates(run)
    await ledger.sending.bury(run, [page for page, _, _ in chosen])
    removals = await ledger.sending.removals(run)
    await ledger.finish(run, state="completed", complete=True, summary={})
    return [(uri, why) for _, uri, why in chosen], [removal.items for removal in removals]


async def test_a_delivered_page_that_turns_noindex_leaves_after_two_runs(ledger, begin):
    run = await begin()
    await deliver(ledger, run)
    await ledger.finish(run, state="completed", complete=True, summary={})
    assert await night(ledger, begin, "noindex") == ([], [])
    assert await night(ledger, begin, "noindex") == ([(URI, "gone")], [("item1",)])


@pytest.mark.parametrize("problem", ["empty", "needs-javascript", "broken"])
async def test_a_delivered_page_that_gives_no_text_any_more_stays(ledger, begin, problem):
    run = await begin()
    await deliver(ledger, run)
    await ledger.finish(run, state="completed", complete=True, summary={})
    for _ in range(3):
        assert await night(ledger, begin, problem) == ([], [])
