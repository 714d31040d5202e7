"""The command `sync`."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.frame import Frame, common, persona_settings
from flows.commands.imports import EXIT_CODES, cleaned_by, joined
from flows.options import cleaners_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.settings import AnySource, PersonaSettings, StateSettings


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--config", type=click.Path(path_type=Path), help="The sources file. Default: sources.yaml here.")
@click.option("--check", "only_check", is_flag=True, help="Only read the sources file and say what is wrong with it.")
@click.option("--dry-run", is_flag=True, help="Say what would change; write and send nothing.")
@click.option("--approve", metavar="RUN", help="Carry out what a guarded sync waits for.")
@click.option("--only", multiple=True, metavar="URL", help="With --approve: only these of its list. Repeatable.")
@click.option("--reject", metavar="RUN", help="Leave what a guarded sync waits for as it is.")
@cleaners_option
@common
def sync(
    frame: Frame,
    names: tuple[str, ...],
    *,
    state: StateSettings,
    config: Path | None,
    only_check: bool,
    dry_run: bool,
    approve: str | None,
    only: tuple[str, ...],
    reject: str | None,
    cleaners: str | None,
) -> int:
    """Bring the knowledge base up to date with the sources of sources.yaml: add, update, remove.

    \b
    Examples:
      persona-ingest sync
      persona-ingest sync handbook website --dry-run
      persona-ingest sync --check --config /etc/persona/sources.yaml
      persona-ingest sync --approve 12

    A sync that would remove or halve too much at once changes nothing, prints the list and exits with 4.
    """
    import asyncio

    from connectors.errors import UsageError

    if approve and reject:
        raise UsageError("Give --approve or --reject, not both.")
    if approve or reject:
        return _decide(frame, approve or reject or "", state=state, yes=bool(approve), only=only)
    file = config or Path(os.environ.get("PERSONA_INGEST_CONFIG") or "sources.yaml")
    sources = _chosen(file, names, dry_run=dry_run, checked=only_check)
    if only_check:
        _check_words(sources)
        frame.say(
            {"sources": [source.model_dump(mode="json", by_alias=True, exclude_defaults=True) for source in sources]}
        )
        if not frame.as_json:
            click.echo(f"{file} is right: {len(sources)} sources: {', '.join(source.name for source in sources)}")
        return 0
    result = asyncio.run(_sync_all(frame, sources, persona=persona_settings(), state=cleaned_by(state, cleaners)))
    frame.say(result)
    return EXIT_CODES[result["state"]]


def _chosen(config: Path, names: Sequence[str], *, dry_run: bool, checked: bool) -> list[AnySource]:
    from flows.catalogue import chosen

    return chosen(config, names, dry_run=dry_run, with_places=checked)


def _check_words(sources: Sequence[AnySource]) -> None:
    """Refuse globs and selectors that can never match, all sources' at once."""
    from connectors.errors import UsageError
    from flows.options import check

    wrong = []
    for source in sources:
        try:
            check(source)
        except UsageError as error:
            wrong.append(f"{source.name}: {error}")
    if wrong:
        raise UsageError("\n".join(wrong))


async def _sync_all(
    frame: Frame, sources: Sequence[AnySource], *, persona: PersonaSettings, state: StateSettings
) -> dict[str, Any]:
    from connectors.errors import FatalError, in_words
    from flows.commands.imports import run_one
    from flows.session import Prefect

    prefect = Prefect(state.folder().absolute(), debug=frame.debug)
    summaries: list[dict[str, Any]] = []
    try:
        await prefect.begin()
        for source in sources:
            try:
                summary = await run_one(frame, source, prefect, persona=persona, state=state, purpose="sync")
            except FatalError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever keeps one source from its run, the others have theirs
                why = in_words(error)
                if frame.debug:
                    traceback.print_exception(error)
                click.echo(f"persona-ingest: {source.name}: {why}", err=True)
                summary = {"name": source.name, "state": "failed", "problems": [why]}
            summaries.append(summary)
            if summary["state"] == "stopped":
                break
    finally:
        await prefect.end()
    return joined(frame, summaries)


def _decide(frame: Frame, run: str, *, state: StateSettings, yes: bool, only: tuple[str, ...]) -> int:
    import asyncio

    from connectors.errors import UsageError
    from connectors.pipeline import operate

    if not run.isdigit():
        raise UsageError(f"{run!r} is no number of a run; the sync that waits prints it.")
    persona = persona_settings()
    if yes:
        work = operate.approve(int(run), persona=persona, state=state, only=only or None)
    else:
        work = operate.reject(int(run), persona=persona, state=state)
    result = asyncio.run(work)
    frame.say(result)
    if not frame.as_json:
        done = f"{result['deleted']} removed, {result['updated']} updated" if yes else f"{result['kept']} pages stay"
        click.echo(f"Run {run} of {result['source']} is {'approved' if yes else 'rejected'}: {done}.")
    return 1 if result.get("failed") else 0
