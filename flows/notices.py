"""Events for automations: `persona-ingest.sync.finished`, `.pages.removed`, `.delivery.failed`, `.approval.needed`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "persona-ingest"


def of(summary: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the events that a finished run of a source is worth: names and payloads, numbers and ids only."""
    common = {
        "source": summary["name"],
        "kind": summary["kind"],
        "run": summary.get("run", ""),
        "state": summary["state"],
        "problems": list(summary.get("problems", ()))[:5],
    }
    told = []
    if summary["state"] in {"completed", "failed"}:
        numbers = {key: summary[key] for key in ("pages", "delivered", "batches", "verified") if key in summary}
        told.append(("sync.finished", common | numbers))
    if removed := summary.get("delivered", {}).get("deleted", 0):
        told.append(("pages.removed", common | {"removed": removed}))
    failed, refused = summary.get("batches", {}).get("failed", 0), summary.get("quarantined", 0)
    if failed or refused or (summary["state"] == "stopped" and summary.get("problems")):
        told.append(("delivery.failed", common | {"failed_batches": failed, "quarantined_pages": refused}))
    if summary["state"] == "awaiting-approval":
        asked = summary.get("approval", {})
        told.append(
            (
                "approval.needed",
                common | {key: asked.get(key) for key in ("why", "count", "approve", "reject")},
            )
        )
    return told


def resource(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return what these events are about."""
    return {
        "prefect.resource.id": f"{PREFIX}.source.{summary['name']}",
        "prefect.resource.name": str(summary["name"]),
    }


def emit(summary: Mapping[str, Any]) -> None:
    """Send them to Prefect; an event that cannot be sent costs nothing."""
    from prefect.events import emit_event

    for name, payload in of(summary):
        emit_event(event=f"{PREFIX}.{name}", resource=resource(summary), payload=payload)
