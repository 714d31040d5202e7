"""The commands that speak with and about the persona: `ask`, `chats`, `persona create`, `persona delete`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from flows.commands.frame import Frame, common, persona_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connectors.persona.client import PersonaClient
    from connectors.settings import StateSettings


async def _with_client(state: StateSettings, persona_url: str, work: Callable[[PersonaClient], Awaitable[Any]]) -> Any:
    from connectors.pipeline import parts

    destination = await parts.open_destination(None, persona=persona_settings(persona_url), state=state)
    try:
        return await work(destination.client)
    finally:
        await destination.client.close()


@click.command()
@click.argument("question")
@click.option("--user", default="persona-ingest", show_default=True, help="The user id that the chat belongs to.")
@click.option("--context", default="", help="What the persona should know beside the question.")
@click.option("--persona-url", metavar="URL", default="", help="Another Persona API than PERSONA_BASE_URL.")
@common
def ask(frame: Frame, question: str, *, state: StateSettings, user: str, context: str, persona_url: str) -> int:
    """Ask the persona a question.

    \b
    Example:
      persona-ingest ask "How do I rotate an API key?"
    """
    from flows.console import safe

    answer = asyncio.run(
        _with_client(state, persona_url, lambda client: client.chat(user_id=user, message=question, context=context))
    )
    frame.say({"chat_id": answer.chat_id, "response": answer.response})
    if not frame.as_json:
        click.echo("\n".join(safe(row, longest=10_000) for row in answer.response.splitlines()))
    return 0
