"""SQL of runs that wait for a person: which source they are of, and what was decided."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.ledger.database import Connection

WAITS = "awaiting-approval"
_WAITING = f"""
SELECT runs.id, runs.summary, sources.name, sources.destination
FROM runs JOIN sources ON sources.id = runs.source_id
WHERE runs.state = '{WAITS}' {{and_this}} ORDER BY runs.id
"""
_THIS = f"id = :run AND state = '{WAITS}'"
_OLDER = f"source_id = :source AND id < :run AND state = '{WAITS}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A run that waits for a person, with the summary that says what for."""

    run: int
    source: str
    destination: str
    summary: Mapping[str, Any]


def waiting(connection: Connection, *, run: int | None = None) -> list[Waiting]:
    """Return the runs that wait, oldest first: all, or the one with this number."""
    this = {} if run is None else {"run": run}
    query = _WAITING.format(and_this="AND runs.id = :run" if this else "")
    return [
        Waiting(run=row.id, source=row.name, destination=row.destination, summary=json.loads(row.summary or "{}"))
        for row in connection.rows(query, **this)
    ]


def decide(connection: Connection, *, run: int, state: str) -> bool:
    """Write down what a person decided; False when the run did not wait (any more)."""
    return connection.change("runs", {"state": state}, _THIS, run=run) == 1


def overtake(connection: Connection, *, source_id: int, run: int) -> None:
    """Let a newer run take the place of those that still wait: what they asked for is asked again, or is moot."""
    connection.run(f"UPDATE runs SET state = 'overtaken' WHERE {_OLDER}", source=source_id, run=run)
