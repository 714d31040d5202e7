"""The states of a flow run as `teller` proposes them: what comes of one that the server refuses, or lets wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from flows.prefect_api import PrefectError
from flows.step_events import new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.prefect_api import PrefectApi
    from flows.told import Ended

PATIENCE_S = 20.0
_TERMINAL = {"CANCELLED", "COMPLETED", "CRASHED", "FAILED"}


def set_running(api: PrefectApi, run: str) -> None:
    """Let the flow run begin: it waits where the server says so, as Prefect's engine does, but not for long.

    One that somebody has cancelled meanwhile begins too: of that its command hears, and stops.

    Raises:
        PrefectError: the server does not let it. The record says so: by itself it would be pending for ever.
    """
    answer, until = _proposed(api, run, "RUNNING", None), time.monotonic() + PATIENCE_S
    while answer["status"] == "WAIT" and time.monotonic() + answer["details"]["delay_seconds"] < until:
        time.sleep(answer["details"]["delay_seconds"])
        answer = _proposed(api, run, "RUNNING", None)
    state = (answer.get("state") or {}).get("type")
    if answer["status"] == "ACCEPT" or state in {"RUNNING", "CANCELLING"}:
        return  # what was done, and its answer lost, is refused when it is asked for again
    why = f"Prefect's server does not let this flow run begin: {answer['details'].get('reason') or answer['status']}"
    if state not in _TERMINAL:
        _proposed(api, run, "CANCELLED", f"{why} Its command goes on without a record.", force=True)
    raise PrefectError(why)


def set_ended(api: PrefectApi, run: str, ended: Ended, message: str, **details: bool) -> Mapping[str, Any]:
    """End the flow run; returns the state in which it then is.

    Whoever cancels it when its work is over is heard too late, and the server then takes nothing else.

    Raises:
        PrefectError: the server does not take it.
    """
    answer = _proposed(api, run, ended, message, **details)
    if answer["status"] == "REJECT" and (answer.get("state") or {}).get("type") == "CANCELLING":
        ended, message = "CANCELLED", f"Cancelled when the work was over: {message}"
        answer = _proposed(api, run, ended, message, **details)
    return answer.get("state") or {"type": ended, "name": ended.capitalize(), "message": message}


def _proposed(
    api: PrefectApi, run: str, state: str, message: str | None, *, force: bool = False, **details: bool
) -> Mapping[str, Any]:
    """Propose a state; returns the server's answer."""
    known = {"flow_run_id": run, "transition_id": new_id(), "deferred": None, **details}
    asked = {"type": state, "name": state.capitalize(), "message": message, "state_details": known, "data": None}
    answer: Mapping[str, Any] = api.ask("POST", f"flow_runs/{run}/set_state", {"state": asked, "force": force})
    return answer
