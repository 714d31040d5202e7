"""SQL of what the Persona API still owes a source: prompts that it was asked for and did not make."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.ledger.pack import dump, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.ledger.database import Connection
    from connectors.ledger.values import Run

OWING = "SELECT runs.source_id FROM prompts JOIN runs ON runs.id = prompts.run_id WHERE prompts.prompts = ''"
"""The sources that are owed prompts: a row without an answer is a call to be made again."""
_OWED = """
SELECT prompts.id, prompts.topics FROM prompts JOIN runs ON runs.id = prompts.run_id
WHERE prompts.prompts = '' AND runs.source_id = :source ORDER BY prompts.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A call of auto-generate-prompts that is to be made again."""

    id: int
    topics: tuple[str, ...]
    context: str


def owe_prompts(connection: Connection, run: Run, calls: Sequence[Sequence[str]], *, context: str, now: int) -> None:
    """Keep calls that were not answered, each by its topics, for `retry` and the next run to make."""
    rows = [
        {
            "run_id": run.id,
            "topics": dump({"topics": list(call), "context": plain(context)}),
            "prompts": "",
            "created_at": now,
        }
        for call in calls
    ]
    connection.insert_many("prompts", rows)


def owed_prompts(connection: Connection, run: Run) -> list[Owed]:
    """Return the calls that a source's runs left to be made again, the oldest first."""
    owed = []
    for row in connection.rows(_OWED, source=run.source_id):
        told = json.loads(row.topics)
        owed.append(Owed(id=row.id, topics=tuple(told["topics"]), context=told["context"]))
    return owed


def settle_prompts(connection: Connection, run: Run, owed: Owed, answer: Sequence[str], *, now: int) -> None:
    """Keep what a call answered that was owed; the prompts count for the run that asked at last."""
    values = {"run_id": run.id, "topics": dump(list(owed.topics)), "prompts": dump(list(answer)), "created_at": now}
    connection.change("prompts", values, "id = :row", row=owed.id)
