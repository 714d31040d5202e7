"""The form on which a person approves or rejects what a guarded sync would remove or change."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from prefect.artifacts import acreate_markdown_artifact
from prefect.flow_runs import asuspend_flow_run
from prefect.input import RunInput
from prefect.input.actions import acreate_flow_run_input, aread_flow_run_input
from prefect.logging import get_run_logger
from pydantic import Field

from connectors.settings import StateSettings
from flows import notices
from flows.reports import approval_request, decision_report, key_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.settings import PersonaSettings

WAITS_AT_MOST_S = 7 * 24 * 3600
_BEFORE = "persona-ingest-sources"


class Decision(StrEnum):
    """What a person may say."""

    APPROVE = "approve all"
    SOME = "approve some"
    REJECT = "reject"


class Approval(RunInput):
    """What the form asks."""

    decision: Decision = Field(
        title="Decision",
        description="approve all: the whole list. approve some: only the addresses below. reject: change nothing.",
    )
    addresses: list[str] = Field(
        default_factory=list, title="Only these addresses", description="For 'approve some': as they stand in the list."
    )


async def waiting(summaries: Sequence[Mapping[str, Any]], *, state: StateSettings) -> list[dict[str, Any]]:
    """Return which of these runs of sources wait for a person, still: number, source, kind, and what they ask."""
    from connectors.pipeline import parts

    mine = {str(one.get("run")) for one in summaries if one["state"] == "awaiting-approval"}
    if not mine:
        return []
    async with parts.open_ledger(state) as ledger:
        found = await ledger.waiting()
    return [
        {
            "run": one.run,
            "source": one.source,
            "kind": one.summary.get("kind", ""),
            "approval": one.summary.get("approval", {}),
        }
        for one in found
        if str(one.run) in mine
    ]


async def keep(summaries: Sequence[Mapping[str, Any]]) -> None:
    """Let the server remember how each source ended: a flow that is resumed starts again, maybe on another machine."""
    kept = [{key: one.get(key) for key in ("name", "state", "run", "problems")} for one in summaries]
    await acreate_flow_run_input(_BEFORE, kept)


async def kept() -> list[dict[str, Any]]:
    """Return how each source ended before this flow run was suspended; empty unless it was resumed."""
    return await aread_flow_run_input(_BEFORE) or []


async def ask_and_carry_out(asked: dict[str, Any], *, persona: PersonaSettings) -> tuple[str, bool]:
    """Suspend the flow run until a person has decided, then do exactly that; returns what was done, and whether all.

    The worker's slot is free meanwhile. The flow starts again from its top when it is resumed.
    """
    form = Approval.with_initial_data(description=approval_request(asked))
    key = f"approval-of-run-{asked['run']}"
    said: Any = await asuspend_flow_run(wait_for_input=form, timeout=WAITS_AT_MOST_S, key=key)
    done = await _carry_out(asked, Decision(said.decision), list(said.addresses), persona=persona)
    words = f"{asked['source']}: {in_words(done)}"
    get_run_logger().info("%s", words)
    await acreate_markdown_artifact(
        markdown=decision_report(asked, words), key=key_of("report", asked["source"]), description=words[:200]
    )
    notices.emit(
        {
            "name": asked["source"],
            "kind": asked["kind"],
            "run": asked["run"],
            "state": "approved",
            "delivered": {"deleted": done.get("deleted", 0)},
        }
    )
    return words, not done.get("failed")


async def _carry_out(
    asked: dict[str, Any], decision: Decision, only: list[str], *, persona: PersonaSettings
) -> dict[str, Any]:
    from connectors.pipeline import operate

    state = StateSettings()
    if decision is Decision.REJECT:
        return {"decision": decision, **await operate.reject(asked["run"], persona=persona, state=state)}
    some = {address.strip() for address in only} if decision is Decision.SOME else None
    done = await operate.approve(asked["run"], persona=persona, state=state, only=some)
    listed = {page["uri"] for page in asked["approval"].get("pages", ())}
    return {"decision": decision, **done, "unlisted": len((some or set()) - listed)}


def in_words(done: Mapping[str, Any]) -> str:
    """Return what a decision brought, in a sentence."""
    if done["decision"] is Decision.REJECT:
        return f"rejected, {done['kept']} pages stay as they are."
    words = f"{done['decision'].value}: {done['deleted']} removed, {done['updated']} updated"
    if done.get("unlisted"):
        words += f"; {done['unlisted']} of the addresses are not on the list"
    if done.get("failed"):
        words += f"; {done['failed']} failed, the next sync asks again"
    return f"{words}."
