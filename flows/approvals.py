"""The form on which a person approves or rejects what a guarded sync would remove or change."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from prefect.context import FlowRunContext
from prefect.flow_runs import asuspend_flow_run
from prefect.input import RunInput
from prefect.logging import get_run_logger
from pydantic import Field

from connectors.settings import StateSettings
from flows.reports import approval_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.settings import PersonaSettings

WAITS_AT_MOST_S = 7 * 24 * 3600
_KEY = "approval-of-run-"


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


async def waiting(names: Sequence[str], *, state: StateSettings) -> list[dict[str, Any]]:
    """Return the runs of these sources that wait for a person: number, source, and what they ask."""
    from connectors.pipeline import parts

    ledger = parts.open_ledger(state)
    try:
        found = await ledger.waiting()
    finally:
        await ledger.close()
    return [
        {"run": one.run, "source": one.source, "approval": one.summary.get("approval", {})}
        for one in found
        if one.source in names
    ]


def asked_before() -> set[int]:
    """Return the runs that this flow run was suspended for already; empty unless it was resumed."""
    context = FlowRunContext.get()
    keys = (context.flow_run.empirical_policy.pause_keys if context and context.flow_run else None) or set()
    return {int(key.removeprefix(_KEY)) for key in keys if key.startswith(_KEY)}


async def ask_and_carry_out(asked: dict[str, Any], *, persona: PersonaSettings) -> str:
    """Suspend the flow run until a person has decided, then do exactly that; returns what was done, in words.

    The worker's slot is free meanwhile. The flow starts again from its top when it is resumed.
    """
    form = Approval.with_initial_data(description=approval_request(asked))
    key = f"{_KEY}{asked['run']}"
    said: Any = await asuspend_flow_run(wait_for_input=form, timeout=WAITS_AT_MOST_S, key=key)
    words = await _carry_out(asked, Decision(said.decision), list(said.addresses), persona=persona)
    get_run_logger().info("%s", words)
    return words


async def _carry_out(asked: dict[str, Any], decision: Decision, only: list[str], *, persona: PersonaSettings) -> str:
    from connectors.pipeline import operate

    state = StateSettings()
    if decision is Decision.REJECT:
        done = await operate.reject(asked["run"], persona=persona, state=state)
        return f"{asked['source']}: rejected, {done['kept']} pages stay as they are."
    some = only if decision is Decision.SOME else None
    done = await operate.approve(asked["run"], persona=persona, state=state, only=some)
    return f"{asked['source']}: {decision.value}: {done['deleted']} removed, {done['updated']} updated."
