"""Prompts and review by hand, over what a run brought into the embedded knowledge base."""

import pytest

from connectors.errors import UsageError
from connectors.pipeline import again, parts
from connectors.pipeline.run import open_run
from connectors.settings import WebsiteSource

BODY = "This page tells visitors, in enough words to be a page of its own, what they came here to learn about "


@pytest.fixture
async def imported(site, persona, state):
    """A source called s, whose run asked for no prompts and submitted nothing."""
    site.article("/", "Home", BODY + "everything.", {"/short": "short", "/long": "long"})
    site.article("/short", "Contact", "Call us.")
    site.article("/long", "About us", BODY + "us.")
    run = await open_run(WebsiteSource(website=site.base, name="s", delay=0), persona=persona, state=state)
    async for head in run.batches():
        await run.deliver(head.id)
    await run.collect()
    await run.verify()
    return await run.finish()


async def kept(state):
    ledger = parts.open_ledger(state)
    try:
        return (await ledger.status())[0], await ledger.source_names((await ledger.status())[0].destination)
    finally:
        await ledger.close()


@pytest.mark.parametrize("source", ["s", ""])
async def test_prompts_are_asked_for_all_pages_of_a_source_or_of_every_source(imported, persona, state, source):
    assert imported["prompts"] == 0
    prompts = await again.ask_for_prompts(source, persona=persona, state=state)
    assert prompts
    assert len(prompts) == len(set(prompts))
    assert any(title in prompt for prompt in prompts for title in ("Home", "Contact", "About us"))


async def test_findings_of_pages_that_no_run_brought_just_now_are_submitted(imported, persona, state):
    told = await again.submit_findings("s", persona=persona, state=state)
    assert any(article.endswith("/short") or "Contact" in article for article, _ in told)
    assert all(note for _, note in told)


async def test_afterwards_the_source_is_free_again(imported, persona, state, site):
    await again.ask_for_prompts("s", persona=persona, state=state)
    await again.submit_findings("s", persona=persona, state=state)
    run = await open_run(WebsiteSource(website=site.base, name="s", delay=0), persona=persona, state=state)
    await run.close()


async def test_a_name_that_nobody_imported_is_refused_in_words(persona, state):
    with pytest.raises(UsageError, match="persona-ingest status"):
        await again.ask_for_prompts("nobody", persona=persona, state=state)
