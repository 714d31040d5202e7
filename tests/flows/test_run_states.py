"""What becomes of a run's record where a real server refuses one of its states, or lets it wait."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest

from tests.flows.following import SUMMARY, cancel, companion, hear, messages, say


@contextmanager
def before_it_begins(api, act):
    """Give the address of a server that passes all on to the real one, and does something before a run may begin.

    Args:
        act: is called with the flow run's id; whether the answer to what follows is then lost.
    """
    acted = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            lost = False
            if self.path.endswith("/set_state") and not acted:
                acted.append(self.path.split("/")[-2])
                lost = act(acted[0])
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            address = f"{api}{self.path.removeprefix('/api')}"
            answer = httpx.request(self.command, address, content=body, headers=headers, trust_env=False, timeout=60)
            if lost:
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_PATCH = do_POST  # noqa: N815

        def log_message(self, *_): ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api", acted
    finally:
        server.shutdown()
        server.server_close()


def put_off(api, run, *, seconds):
    """Schedule the run: until then the server lets whoever wants to begin it wait."""
    until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    state = {"type": "SCHEDULED", "name": "Scheduled", "state_details": {"scheduled_time": until}}
    asked = {"state": state, "force": True}
    assert httpx.post(f"{api}/flow_runs/{run}/set_state", json=asked, trust_env=False).is_success


def state_of(api, run):
    state = httpx.get(f"{api}/flow_runs/{run}", trust_env=False).json()["state"]
    return state["type"], state["message"]


@pytest.mark.parametrize("trouble", ["waits", "answer lost"])
def test_a_run_that_may_begin_after_all_is_told_to_its_end(prefect_api, tmp_path, trouble):
    act = partial(put_off, prefect_api, seconds=1.5) if trouble == "waits" else lambda _: True
    with (
        before_it_begins(prefect_api, act) as (api, runs),
        companion(PREFECT_API_URL=api, PREFECT_HOME=str(tmp_path)) as it,
    ):
        say(it, messages("later.example"))
        assert hear(it) == {"following": True}
        assert hear(it) == {"done": ""}
    assert state_of(prefect_api, runs[0]) == ("COMPLETED", "3 new, 0 changed, 0 unchanged; all verified.")


def test_a_run_that_may_not_begin_is_not_pending_for_ever(prefect_api, tmp_path):
    act = partial(put_off, prefect_api, seconds=3600)
    with (
        before_it_begins(prefect_api, act) as (api, runs),
        companion(PREFECT_API_URL=api, PREFECT_HOME=str(tmp_path)) as it,
    ):
        say(it, messages("refused.example"))
        assert hear(it) == {"following": True}
        said = hear(it)["done"]
        assert "does not let this flow run begin: Scheduled time is in the future" in said
        assert state_of(prefect_api, runs[0]) == ("CANCELLED", f"{said} Its command goes on without a record.")
        say(it, messages("next.example"))
        assert hear(it) == {"following": True}
        assert hear(it) == {"done": ""}


def test_a_cancel_before_a_run_begins_stops_its_command(prefect_api, tmp_path):
    act = partial(cancel, prefect_api)
    with (
        before_it_begins(prefect_api, act) as (api, runs),
        companion(PREFECT_API_URL=api, PREFECT_HOME=str(tmp_path)) as it,
    ):
        say(it, [*messages("early.example")][:2])
        assert hear(it) == {"following": True}
        assert hear(it) == {"cancelled": True}
        stopped = SUMMARY | {"name": "early.example", "state": "stopped"}
        say(it, [{"ended": 0, "good": True, "words": "Done."}, {"summary": stopped, "facts": {}, "prompts": []}])
        assert hear(it) == {"done": ""}
    assert state_of(prefect_api, runs[0])[0] == "CANCELLED"


def test_a_cancel_when_the_work_is_over_does_not_leave_a_run_that_is_cancelling_for_ever(prefect_api, tmp_path):
    with companion(PREFECT_API_URL=prefect_api, PREFECT_HOME=str(tmp_path)) as it:
        *begun, ended = messages("late.example")
        say(it, begun)
        assert hear(it) == {"following": True}
        wanted, found = (
            {"flow_runs": {"tags": {"all_": ["late.example"]}, "state": {"type": {"any_": ["RUNNING"]}}}},
            [],
        )
        while not found:
            found = httpx.post(f"{prefect_api}/flow_runs/filter", json=wanted, trust_env=False).json()
        cancel(prefect_api, found[0]["id"])
        say(it, [ended])
        said = hear(it)
        assert (hear(it) if said == {"cancelled": True} else said) == {"done": ""}
    told = "Cancelled when the work was over: 3 new, 0 changed, 0 unchanged; all verified."
    assert state_of(prefect_api, found[0]["id"]) == ("CANCELLED", told)
