"""By hand, over all pages of a source instead of a run's news: prompts and review."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.pipeline import enriching, operate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from connectors.ledger import Ledger, Run
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
    async for ledger, client, run in _sources(source, persona, state):
        prompts.update(dict.fromkeys(await enriching.ask_for_prompts(enriching.Subject(ledger, run), client)))
    return list(prompts)


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
    async for ledger, client, run in _sources(source, persona, state):
        found = await enriching.submit_findings(enriching.Subject(ledger, run), client)
        told += [(item.article, item.note) for item in found]
    return told


async def _sources(
    source: str, persona: PersonaSettings, state: StateSettings
) -> AsyncIterator[tuple[Ledger, PersonaClient, Run]]:
    async with operate.opened(persona, state) as (ledger, destination):
        for name in [source] if source else await ledger.source_names(destination.key):
            async with operate.taken(ledger, name, destination) as run:
                yield ledger, destination.client, run
