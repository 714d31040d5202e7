"""Chats joined with the ledger: each gap with its page, submitted once."""

import json

import pytest

from connectors.ledger import open_ledger
from connectors.models import Draft, Extracted, Found, Page, Resource, Skipped
from connectors.persona.server import embedded
from connectors.pipeline.gaps import find_content_gaps
from connectors.settings import PersonaSettings, StateSettings

SITE = "https://docs.example.com"


@pytest.fixture
def state(tmp_path):
    return StateSettings(state=tmp_path)


@pytest.fixture
def persona(monkeypatch):
    for name in ("PERSONA_CLIENT_SECRET", "PERSONA_BASE_URL", "PERSONA_INGEST_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    return PersonaSettings()


async def ask(state, *questions):
    async with embedded(state.folder()) as kb:
        for question in questions:
            await kb.chat("ada", question)


async def crawl(state):
    ledger = open_ledger(state.ledger_url())
    run = await ledger.begin(
        source="docs", kind="website", origin=SITE, destination="embedded", options={}, purpose="import"
    )
    frontier = ledger.frontier(run)
    uris = [f"{SITE}/refunds.html", f"{SITE}/internal/rotate-api-key"]
    await frontier.add([Found(uri=uri, by="start") for uri in uris])
    await frontier.take(10)
    page = Page(uri=uris[0], title="Refunds", content="Money back.")
    await ledger.record(
        run,
        Resource(uri=uris[0], requested_uri=uris[0], media_type="text/html", body=b"x", status=200),
        Extracted(pages=(page,)),
        [Draft(page=page, content=f"Source: {uris[0]}\n\n# Refunds\n", text_hash="a" * 64, fingerprint="b" * 64)],
        config="c",
    )
    await ledger.skip(run, Skipped(uri=uris[1], rule="robots"))
    await ledger.finish(run, state="completed", complete=True, summary={})
    await ledger.close()


async def test_each_gap_says_where_its_page_is(state, persona):
    await crawl(state)
    await ask(state, "How do I rotate an API key?", "How do refunds work?", "Who repairs zeppelins?")
    report = await find_content_gaps(persona=persona, state=state)
    assert (report.chats, report.questions, report.reviewed) == (3, 3, 3)
    assert [(gap.topic, gap.standing, gap.rule) for gap in sorted(report.gaps, key=lambda gap: gap.topic)] == [
        ("refunds", "exists", ""),
        ("repairs zeppelins", "not-written", ""),
        ("rotate API key", "skipped", "robots"),
    ]


async def test_a_gap_tells_its_story_in_one_sentence(state, persona):
    await ask(state, "Who repairs zeppelins?", "Who repairs zeppelins?")
    (gap,) = (await find_content_gaps(persona=persona, state=state, submit=False)).gaps
    assert gap.note() == (
        "Asked 2 times by one person, without an answer: no page of any source seems to be about it."
        " For example: Who repairs zeppelins?"
    )


async def test_a_gap_is_submitted_for_review_once(state, persona):
    await ask(state, "Who repairs zeppelins?")
    first = await find_content_gaps(persona=persona, state=state)
    await ask(state, "Who repairs zeppelins?")
    second = await find_content_gaps(persona=persona, state=state)
    assert (first.reviewed, second.reviewed) == (1, 0)
    assert second.gaps[0].asked == 2
    record = json.loads((state.folder() / "content-gaps.json").read_text())
    assert list(record) == ["embedded"]


async def test_looking_alone_submits_nothing(state, persona):
    await ask(state, "Who repairs zeppelins?")
    report = await find_content_gaps(persona=persona, state=state, submit=False)
    assert (len(report.gaps), report.reviewed) == (1, 0)
    assert not (state.folder() / "content-gaps.json").exists()


async def test_without_chats_and_ledger_there_is_nothing_to_tell(state, persona):
    report = await find_content_gaps(persona=persona, state=state)
    assert (report.chats, report.gaps, report.prompts) == (0, (), ())
