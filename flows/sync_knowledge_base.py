"""Flow: the nightly sync of the sources in the sources file: adds, updates, removes."""

import os
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled, Completed, Failed

from connectors.errors import IngestError
from connectors.settings import AnySource, StateSettings
from flows import approvals, reports, stages
from flows.catalogue import chosen
from flows.opening import opened, persona_of


def _run_name() -> str:
    names = flow_run.get_parameters().get("names") or []
    return f"nightly sync: {', '.join(names[:5])}" if names else "nightly sync: all sources"


@flow(name="sync-source", flow_run_name="sync {name}", description="One source of the nightly sync.")
async def sync_source(name: str, kind: str, address: str) -> State[Any]:  # noqa: ARG001 - shown in the UI
    """Bring one source up to date.

    Args:
        name: The source's name in the sources file.
        kind: What it is: website, documents, feed, sitemap or git.
        address: Where it is.
    """
    conductor = stages.adopted()
    assert conductor is not None, "it is started by sync-knowledge-base"
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
) -> State[Any]:
    """Sync the sources of a sources file.

    Args:
        names: Which sources. Empty: all of them.
        config: The sources file. Empty: PERSONA_INGEST_CONFIG of the worker, else sources.yaml in its folder.
        dry_run: Say what would change; write and send nothing.
        credentials: Name of a block of type Persona credentials. Empty: the client secret of the worker's environment;
            without one the embedded knowledge base takes the pages.
    """
    sources = chosen(
        Path(config or os.environ.get("PERSONA_INGEST_CONFIG") or "sources.yaml"), names or [], dry_run=dry_run
    )
    get_run_logger().info("%s sources: %s", len(sources), ", ".join(source.name for source in sources))
    names = [source.name for source in sources]
    # A run that was suspended for an approval starts again here when somebody has decided: it must not crawl again.
    before = approvals.asked_before()
    asked = [one for one in await approvals.waiting(names, state=StateSettings()) if one["run"] in before]
    summaries: list[dict[str, Any]] = []
    if not before:
        summaries = await _all(sources, credentials)
        text = reports.overview(summaries)
        await acreate_markdown_artifact(markdown=text, key="nightly-sync", description="All sources")
        asked = await approvals.waiting(
            [s["name"] for s in summaries if s["state"] == "awaiting-approval"], state=StateSettings()
        )
    done = await _approvals(asked, credentials)
    return _verdict(summaries, done)


async def _all(sources: list[AnySource], credentials: str) -> list[dict[str, Any]]:
    summaries: list[dict[str, Any]] = []
    for source in sources:
        summaries.append(await _one(source, credentials))
        if summaries[-1]["state"] == "stopped":
            break
    return summaries


async def _approvals(asked: list[dict[str, Any]], credentials: str) -> list[str]:
    """Ask a person about each run that waits; without a deployment there is no form, and the command line decides."""
    if asked and not deployment.get_id():
        get_run_logger().warning("Waiting for `persona-ingest sync --approve %s` or --reject", asked[0]["run"])
        return []
    if not asked:
        return []
    persona = await persona_of(credentials)
    return [await approvals.ask_and_carry_out(one, persona=persona) for one in asked]


async def _one(source: AnySource, credentials: str) -> dict[str, Any]:
    """Sync one source as a run of its own; one that cannot be opened does not keep the others from it."""
    from connectors.pipeline.run import origin_of

    kind, address = origin_of(source)
    try:
        conductor = await opened(source, credentials=credentials, purpose="sync")
    except IngestError as error:
        get_run_logger().error("%s: %s", source.name, error)
        return {"name": source.name, "kind": kind, "state": "failed", "problems": [str(error)]}
    with stages.adopting(conductor, listening=False):
        ended = await sync_source(name=source.name, kind=kind, address=shown(address), return_state=True)
    return conductor.summary or {"name": source.name, "kind": kind, **without_summary(ended)}


def without_summary(ended: State[Any]) -> dict[str, Any]:
    """Return what is said of a run that ended before it could sum itself up: an error is none of a person's stops."""
    if ended.is_failed():
        return {"state": "failed", "problems": [ended.message or "the run failed; its log tells why"]}
    return {"state": "stopped", "problems": []}


def shown(address: str) -> str:
    """Return an address without a password."""
    from connectors.web.urls import redact

    return redact(address) if "://" in address else address


def _verdict(summaries: list[dict[str, Any]], done: list[str]) -> State[Any]:
    wrong = [summary["name"] for summary in summaries if summary["state"] not in {"completed", "awaiting-approval"}]
    if any(summary["state"] == "stopped" and not summary.get("problems") for summary in summaries):
        return Cancelled(message="Stopped at a safe point; the next sync goes on from here.")
    if wrong:
        return Failed(message=f"Not complete: {', '.join(wrong)}. The reports tell why.")
    return Completed(message=" ".join(done) or f"{len(summaries)} sources are up to date.")
