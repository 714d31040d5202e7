"""What waits in the outbox, on both databases."""

from __future__ import annotations

import hashlib

from connectors.models import Draft, Extracted, Page, Resource


async def record(ledger, run, name, text):
    uri = f"https://docs.example/{name}"
    page = Page(uri=uri, title=name, content=text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    draft = Draft(page=page, content=text, text_hash=digest, fingerprint=digest)
    resource = Resource(uri=uri, requested_uri=uri, media_type="text/html", body=text.encode(), status=200)
    await ledger.record(run, resource, Extracted(pages=(page,)), [draft], config="c")


async def test_the_outbox_counts_what_waits_for_a_batch_and_no_update_in_place(ledger, begin):
    run = await begin()
    assert await ledger.sending.waiting_bytes(run) == 0
    await record(ledger, run, "a", "ä" * 50)
    await record(ledger, run, "b", "b" * 10)
    assert await ledger.sending.waiting_bytes(run) == 110
    (head,) = await ledger.sending.cut(run, most=10, max_bytes=10_000, method="store", final=True)
    work = await ledger.sending.load(head.id)
    await ledger.sending.mark_sent(run, head.id, {version.version_id: b"hash" for version in work.pending})
    await ledger.sending.fail(run, head.id, detail="gave up")
    assert await ledger.sending.waiting_bytes(run) == 110
    await ledger.sending.mark_delivered(run, head.id)
    assert await ledger.sending.waiting_bytes(run) == 0
    await record(ledger, run, "a", "another text")
    assert await ledger.sending.waiting_bytes(run) == 0
    await record(ledger, run, "c", "c" * 7)
    assert await ledger.sending.waiting_bytes(run) == 7
