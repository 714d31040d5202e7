"""By hand, over all pages of a source instead of a run's news: prompts and review."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from connectors.enrich import findings, topics
from connectors.pipeline import enriching, parts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from connectors.ledger import Ledger, Run
    from connectors.models import PageFacts
    from connectors.persona.client import PersonaClient
    from connectors.settings import PersonaSettings, StateSettings


async def ask_for_prompts(source: str, *, persona: PersonaSettings, state: StateSettings) -> list[str]:
    """Ask auto-generate-prompts about everything a source has.

    Args:
        source: its name; empty: every source of this persona, one after the other.

    Returns:
        Different prompts in the order they came.

    Raises:
        UsageError: nothing is known of the source, or a run works on it.
    """
    prompts: dict[str, None] = {}
    async for name, ledger, client, run in _sources(source, persona, state):
        pages = [enriching.facts(row) async for row in ledger.pages(run)]
        if not pages:
            continue
        told = _context(name, pages)
        for call in topics.calls(topics.topics(pages)):
            answer = await client.auto_generate_prompts(call, told)
            await ledger.keep_prompts(run, call, answer)
            prompts.update(dict.fromkeys(answer))
    return list(prompts)


def _context(name: str, pages: list[PageFacts]) -> str:
    first = min(pages, key=lambda page: (len(page.uri), page.uri))
    return topics.context(
        site=first.site_name or name, description=first.description, pages=len(pages), language=first.language
    )


async def submit_findings(source: str, *, persona: PersonaSettings, state: StateSettings) -> list[tuple[str, str]]:
    """Submit what a person should look at among all pages of a source.

    Args:
        source: its name; empty: every source of this persona, one after the other.

    Returns:
        Article and note of each finding that was submitted.

    Raises:
        UsageError: nothing is known of the source, or a run works on it.
    """
    told: list[tuple[str, str]] = []
    async for _, ledger, client, run in _sources(source, persona, state):
        found = findings.findings([enriching.facts(row) async for row in ledger.pages(run)])
        for start in range(0, len(found), enriching.FINDINGS_A_CALL):
            part = found[start : start + enriching.FINDINGS_A_CALL]
            await client.review_data([item.article for item in part], [item.note for item in part])
            told += [(item.article, item.note) for item in part]
    return told


async def _sources(
    source: str, persona: PersonaSettings, state: StateSettings
) -> AsyncIterator[tuple[str, Ledger, PersonaClient, Run]]:
    async with contextlib.AsyncExitStack() as stack:
        ledger = await parts.open_ledger(state)
        stack.push_async_callback(ledger.close)
        destination = await parts.open_destination(None, persona=persona, state=state)
        stack.push_async_callback(destination.client.close)
        for name in [source] if source else await ledger.source_names(destination.key):
            run = await ledger.begin_retry(source=name, destination=destination.key)
            try:
                yield name, ledger, destination.client, run
            finally:
                await ledger.release(run)
