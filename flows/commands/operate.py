"""The commands that settle what a run left open: `retry` and `verify`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from flows.commands.frame import Frame, common, persona_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.pipeline.operate import Settled
    from connectors.settings import DeliveryOptions, StateSettings


def _delivery(**options: Any) -> DeliveryOptions:
    from pydantic import ValidationError

    from connectors.errors import UsageError
    from connectors.settings import DeliveryOptions
    from flows.options import sentence

    try:
        return DeliveryOptions(**{key: value for key, value in options.items() if value is not None})
    except ValidationError as error:
        raise UsageError(sentence(error)) from None


@click.command()
@click.option("--quarantined", metavar="URL|all", default="", help="Send these quarantined pages again too.")
@click.option("--timeout", type=float, metavar="SECONDS", help="For one API call. Default 60.")
@click.option("--settle", type=float, metavar="SECONDS", help="How long an unknown outcome may still appear.")
@click.option("--attempts", type=int, metavar="N", help="How often one batch is tried. Default 5.")
@click.option("--persona-url", metavar="URL", help="Another Persona API than PERSONA_BASE_URL.")
@common
def retry(frame: Frame, *, state: StateSettings, quarantined: str, persona_url: str | None, **options: Any) -> int:
    """Send again every batch that failed or whose outcome is unknown, after finding out what arrived.

    \b
    Examples:
      persona-ingest retry
      persona-ingest retry --quarantined https://docs.example.com/huge.html
    """
    from connectors.pipeline import operate

    persona = persona_settings(persona_url or "")
    work = operate.retry(persona=persona, state=state, options=_delivery(**options), quarantined=quarantined)
    return _settled(frame, asyncio.run(work), nothing="Nothing is due: everything that was sent has arrived.")


@click.command()
@click.option("--repair", is_flag=True, help="Make the knowledge base equal to the ledger.")
@click.option("--timeout", type=float, metavar="SECONDS", help="For one API call. Default 60.")
@click.option("--persona-url", metavar="URL", help="Another Persona API than PERSONA_BASE_URL.")
@common
def verify(frame: Frame, *, state: StateSettings, repair: bool, persona_url: str | None, timeout: float | None) -> int:
    """Read the training data back, compare it with the ledger, and print the difference.

    \b
    Examples:
      persona-ingest verify
      persona-ingest verify --repair --json
    """
    from connectors.pipeline import operate

    persona = persona_settings(persona_url or "")
    work = operate.verify(persona=persona, state=state, repair=repair, options=_delivery(timeout=timeout))
    return _settled(frame, asyncio.run(work), nothing="Nothing was imported yet.")


def _settled(frame: Frame, settled: Settled, *, nothing: str) -> int:
    answer = settled.summary()
    frame.say(answer)
    if not frame.as_json:
        click.echo(_text(answer) if answer["sources"] else nothing)
    return 0 if settled.ok else 1


def _text(answer: Mapping[str, Any]) -> str:
    from flows.console import safe

    out = []
    for name, coverage in answer["sources"].items():
        counts = ", ".join(
            f"{value} {key.replace('_', ' ')}" for key, value in coverage.items() if isinstance(value, int) and value
        )
        out.append(f"{safe(name)}: {counts or 'nothing due'}")
    if answer["delivered"]:
        out.append(f"{answer['delivered']} pages were delivered.")
    out += [f"Quarantined: {safe(uri)}" for uri in answer["quarantined"]]
    out.append(
        "Everything due is in the knowledge base exactly once." if answer["ok"] else "Not everything is there yet."
    )
    if not answer["ok"]:
        out.append("Next: persona-ingest retry, or persona-ingest explain URL for one page.")
    return "\n".join(out)
