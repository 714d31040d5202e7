"""Flow: the nightly sync of the sources in the sources file: adds, updates, removes."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled, Completed, Failed

from connectors.errors import in_words
from connectors.settings import AnySource, StateSettings
from flows import approvals, reports, stages
from flows.catalogue import chosen
from flows.opening import opened, persona_of

_SKEW = timedelta(seconds=30)  # between the clocks of two machines
_RECENT = 500


def _run_name() -> str:
    names = flow_run.get_parameters().get("names") or []
    return f"nightly sync: {', '.join(names[:5])}" if names else "nightly sync: all sources"


@flow(name="sync-source", flow_run_name="sync {name}", description="One source of the nightly sync.")
async def sync_source(
    name: str,
    *,
    kind: str = "",  # noqa: ARG001 - shown in the UI
    address: str = "",  # noqa: ARG001
    config: str = "",
    dry_run: bool = False,
    credentials: str = "",
) -> State[Any]:
    """Bring one source up to date.

    Args:
        name: The source's name in the sources file.
        kind: What it is, only shown: website, documents, feed, sitemap or git.
        address: Where it is, only shown.
        config: The sources file. Empty: PERSONA_INGEST_CONFIG of the worker, else sources.yaml in its folder.
        dry_run: Say what would change; write and send nothing.
        credentials: Name of a block of type Persona credentials. Empty: the worker's environment.
    """
    conductor = stages.adopted()
    if conductor is None:
        (source,) = chosen(_file(config), [name], dry_run=dry_run)
        conductor = await opened(source, credentials=credentials, purpose="sync")
    return stages.verdict(await stages.story(conductor))


@flow(
    name="sync-knowledge-base",
    flow_run_name=_run_name,
    description="Bring the knowledge base up to date with every source of the sources file: add, update, remove.",
    persist_result=True,  # what suspending asks for; the result is a sentence
    result_serializer="json",
)
async def sync_knowledge_base(
    names: list[str] | None = None,
    config: str = "",
    dry_run: bool = False,  # noqa: FBT001, FBT002 - a field of the run form
    credentials: str = "",
    one_run_each: bool = False,  # noqa: FBT001, FBT002
) -> State[Any]:
    """Sync the sources of a sources file.

    Args:
        names: Which sources. Empty: all of them.
        config: The sources file. Empty: PERSONA_INGEST_CONFIG of the worker, else sources.yaml in its folder.
        dry_run: Say what would change; write and send nothing.
        credentials: Name of a block of type Persona credentials. Empty: the client secret of the worker's environment;
            without one the embedded knowledge base takes the pages.
        one_run_each: A run of its own for each source on the work pool, so that many workers sync many sources at
            once. They need one ledger (PostgreSQL) and one knowledge base.
    """
    sources = chosen(_file(config), names or [], dry_run=dry_run)
    get_run_logger().info("%s sources: %s", len(sources), ", ".join(source.name for source in sources))
    # A run that was suspended for an approval starts again here when somebody has decided: it must not crawl again.
    summaries = await approvals.kept()
    resumed = bool(summaries)
    if not resumed:
        each = {"config": config, "dry_run": dry_run, "credentials": credentials}
        summaries = await (_on_the_pool(sources, each) if one_run_each else _all(sources, credentials))
        text = reports.overview(summaries)
        await acreate_markdown_artifact(markdown=text, key="nightly-sync", description="All sources")
    asked = await approvals.waiting(summaries, state=StateSettings())
    if asked and not deployment.get_id():  # there is no form without a deployment: the command line decides
        get_run_logger().warning("Waiting for `persona-ingest sync --approve %s` or --reject", asked[0]["run"])
        asked = []
    if asked and not resumed:
        await approvals.keep(summaries)
    persona = await persona_of(credentials) if asked else None
    done = [await approvals.ask_and_carry_out(one, persona=persona) for one in asked if persona]
    return _verdict(summaries, done, resumed=resumed)


def _file(config: str) -> Path:
    return Path(config or os.environ.get("PERSONA_INGEST_CONFIG") or "sources.yaml")


async def _on_the_pool(sources: Sequence[AnySource], each: dict[str, Any]) -> list[dict[str, Any]]:
    """Sync every source as a deployment run of its own, all at once as far as there are workers."""
    since = datetime.now(UTC)
    states = await asyncio.gather(*(_as_deployment(source, each) for source in sources))
    kept = await _kept_summaries(since - _SKEW)
    return [summary_of(source, state, kept.get(source.name)) for source, state in zip(sources, states, strict=True)]


async def _as_deployment(source: AnySource, each: dict[str, Any]) -> State[Any]:
    from connectors.pipeline.naming import origin_of, public_address

    kind, address = origin_of(source)
    asked = {"name": source.name, "kind": kind, "address": public_address(address), **each}
    try:
        run = await arun_deployment("sync-source/sync-source", parameters=asked)
    except ObjectNotFound:
        return Failed(message="The deployment sync-source is not registered: run `prefect --no-prompt deploy --all`.")
    assert run.state is not None
    return run.state


async def _kept_summaries(since: datetime) -> dict[str, dict[str, Any]]:
    """Return what the syncs that ended since then wrote down, by source; the ledger is where all workers meet."""
    from connectors.pipeline import parts

    async with parts.open_ledger(StateSettings()) as ledger:
        rows = await ledger.runs(most=_RECENT)
    ended = [row for row in rows if row.purpose == "sync" and row.ended_at and row.ended_at >= since]
    return {row.source: dict(row.summary) for row in reversed(ended)}


def summary_of(source: AnySource, state: State[Any], kept: dict[str, Any] | None) -> dict[str, Any]:
    """Return a source's summary: what its run wrote down, unless it ended otherwise than it says there."""
    good = kept is not None and kept.get("state") in {"completed", "awaiting-approval"}
    if kept is not None and good == state.is_completed():
        return kept
    return {"name": source.name, **({"state": "completed"} if state.is_completed() else without_summary(state))}


async def _all(sources: list[AnySource], credentials: str) -> list[dict[str, Any]]:
    summaries: list[dict[str, Any]] = []
    for source in sources:
        summaries.append(await _one(source, credentials))
        if summaries[-1]["state"] == "stopped":
            break
    return summaries


async def _one(source: AnySource, credentials: str) -> dict[str, Any]:
    """Sync one source as a run of its own; one that cannot be opened does not keep the others from it."""
    from connectors.pipeline.naming import origin_of, public_address

    kind, address = origin_of(source)
    try:
        conductor = await opened(source, credentials=credentials, purpose="sync")
    except Exception as error:  # noqa: BLE001 - see above
        why = in_words(error)
        get_run_logger().error("%s: %s", source.name, why)
        return {"name": source.name, "kind": kind, "state": "failed", "problems": [why]}
    with stages.adopting(conductor, listening=False):
        ended = await sync_source(name=source.name, kind=kind, address=public_address(address), return_state=True)
    return conductor.summary or {"name": source.name, "kind": kind, **without_summary(ended)}


def without_summary(ended: State[Any]) -> dict[str, Any]:
    """Return what is said of a run that ended before it could sum itself up: an error is none of a person's stops."""
    if ended.is_failed() or ended.is_crashed():
        return {"state": "failed", "problems": [ended.message or "the run failed; its log tells why"]}
    return {"state": "stopped", "problems": []}


def _verdict(summaries: list[dict[str, Any]], done: list[tuple[str, bool]], *, resumed: bool = False) -> State[Any]:
    wrong = [summary["name"] for summary in summaries if summary["state"] not in {"completed", "awaiting-approval"}]
    words = " ".join(sentence for sentence, _ in done)
    if any(summary["state"] == "stopped" and not summary.get("problems") for summary in summaries):
        return Cancelled(message="Stopped at a safe point; the next sync goes on from here.")
    if wrong:
        return Failed(message=f"Not complete: {', '.join(wrong)}. The reports tell why. {words}".strip())
    if not all(complete for _, complete in done):
        return Failed(message=words)
    if resumed and not done:
        words = "Nothing waits any more: it was decided elsewhere, or a newer sync took its place."
    return Completed(message=words or f"{len(summaries)} sources are up to date.")
