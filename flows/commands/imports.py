"""The command `import`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from flows.commands.frame import Frame, common, persona_settings
from flows.options import cleaners_option, source_of, source_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.pipeline.ingest_run import IngestRun, Purpose
    from connectors.settings import AnySource, PersonaSettings, StateSettings
    from flows.session import Prefect

SYNC_SOURCE = ("flows.sync_knowledge_base", "sync_source")
FLOWS = {
    "website": ("flows.import_website", "import_website"),
    "documents": ("flows.import_documents", "import_documents"),
}
EXIT_CODES = {"completed": 0, "failed": 1, "stopped": 3, "awaiting-approval": 4}
_WORST_LAST = ("completed", "awaiting-approval", "failed", "stopped")


@click.command("import")
@click.argument("where", metavar="URL_OR_PATH...", nargs=-1, required=True)
@source_options
@cleaners_option
@common
def import_(frame: Frame, where: tuple[str, ...], *, state: StateSettings, cleaners: str | None, **options: Any) -> int:
    """Import websites and documents once: crawl, clean, batch, deliver, verify, prompts, review.

    \b
    Examples:
      persona-ingest import https://docs.example.com/guide/
      persona-ingest import https://example.com --scope host --exclude '/blog/**' --max-pages 500
      persona-ingest import ./handbook manual.pdf
      persona-ingest import https://intranet.example --header 'Authorization: Bearer ${TOKEN}'
      PERSONA_CLIENT_SECRET=... persona-ingest import https://docs.example.com --json

    The start URL's folder is the scope: /docs/intro.html imports everything under /docs/.
    Interrupted by Ctrl-C, the same command goes on where it stopped.
    """
    import asyncio

    from connectors.errors import UsageError

    if options.get("name") and len(where) > 1:
        raise UsageError("--name names one source; give one address, or leave it out.")
    sources = [source_of(one, options) for one in where]
    persona = persona_settings(options.get("persona_url") or "")
    state = cleaned_by(state, cleaners)
    result = asyncio.run(_import_all(frame, sources, persona=persona, state=state))
    frame.say(result)
    return EXIT_CODES[result["state"]]


def cleaned_by(state: StateSettings, cleaners: str | None) -> StateSettings:
    """Return the settings with these cleaners, where some are named."""
    return state if cleaners is None else replace(state, cleaners=cleaners)


async def _import_all(
    frame: Frame, sources: Sequence[AnySource], *, persona: PersonaSettings, state: StateSettings
) -> dict[str, Any]:
    from flows.session import Prefect

    prefect = Prefect(state.folder().absolute(), debug=frame.debug)
    summaries = []
    try:
        await prefect.begin()
        for source in sources:
            summaries.append(await run_one(frame, source, prefect, persona=persona, state=state))
            if summaries[-1]["state"] == "stopped":
                break
    finally:
        await prefect.end()
    return joined(frame, summaries)


async def run_one(
    frame: Frame,
    source: AnySource,
    prefect: Prefect,
    *,
    persona: PersonaSettings,
    state: StateSettings,
    purpose: Purpose = "import",
) -> dict[str, Any]:
    """Carry out one source's run with its display, while Prefect comes up beside it; returns its summary."""
    from connectors.pipeline.run import open_run
    from flows import cleaners, console
    from flows.conductor import Conductor
    from flows.session import conduct, live_progress

    progress = live_progress()
    run = await open_run(
        source,
        persona=persona,
        state=state,
        purpose=purpose,
        progress=progress,
        cleaners=cleaners.chosen(state.cleaners, imported=prefect.importable),
    )
    async with console.shown(run.name, progress) as say:
        say(
            f"{'Syncing' if purpose == 'sync' else 'Importing'} {console.safe(run.name)} into {console.safe(run.where)}"
            + (" (resumed)" if run.resumed else "")
        )
        run.start()
        conductor = Conductor(run)
        flow, shown = flow_of(source, run, purpose)
        summary = await conduct(conductor, prefect, flow=flow, parameters=shown, say=say)
    if not frame.as_json:
        click.echo(console.summary(summary, examples=progress.examples, where=run.where, prompts=conductor.prompts))
        click.echo(console.next_steps(summary))
    await prefect.story_told(
        console.line, worth_waiting=bool(progress.read or progress.unmodified) or summary["state"] == "completed"
    )
    if prefect.problem:
        console.line(f"The run is complete without Prefect: {console.safe(prefect.problem)}")
    return summary


def flow_of(source: AnySource, run: IngestRun, purpose: Purpose) -> tuple[tuple[str, str], dict[str, Any]]:
    """Return the flow that tells of a run, and the parameters it is shown with."""
    from connectors.pipeline.naming import public_options

    shown = public_options(source)
    if purpose == "import" and run.kind in FLOWS:
        return FLOWS[run.kind], {"source": shown}
    return SYNC_SOURCE, {"name": run.name, "kind": run.kind, "address": str(shown[run.kind])}


def joined(frame: Frame, summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what `--json` prints: the worst state of all sources, and each one's summary; several get a last line."""
    if len(summaries) > 1 and not frame.as_json:
        from flows import console

        click.echo(console.overall(summaries))
    state = max((summary["state"] for summary in summaries), key=_WORST_LAST.index)
    return {"run": summaries[0].get("run", ""), "state": state, "sources": list(summaries)}
