"""The commands that speak with and about the persona: `ask`, `chats`, `persona create`, `persona delete`."""

from __future__ import annotations

import asyncio
from pathlib import Path
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


@click.command()
@click.option("--gaps", is_flag=True, help="Only the questions that the knowledge base could not answer.")
@click.option("--submit", is_flag=True, help="With --gaps: offer them to prompts and review, each once.")
@click.option("--persona-url", metavar="URL", default="", help="Another Persona API than PERSONA_BASE_URL.")
@common
def chats(frame: Frame, *, state: StateSettings, gaps: bool, submit: bool, persona_url: str) -> int:
    """Show the chat history; with --gaps what people asked in vain, and where the sources stand on it.

    \b
    Examples:
      persona-ingest chats
      persona-ingest chats --gaps --json
    """
    if gaps:
        return _gaps(frame, state, persona_url, submit=submit)
    from flows.console import safe

    found = asyncio.run(_with_client(state, persona_url, lambda client: client.chats()))
    answer = [{"chat_id": chat.chat_id, "user_id": chat.user_id, "messages": list(chat.messages)} for chat in found]
    frame.say({"chats": answer})
    if not frame.as_json:
        for chat in found:
            click.echo(f"\n{safe(chat.chat_id)} · {safe(chat.user_id)}")
            for place, message in enumerate(chat.messages):
                click.echo(f"  {'persona' if place % 2 else 'user   '}  {safe(message, longest=500)}")
        if not found:
            click.echo('No chats yet: persona-ingest ask "…" begins one.')
    return 0


def _gaps(frame: Frame, state: StateSettings, persona_url: str, *, submit: bool) -> int:
    from dataclasses import asdict

    from connectors.pipeline import gaps
    from flows.console import safe

    found = asyncio.run(gaps.find_content_gaps(persona=persona_settings(persona_url), state=state, submit=submit))
    frame.say(asdict(found))
    if not frame.as_json:
        click.echo(f"{len(found.gaps)} gaps in {found.questions} questions of {found.chats} chats.")
        for gap in found.gaps:
            click.echo(f"  {safe(gap.topic)}: {safe(gap.note(), longest=400)}")
    return 0


@click.group()
def persona() -> None:
    """Create or delete a persona.

    \b
    Examples:
      persona-ingest persona create ./anna
      persona-ingest persona delete 6f1c…
    """


@persona.command("create")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--persona-url", metavar="URL", default="", help="Another Persona API than PERSONA_BASE_URL.")
@common
def create(frame: Frame, file: Path, *, state: StateSettings, persona_url: str) -> int:
    """Create a persona from a folder or file: voice, instance, videos. Run again it repeats nothing.

    \b
    Example:
      persona-ingest persona create ./anna        (the folder holds persona.yaml, a recording, videos)
    """
    from dataclasses import asdict

    from connectors.pipeline import personas
    from flows.console import line, safe

    work = personas.create_persona(file, persona=persona_settings(persona_url), state=state, progress=line)
    made = asyncio.run(work)
    frame.say(asdict(made))
    if not frame.as_json:
        click.echo(f"Persona {safe(made.instance_id)}: {len(made.steps)} steps done, {len(made.kept)} kept.")
        for step in made.doubtful:
            click.echo(f"Look at the account: {safe(step)} was asked for before without an answer; it may exist twice.")
    return 0


@persona.command("delete")
@click.argument("instance_id")
@click.option("--persona-url", metavar="URL", default="", help="Another Persona API than PERSONA_BASE_URL.")
@common
def delete(frame: Frame, instance_id: str, *, state: StateSettings, persona_url: str) -> int:
    """Delete a persona's instance.

    \b
    Example:
      persona-ingest persona delete 6f1c2a
    """
    from connectors.pipeline import personas

    asyncio.run(personas.delete_persona(instance_id, persona=persona_settings(persona_url), state=state))
    frame.say({"deleted": instance_id})
    if not frame.as_json:
        click.echo("Deleted.")
    return 0
