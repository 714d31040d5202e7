"""What a run is called in Prefect's records, and how it ends there: for Prefect's engine and for `teller`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Ended = Literal["COMPLETED", "FAILED", "CANCELLED"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A flow as its runs are shown.

    Attributes:
        run_name: makes a run's name of its parameters.
        defaults: parameters that a command does not give.
    """

    name: str
    run_name: Callable[[Mapping[str, Any]], str]
    defaults: Mapping[str, Any] = field(default_factory=dict)


FLOWS = {
    ("flows.import_website", "import_website"): Flow(
        name="import-website",
        run_name=lambda given: f"import {shown_address(given.get('source'), 'website')}",
        defaults={"credentials": ""},
    ),
    ("flows.import_documents", "import_documents"): Flow(
        name="import-documents",
        run_name=lambda given: f"import {shown_address(given.get('source'), 'documents')}",
        defaults={"credentials": ""},
    ),
    ("flows.sync_knowledge_base", "sync_source"): Flow(
        name="sync-source",
        run_name=lambda given: f"sync {given['name']}",
        defaults={"kind": "", "address": "", "config": "", "dry_run": False, "credentials": ""},
    ),
}
TASKS = {"collect": "crawl"} | {kind: kind for kind in ("deliver", "change", "verify", "prompts", "review")}
"""The name of each kind of step's task, by the function in `stages` that carries it out."""


def shown_address(source: Any, named: str) -> str:
    """Return the address in a ``source`` parameter, a model or what it was made of: no scheme, no password."""
    address = source.get(named, "") if isinstance(source, dict) else getattr(source, named, "")
    return str(address).split("://")[-1].rpartition("@")[2].rstrip("/")[:120]


def version_of(module: str) -> str:
    """Return what Prefect calls the version of a flow in this module of ours: its file's hash."""
    file = Path(__file__).with_name(f"{module.rpartition('.')[2]}.py")
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def ended_steps_of(flow_runs: Iterable[str]) -> dict[str, Any]:
    """Return what to count by to learn how many task runs of these flow runs the server knows to be over."""
    over = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
    return {"task_runs": {"state": {"type": {"any_": over}}}, "flow_runs": {"id": {"any_": list(flow_runs)}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a flow run ends, with a sentence."""

    ended: Ended
    message: str


def verdict(summary: Mapping[str, Any]) -> Verdict:
    """Return a run's verdict: Failed, with a sentence, unless everything due is delivered and verified."""
    if summary["state"] == "completed":
        pages = summary["pages"]
        words = f"{pages['new']} new, {pages['changed']} changed, {pages['unchanged']} unchanged; all verified."
        return Verdict(ended="COMPLETED", message=words)
    if summary["state"] == "awaiting-approval":
        why = summary.get("approval", {}).get("why", "")
        return Verdict(ended="COMPLETED", message=f"Waits for approval: {why}")
    if summary["state"] == "stopped" and not summary.get("problems"):
        return Verdict(
            ended="CANCELLED", message="Stopped at a safe point; the next run of this source goes on from here."
        )
    problems = summary.get("problems") or [
        f"{key} {value}" for key, value in summary.get("batches", {}).items() if value
    ]
    words = f"{summary['name']}: {summary['state']}: {'; '.join(problems) or 'see the report'}"[:1000]
    return Verdict(ended="FAILED", message=words)
