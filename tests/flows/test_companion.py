"""The process beside a command, spoken to as a command does."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

STEPS = ["crawl example.org", *(f"deliver batch {n} (50 pages)" for n in range(1, 41)), "verify"]
SUMMARY = {"name": "example.org", "kind": "website", "run": "7", "state": "completed", "verified": 3, "quarantined": 0}
SUMMARY |= {"pages": {"new": 3, "changed": 0, "unchanged": 0, "vanished": 0}, "problems": []}


@pytest.fixture
def companion(prefect_api, tmp_path):
    """One that follows with the server that runs already; it is spoken to by lines."""
    settings = {"PREFECT_API_URL": prefect_api, "PREFECT_HOME": str(tmp_path)}
    settings |= {"PREFECT_LOGGING_EXTRA_LOGGERS": "connectors"}
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.companion_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | settings,
        text=True,
    )
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def messages(name="example.org"):
    run = {"name": name, "kind": "website", "where": "the knowledge base", "resumed": False}
    source = {"source": {"website": f"http://{name}/"}}
    yield {"follow": ["flows.import_website", "import_website"], "parameters": source, "run": run}
    for number, step in enumerate(STEPS):
        yield {"begun": number, "kind": "deliver", "name": step}
        yield {"ended": number, "good": number != 2, "words": "So it was."}
    yield {"log": "connectors.tested", "level": 30, "words": "odd", "at": 1_800_000_000.5}
    yield {"summary": SUMMARY | {"name": name}, "facts": {}, "prompts": []}


def say(process, lines):
    for line in lines:
        process.stdin.write(json.dumps(line) + "\n")
    process.stdin.flush()


def hear(process):
    return json.loads(process.stdout.readline())


def found(api, name):
    import httpx

    with httpx.Client(base_url=api, trust_env=False) as client:
        wanted = {"flow_runs": {"tags": {"all_": [name]}}}
        (run,) = client.post("/flow_runs/filter", json=wanted).json()
        logs = {"logs": {"flow_run_id": {"any_": [run["id"]]}}}
        return run, client.post("/logs/filter", json=logs).json()


def test_it_follows_one_run_after_the_other_and_ends_with_its_input(companion, prefect_api):
    for name in ("one.example", "two.example"):
        say(companion, messages(name))
        assert hear(companion) == {"following": True}
        assert hear(companion) == {"done": ""}
    companion.stdin.close()
    assert companion.wait(30) == 0
    for name in ("one.example", "two.example"):
        run, logs = found(prefect_api, name)
        assert (run["state_type"], run["name"]) == ("COMPLETED", f"import {name}")
        assert "odd" in [line["message"] for line in logs if line["timestamp"].startswith("2027-01-15T08:00:00")]


def test_a_command_that_dies_leaves_no_run_that_goes_on_for_ever(companion, prefect_api):
    say(companion, [*messages("dead.example")][:5])
    assert hear(companion) == {"following": True}
    companion.stdin.close()
    assert companion.wait(30) == 0
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


def test_it_ends_while_it_still_imports(companion):
    companion.stdin.close()
    assert companion.wait(30) == 0


@pytest.mark.slow
def test_a_temporary_server_knows_how_every_step_ended_before_it_is_gone(tmp_path):
    from flows.companion import Companion

    one = Companion(tmp_path)
    one.start()
    one.hears.write("".join(json.dumps(message) + "\n" for message in messages()).encode())
    one.hears.flush()
    assert json.loads(one.says.readline()) == {"following": True}
    assert json.loads(one.says.readline()) == {"done": ""}
    one.stop()
    with closing(sqlite3.connect(tmp_path / "prefect" / "prefect.db")) as database:
        ended = dict(database.execute("select name, state_type from task_run"))
    assert ended == dict.fromkeys(STEPS, "COMPLETED") | {STEPS[2]: "FAILED"}


@pytest.mark.slow
def test_a_temporary_server_that_is_killed_keeps_the_command_from_nothing(tmp_path):
    from flows.companion import Companion

    one = Companion(tmp_path)
    one.start()
    process = one._process
    os.kill(process.pid, signal.SIGKILL)
    one.stop()
    assert process.returncode == -signal.SIGKILL
