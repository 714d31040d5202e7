"""A step of a run as Prefect's server hears of a task run: by one event each state, as its engine sends them. Pure.

The server makes its rows of these events (`prefect.server.services.task_run_recorder`), so their form is Prefect's.
"""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_OF_A_MESSAGE = 100_000
_MICRO = 1_000_000  # states of one task run are told apart by their time, in whole microseconds: no two may share one
_FOLLOWS_WITHIN = 300 * _MICRO
_POLICY = {"max_retries": 0, "retry_delay_seconds": 0.0, "retries": 0, "retry_delay": 0}


def new_id() -> str:
    """Return an id that sorts by time, as Prefect's do: its pages list runs by id (RFC 9562, version 7 by method 3)."""
    ms, ns = divmod(time.time_ns(), 1_000_000)
    number = ms << 80 | 7 << 76 | (ns * 4096 // 1_000_000) << 64 | 2 << 62
    return str(uuid.UUID(int=number | int.from_bytes(os.urandom(8), "big") >> 2))


def moment(at: float) -> str:
    """Return a time in seconds as Prefect writes it."""
    return _written(round(at * _MICRO))


def _written(micros: int) -> str:
    seconds, rest = divmod(micros, _MICRO)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).isoformat(timespec="microseconds")


def event(
    name: str, resource: dict[str, str], related: Sequence[dict[str, str]], payload: dict[str, Any], *, at: float
) -> dict[str, Any]:
    """Return an event as it is sent."""
    return {
        "id": new_id(),
        "occurred": moment(at),
        "event": name,
        "resource": resource,
        "related": list(related),
        "payload": payload,
    }


def related(kind: str, of: str, name: str) -> dict[str, str]:
    """Return what an event has to do with."""
    return {"prefect.resource.id": f"prefect.{kind}.{of}", "prefect.resource.role": kind, "prefect.resource.name": name}


@dataclass(slots=True, kw_only=True)
class StepEvents:
    """One task run, from its beginning to its end.

    Attributes:
        kind: of the step: the function that carries it out in a flow.
        key: which version of that function it is.
        begun_at: in seconds since the epoch.
        about: the flow run and flow that it belongs to.
    """

    name: str
    kind: str
    key: str
    begun_at: float
    about: Sequence[dict[str, str]]
    id: str = field(default_factory=new_id)
    _dynamic: str = field(default_factory=lambda: str(uuid.uuid4()))
    _last: dict[str, Any] = field(default_factory=dict)
    _last_id: str = ""
    _times: list[int] = field(default_factory=list)

    def begun(self) -> list[dict[str, Any]]:
        """Return its first two events."""
        return [self._state("Pending", "", at=self.begun_at), self._state("Running", "", at=self.begun_at)]

    def ended(self, *, good: bool, words: str, at: float) -> dict[str, Any]:
        """Return its last event."""
        return self._state("Completed" if good else "Failed", words[:MOST_OF_A_MESSAGE], at=at)

    def _state(self, name: str, words: str, *, at: float) -> dict[str, Any]:
        before = self._times[-1] if self._times else 0
        now = max(round(at * _MICRO), before + 1)
        self._times.append(now)
        is_last = name not in {"Pending", "Running"}
        state: dict[str, Any] = {"type": name.upper(), "name": name, "message": words}
        state |= {"state_details": {"untrackable_result": True} if is_last else {}}
        told = event(
            f"prefect.task-run.{name}",
            {
                "prefect.resource.id": f"prefect.task-run.{self.id}",
                "prefect.resource.name": self.name,
                "prefect.run-count": "0" if name == "Pending" else "1",
                "prefect.state-message": words,
                "prefect.state-name": name,
                "prefect.state-timestamp": _written(now),
                "prefect.state-type": name.upper(),
                "prefect.orchestration": "client",
            },
            self.about,
            {
                "intended": {"from": self._last.get("type"), "to": name.upper()},
                "initial_state": self._last or None,
                "validated_state": {**state, "data": None},
                "task_run": self._task_run(),
            },
            at=at,
        )
        told["occurred"] = _written(now)
        if self._last_id and now - before < _FOLLOWS_WITHIN:
            told["follows"] = self._last_id
        self._last, self._last_id = state, told["id"]
        return told

    def _task_run(self) -> dict[str, Any]:
        expected, *ran = self._times
        count = 1 if ran else 0
        times: dict[str, Any] = {"expected_start_time": _written(expected), "total_run_time": 0.0}
        if ran:
            times["start_time"] = _written(ran[0])
        if ran[1:]:
            times |= {"end_time": _written(ran[1]), "total_run_time": (ran[1] - ran[0]) / _MICRO}
        return {
            "name": self.name,
            "task_key": f"{self.kind}-{self.key}",
            "dynamic_key": self._dynamic,
            "empirical_policy": _POLICY,
            "tags": [],
            "labels": {},
            "task_inputs": {"name": [], "step": []},
            "run_count": count,
            "flow_run_run_count": count,
            **times,
        }
