"""The process beside a command, started and spoken to as a command does it: by lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import httpx

STEPS = ["crawl example.org", *(f"deliver batch {n} (50 pages)" for n in range(1, 41)), "verify"]
SUMMARY = {"name": "example.org", "kind": "website", "run": "7", "state": "completed", "verified": 3, "quarantined": 0}
SUMMARY |= {"pages": {"new": 3, "changed": 0, "unchanged": 0, "vanished": 0}, "problems": []}


@contextmanager
def companion(**settings):
    """One that follows with the server these settings name."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.companion_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PREFECT_LOGGING_EXTRA_LOGGERS": "connectors"} | settings,
        text=True,
    )
    try:
        yield process
    finally:
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


def cancel(api, run_id):
    """Do what the UI's button does."""
    state = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    assert httpx.post(f"{api}/flow_runs/{run_id}/set_state", json=state, trust_env=False).is_success
