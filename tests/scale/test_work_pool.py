"""The nightly sync over two workers: each takes one source, at the same time, over one ledger."""

import asyncio
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from databases import _BIN, cluster
from test_two_hosts_one_ledger import Reachable, expected, site

from flows.companion import Companion
from flows.local_server import is_alive

pytest.importorskip("pg8000", reason="the extra `postgres` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

REPOSITORY = Path(__file__).resolve().parents[2]
PARENT = """
import asyncio
from flows.sync_knowledge_base import sync_knowledge_base
state = asyncio.run(sync_knowledge_base(one_run_each=True, return_state=True))
print(state.type.value, state.message)
"""


@pytest.fixture
async def world(tmp_path):
    """A Prefect server, a ledger, a knowledge base, two sites; gives a worker's environment and the last two."""
    if not (_BIN / "initdb").exists():
        pytest.skip("PostgreSQL 15 is not installed (apt-get install postgresql-15)")
    with cluster() as ledger:
        async with Reachable("127.0.0.1") as persona:
            sites = {name: await site("127.0.0.1", name, delay_s=1.0) for name in ("one", "two")}
            options = "    settle: 3\n    concurrency: 1\n    prompts: false\n    review: false\n"
            told = "".join(f"  - name: {name}\n    website: {one.url}/\n{options}" for name, one in sites.items())
            (tmp_path / "sources.yaml").write_text(f"sources:\n{told}")
            server = Companion(tmp_path, whole=True)
            server.start()
            env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT", "PERSONA"))}
            env |= {"PREFECT_API_URL": server.api_url, "PREFECT_HOME": str(tmp_path / "home"), "DO_NOT_TRACK": "1"}
            env |= {"PERSONA_BASE_URL": persona.url, "PERSONA_CLIENT_SECRET": "a-secret-of-the-test"}
            env |= {"PERSONA_INGEST_LEDGER": ledger, "PERSONA_INGEST_STATE": str(tmp_path / "state")}
            env |= {"PERSONA_INGEST_CONFIG": str(tmp_path / "sources.yaml"), "PREFECT_WORKER_QUERY_SECONDS": "2"}
            try:
                until = time.monotonic() + 400
                while not is_alive(server.api_url) and time.monotonic() < until:
                    await asyncio.sleep(0.5)
                assert is_alive(server.api_url), server.log_path.read_text()
                yield env, persona, sites
            finally:
                server.stop()
                for one in sites.values():
                    await one.stop()


def run(words, env):
    return subprocess.run(
        [sys.executable, *words], env=env, cwd=REPOSITORY, capture_output=True, text=True, timeout=600
    )


async def test_two_workers_sync_two_sources_at_the_same_time(world, tmp_path):
    env, persona, sites = world
    register = "from pathlib import Path; from flows.registering import register; register(Path('prefect.yaml'))"
    told = await asyncio.to_thread(run, ["-c", register], env)
    assert told.returncode == 0, told.stderr
    words = [
        "-m",
        "prefect",
        "worker",
        "start",
        "--pool",
        "persona-ingest",
        "--type",
        "process",
        "--limit",
        "1",
        "--name",
    ]
    workers = []
    try:
        for name in ("first", "second"):
            log = (tmp_path / f"{name}.log").open("w")
            process = subprocess.Popen(
                [sys.executable, *words, name], env=env, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True
            )
            workers.append(process)
        told = await asyncio.to_thread(run, ["-c", PARENT], env)
    finally:
        for process in workers:
            process.terminate()
        ended = [await asyncio.to_thread(ends, process) for process in workers]
    assert ended == [True, True]
    assert told.stdout.splitlines()[-1] == "COMPLETED 2 sources are up to date.", told.stdout + told.stderr
    assert persona.pages() == expected(sites, "one", "two")
    first, second = await asyncio.to_thread(runs_of_sources, env["PREFECT_API_URL"])
    assert {first["labels"]["prefect.worker.name"], second["labels"]["prefect.worker.name"]} == {"first", "second"}
    assert when(first, "start_time") < when(second, "end_time")
    assert when(second, "start_time") < when(first, "end_time")


def ends(process):
    """Say whether a process ends by itself; it does not outlive the test."""
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def runs_of_sources(api_url):
    with httpx.Client(base_url=api_url, trust_env=False, timeout=60) as client:
        wanted = {"flows": {"name": {"any_": ["sync-source"]}}}
        return client.post("/flow_runs/filter", json=wanted).raise_for_status().json()


def when(run_, field):
    return datetime.fromisoformat(run_[field])
