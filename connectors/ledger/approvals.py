"""SQL of runs that wait for a person: which source they are of, and what was decided."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from connectors.ledger.schema import runs, sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

WAITS = "awaiting-approval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A run that waits for a person, with the summary that says what for."""

    run: int
    source: str
    destination: str
    summary: Mapping[str, Any]


def waiting(connection: Connection, *, run: int | None = None) -> list[Waiting]:
    """Return the runs that wait, oldest first: all, or the one with this number."""
    query = (
        select(runs.c.id, runs.c.summary, sources.c.name, sources.c.destination)
        .join(sources, sources.c.id == runs.c.source_id)
        .where(runs.c.state == WAITS)
        .order_by(runs.c.id)
    )
    if run is not None:
        query = query.where(runs.c.id == run)
    return [
        Waiting(run=row.id, source=row.name, destination=row.destination, summary=json.loads(row.summary or "{}"))
        for row in connection.execute(query)
    ]


def decide(connection: Connection, *, run: int, state: str) -> bool:
    """Write down what a person decided; False when the run did not wait (any more)."""
    decided = update(runs).where(runs.c.id == run, runs.c.state == WAITS).values(state=state)
    return connection.execute(decided).rowcount == 1


def overtake(connection: Connection, *, source_id: int, run: int) -> None:
    """Let a newer run take the place of those that still wait: what they asked for is asked again, or is moot."""
    older = update(runs).where(runs.c.source_id == source_id, runs.c.id < run, runs.c.state == WAITS)
    connection.execute(older.values(state="overtaken"))
