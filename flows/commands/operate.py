"""The commands that settle what a run left open: `retry` and `verify`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from flows.commands.frame import Frame, common, persona_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.pipeline.operate import Settled
    from connectors.pipeline.probe import Probed
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
@click.option(
    "--quarantined", metavar="URL|NAME|all", default="", help="Send these quarantined pages (of a source) again too."
)
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
@click.option("--probe", is_flag=True, help="Only learn how the API stores: one marked page is stored and deleted.")
@click.option("--timeout", type=float, metavar="SECONDS", help="For one API call. Default 60.")
@click.option("--persona-url", metavar="URL", help="Another Persona API than PERSONA_BASE_URL.")
@common
def verify(
    frame: Frame, *, state: StateSettings, repair: bool, probe: bool, persona_url: str | None, timeout: float | None
) -> int:
    """Read the training data back, compare it with the ledger, and print the difference.

    \b
    Examples:
      persona-ingest verify
      persona-ingest verify --repair --json
      persona-ingest verify --probe
    """
    from connectors.errors import UsageError
    from connectors.pipeline import operate

    if probe and repair:
        raise UsageError("--probe only learns how the API stores pages, --repair changes them: give one of the two.")
    persona, options = persona_settings(persona_url or ""), _delivery(timeout=timeout)
    if probe:
        return _probed(frame, asyncio.run(operate.probe(persona=persona, state=state, options=options)))
    work = operate.verify(persona=persona, state=state, repair=repair, options=options)
    return _settled(frame, asyncio.run(work), nothing="Nothing was imported yet.")


_RETURNED = {
    "equal": "came back as it was sent",
    "pieces": "came back cut into pieces that hold all of it",
    "changed": "came back changed: pages cannot be recognised by their content, so `verify` will miss them",
    "never": "did not appear in time: pages that were taken may show up much later, or never",
}


def _probed(frame: Frame, learned: Probed) -> int:
    """Tell what a probe learned; 1 when pages cannot be verified there, or something of the probe stayed behind."""
    from flows.console import safe

    ok = learned.returned in {"equal", "pieces"} and not learned.left_behind
    frame.say({"ok": ok, **asdict(learned)})
    if not frame.as_json:
        click.echo(f"The probe's page {_RETURNED[learned.returned]}.")
        if learned.returned != "never":
            items = "1 item" if learned.items == 1 else f"{learned.items} items"
            click.echo(f"It was there after {learned.visible_s:.1f} s, as {items}.")
        for item in learned.left_behind:
            click.echo(f"It could not be deleted, delete it by hand: training item {safe(item)}")
        if not learned.left_behind:
            click.echo("Nothing of it is left.")
    return 0 if ok else 1


def _settled(frame: Frame, settled: Settled, *, nothing: str) -> int:
    answer = settled.summary()
    frame.say(answer)
    if not frame.as_json:
        click.echo(_text(answer) if answer["sources"] or answer["quarantined"] else nothing)
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
    if answer["prompts"]:
        out.append(f"{answer['prompts']} prompts were made that were owed.")
    out += [f"Problem: {safe(problem, longest=400)}" for problem in answer["problems"]]
    out += [f"Quarantined: {safe(uri)}" for uri in answer["quarantined"]]
    out.append(
        "Everything due is in the knowledge base exactly once." if answer["ok"] else "Not everything is there yet."
    )
    if not answer["ok"]:
        again = "persona-ingest retry --quarantined URL|all" if answer["quarantined"] else "persona-ingest retry"
        out.append(f"Next: {again}, or persona-ingest explain URL for one page.")
    return "\n".join(out)
