from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from flows import console
from flows.commands.look import _status_text


def failed(**changes):
    return {
        "state": "failed",
        "urls": {"fetched": 9, "not_modified": 0, "failed": {"http-500": 1}},
        "batches": {"delivered": 1, "failed": 0, "pending": 0},
        "quarantined": 0,
    } | changes


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (failed(batches={"failed": 1}), "persona-ingest retry"),
        (failed(quarantined=2), "persona-ingest retry"),
        (failed(), "run it again when that has passed"),
        (failed(urls={"fetched": 0, "not_modified": 0}), "put right what is said above"),
        (failed(urls={"fetched": 9, "not_modified": 0, "failed": {}}), "persona-ingest verify compares"),
        ({"state": "stopped", "problems": []}, "the same command goes on"),
        ({"state": "stopped", "problems": ["The disk is full."]}, "put right what is said above"),
        ({"state": "awaiting-approval", "run": "7"}, "sync --approve 7"),
    ],
)
def test_what_to_do_next_fits_what_happened(result, said):
    told = console.next_steps(result)
    assert said in told
    assert ("persona-ingest retry" in told) == (said == "persona-ingest retry"), "there is nothing to send again"


def status(state, *, busy=False, next_run="", **summary):
    run = {"id": 12, "purpose": "sync", "state": state, "started_at": "2026-11-23T02:00:00+00:00", "summary": summary}
    row = {"name": "help", "kind": "website", "destination": "embedded", "busy": busy, "pages": 3}
    row |= {"versions": {}, "batches": {}, "last_run": run}
    return _status_text({"sources": [row], "next_run": next_run, "state": "/state", "ui": ""})


def test_a_run_that_nobody_carries_out_any_more_is_no_running_one():
    assert "sync 12: interrupted, the next run goes on from there" in status("running")
    assert "sync 12: running" in status("running", busy=True)


def test_the_next_run_is_told_in_utc_as_the_last_one_is():
    assert "Next nightly sync: 2026-11-24 01:00:00 UTC" in status("completed", next_run="2026-11-24T02:00:00+01:00")
    assert "Next nightly sync: 2026-11-24 01:00:00 UTC" in status("completed", next_run="2026-11-24T01:00:00Z")
    assert "Next nightly sync: none is scheduled" in status("completed")


def test_status_tells_what_waits_for_a_person_and_how_to_answer():
    asked = {"why": "10 of 10 pages would be deleted.", "approve": "sync --approve 12", "reject": "sync --reject 12"}
    told = status("awaiting-approval", approval=asked)
    assert "10 of 10 pages would be deleted." in told
    assert "sync --approve 12   or   sync --reject 12" in told


def test_the_last_line_of_several_sources_names_those_that_are_not_right():
    ended = {"a": "completed", "b": "failed", "c": "completed", "d": "awaiting-approval", "e": "failed"}
    told = console.overall([{"name": name, "state": state} for name, state in ended.items()])
    assert told.strip() == "5 sources: 2 completed, 2 failed (b, e), 1 awaiting-approval (d)"


SHOWING = """
import asyncio
from connectors.pipeline.progress import Progress
from flows import console

async def main():
    async with console.shown("docs", Progress()) as say:
        say("Importing docs")
        await asyncio.sleep(0.1)

asyncio.run(main())
"""


def shown_on_a_terminal(**environment):
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        subprocess.run([sys.executable, "-c", SHOWING], stderr=theirs, env=os.environ | environment, check=True)
        os.close(theirs)
        return terminal.read(100_000)


@pytest.mark.parametrize("poor", [{"TERM": "dumb"}, {"COLUMNS": "40"}])
def test_a_terminal_that_cannot_be_drawn_on_gets_lines(poor):
    told = shown_on_a_terminal(**{"TERM": "xterm", "COLUMNS": "80"} | poor)
    assert b"docs: starting: 0 found" in told
    assert b"\x1b" not in told


def test_a_terminal_that_can_be_drawn_on_gets_a_picture():
    assert b"\x1b[" in shown_on_a_terminal(TERM="xterm", COLUMNS="80")
