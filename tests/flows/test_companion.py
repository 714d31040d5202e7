"""The process beside a command, spoken to as a command does."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from contextlib import closing, suppress

import httpx
import pytest

from tests.flows.following import STEPS, SUMMARY, cancel, hear, messages, say
from tests.flows.following import companion as started


@pytest.fixture
def companion(prefect_api, tmp_path):
    """One that follows with the server that runs already."""
    with started(PREFECT_API_URL=prefect_api, PREFECT_HOME=str(tmp_path)) as process:
        yield process


def found(api, name):
    """Return the flow run with this tag, and its log."""
    with httpx.Client(base_url=api, trust_env=False) as client:
        wanted = {"flow_runs": {"tags": {"all_": [name]}}}
        (run,) = client.post("/flow_runs/filter", json=wanted).json()
        logs = {"logs": {"flow_run_id": {"any_": [run["id"]]}}}
        return run, client.post("/logs/filter", json=logs).json()


def until(condition, timeout_s=60):
    ended = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ended
        time.sleep(0.1)


def is_running(api, name):
    with suppress(ValueError):  # the flow gives its run the tag
        return found(api, name)[0]["state_type"] == "RUNNING"
    return False


def test_it_follows_one_run_after_the_other_and_ends_with_its_input(companion, prefect_api):
    for name in ("one.example", "two.example"):
        say(companion, messages(name))
        assert hear(companion) == {"following": True}
        assert hear(companion) == {"done": ""}
    companion.stdin.close()
    assert companion.wait(120) == 0
    for name in ("one.example", "two.example"):
        run, logs = found(prefect_api, name)
        assert (run["state_type"], run["name"]) == ("COMPLETED", f"import {name}")
        assert "odd" in [line["message"] for line in logs if line["timestamp"].startswith("2027-01-15T08:00:00")]


def test_a_command_that_dies_leaves_no_run_that_goes_on_for_ever(companion, prefect_api):
    say(companion, [*messages("dead.example")][:5])
    assert hear(companion) == {"following": True}
    companion.stdin.close()
    assert companion.wait(120) == 0
    run, _ = found(prefect_api, "dead.example")
    assert run["state_type"] == "FAILED"
    assert "without a word" in run["state"]["message"]


def test_parameters_that_the_flow_refuses_end_the_record_and_not_the_process(companion):
    first, *others = messages("wrong.example")
    say(companion, [first | {"parameters": {"source": {"website": "ftp://wrong.example/"}}}, *others])
    assert hear(companion) == {"following": True}
    assert hear(companion)["done"] == ""
    say(companion, messages("right.example"))
    assert hear(companion) == {"following": True}
    assert hear(companion) == {"done": ""}


def test_a_cancelled_flow_run_asks_its_command_to_stop_and_ends_cancelled(companion, prefect_api):
    say(companion, [*messages("cancelled.example")][:2])
    assert hear(companion) == {"following": True}
    until(lambda: is_running(prefect_api, "cancelled.example"))
    cancel(prefect_api, found(prefect_api, "cancelled.example")[0]["id"])
    assert hear(companion) == {"cancelled": True}
    stopped = SUMMARY | {"name": "cancelled.example", "state": "stopped"}
    say(companion, [{"ended": 0, "good": True, "words": "Done."}, {"summary": stopped, "facts": {}, "prompts": []}])
    assert hear(companion) == {"done": ""}
    companion.stdin.close()
    assert companion.wait(120) == 0
    run, logs = found(prefect_api, "cancelled.example")
    assert run["state_type"] == "CANCELLED"
    assert any("goes on from there" in line["message"] for line in logs)


def test_it_ends_while_it_still_imports(companion):
    companion.stdin.close()
    assert companion.wait(120) == 0


@pytest.mark.slow
def test_a_temporary_server_knows_how_every_step_ended_before_it_is_gone(tmp_path, monkeypatch):
    from flows.companion import Companion

    monkeypatch.setenv("PREFECT_LOGGING_EXTRA_LOGGERS", "connectors,flows")
    one = Companion(tmp_path)
    one.start()
    one.hears.write("".join(json.dumps(message) + "\n" for message in messages()).encode())
    one.hears.flush()
    assert json.loads(one.says.readline()) == {"following": True}
    assert json.loads(one.says.readline()) == {"done": ""}
    one.stop()
    assert one.log_path.read_text() == "", "it was imported in part, and nothing went wrong"
    with closing(sqlite3.connect(tmp_path / "prefect" / "prefect.db")) as database:
        ended = dict(database.execute("select name, state_type from task_run"))
        runs = database.execute("select name, state_type, tags from flow_run").fetchall()
        artifacts = {key for (key,) in database.execute("select key from artifact")}
        lines = [line for (line,) in database.execute("select message from log")]
        (states,) = database.execute("select count(*) from task_run_state").fetchone()
        events = {name for (name,) in database.execute("select event from events")}
    assert ended == dict.fromkeys(STEPS, "COMPLETED") | {STEPS[2]: "FAILED"}
    assert states == 3 * len(STEPS)
    assert runs == [("import example.org", "COMPLETED", '["example.org", "website"]')]
    assert {key.rpartition("-")[0] for key in artifacts} == {"progress-example-org", "report-example-org"}
    assert lines.count("odd") == 1
    assert len([line for line in lines if line.startswith("Finished in state")]) == len(STEPS) + 1
    assert {"persona-ingest.sync.finished", "prefect.task-run.Completed", "prefect.flow-run.Completed"} <= events


@pytest.mark.slow
def test_a_temporary_server_that_is_killed_keeps_the_command_from_nothing(tmp_path):
    from flows.companion import Companion

    one = Companion(tmp_path)
    one.start()
    process = one._process
    os.kill(process.pid, signal.SIGKILL)
    one.stop()
    assert process.returncode == -signal.SIGKILL
