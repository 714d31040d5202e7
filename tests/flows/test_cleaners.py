"""Where pages are cleaned: what ``--cleaners`` takes, and a real Dask cluster of two processes on loopback."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from connectors.errors import FatalError, UsageError
from connectors.extractors import wire, work
from connectors.extractors.elsewhere import Elsewhere
from connectors.extractors.pool import CleanerPool
from connectors.models import CleaningRules, Resource
from flows import cleaners
from flows.cleaners import Dask, Ray, chosen
from tests.loopback import free_port

RULES = CleaningRules()
POISON = b"this page ends whatever reads it"


def resource(number, body=b""):
    words = f"<title>{number}</title><main><p>Sentence {number} of a page with some words in it.</p></main>".encode()
    uri = f"http://a.example/{number}"
    return Resource(uri=uri, requested_uri=uri, media_type="text/html", body=body or words)


async def test_a_number_is_so_many_processes_of_this_machine():
    made = chosen("3")()
    assert isinstance(made, CleanerPool)
    assert made.workers == 3
    await made.close()


def test_nothing_named_leaves_the_default():
    assert chosen("") is None


@pytest.mark.parametrize(
    "where",
    ["0", "-1", "999", "dask", "dask://", "dask://host", "dask://host:x", "http://a:1", "dask://a:1/x", "ray://"],
)
def test_a_word_that_names_no_cleaners_is_refused_with_the_forms(where):
    with pytest.raises(UsageError, match="dask://HOST:PORT"):
        chosen(where)


def test_a_missing_extra_is_one_sentence_that_names_it_and_exit_code_2(tmp_path):
    if cleaners.find_spec("prefect_ray"):
        pytest.skip("the extra `ray` is installed here")
    words = ["import", "http://127.0.0.1:9/", "--cleaners", "ray://127.0.0.1:1", "--json", "--state", str(tmp_path)]
    ended = subprocess.run([sys.executable, "-m", "flows.cli", *words], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert json.loads(ended.stdout)["exit_code"] == 2
    assert "persona-ingest[ray]" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_cluster_that_nobody_runs_is_found_out_before_the_run():
    pytest.importorskip("prefect_dask", reason="the extra `dask` is not installed")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(UsageError, match="nobody answers there"):
            chosen(f"dask://127.0.0.1:{closed.getsockname()[1]}")


@pytest.fixture
def cluster(tmp_path):
    """Run a scheduler and two worker processes on loopback; gives its address and the scheduler."""
    pytest.importorskip("prefect_dask", reason="the extra `dask` is not installed")
    address = f"127.0.0.1:{free_port()}"
    env = os.environ | {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    options = {"env": env, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    options["start_new_session"] = True
    dask = [sys.executable, "-m", "dask"]
    to = ["--nworkers", "2", "--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path)]
    at = ["--host", "127.0.0.1", "--port", address.partition(":")[2], "--no-dashboard"]
    running = [
        subprocess.Popen([*dask, "scheduler", *at], **options),
        subprocess.Popen([*dask, "worker", f"tcp://{address}", *to], **options),
    ]
    try:
        until = time.monotonic() + 120
        while socket.socket().connect_ex(("127.0.0.1", int(address.partition(":")[2]))):
            assert time.monotonic() < until, "the scheduler does not start"
            time.sleep(0.1)
        yield address, running[0]
    finally:
        for process in reversed(running):
            os.killpg(process.pid, signal.SIGKILL)  # the worker's own workers too
            process.wait()


def deadly():
    """Return a far end that a poisonous page ends; one that travels by value, as no worker knows this file."""

    def work_or_die(frames, version):
        import os

        from connectors.extractors.chunk import clean_chunk

        if any(b"this page ends whatever reads it" in body for _, body in frames):
            os._exit(1)
        return clean_chunk(frames, version)

    return work_or_die


async def the_bytes_of_this_machine_and_the_poison_named(far):
    items = [resource(number, POISON if number == 11 else b"") for number in range(40)]
    outs = await asyncio.gather(*(far.clean(item, RULES) for item in items))
    await far.close()
    assert [number for number, out in enumerate(outs) if out.problem] == [11]
    assert outs.pop(11).problem == "killed-crash"
    items.pop(11)
    assert [wire.answer(out) for out in outs] == [wire.answer(work.drafted(item, RULES)) for item in items]


@pytest.mark.slow
async def test_dask_workers_give_the_bytes_of_this_machine_and_a_page_that_ends_them_is_named(cluster):
    far = Elsewhere(cluster=Dask(cluster[0], work=deadly()), chunk=8)
    await the_bytes_of_this_machine_and_the_poison_named(far)


@pytest.fixture
def ray_head():
    """Run a Ray head of two processors on loopback; gives its client address."""
    pytest.importorskip("prefect_ray", reason="the extra `ray` is not installed")
    head, client = free_port(), free_port()
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "200"}
    ray = [str(Path(sys.executable).with_name("ray"))]
    ports = ["--port", str(head), "--ray-client-server-port", str(client)]
    few = ["--num-cpus", "2", "--include-dashboard", "false", "--object-store-memory", "100000000"]
    words = ["start", "--head", "--node-ip-address", "127.0.0.1", *ports, *few]
    head_node = subprocess.Popen(
        [*ray, *words, "--block"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 300
        while socket.socket().connect_ex(("127.0.0.1", client)):
            assert time.monotonic() < until, "the head does not start"
            assert head_node.poll() is None, "the head has ended"
            time.sleep(0.5)
        yield f"127.0.0.1:{client}"
    finally:
        head_node.terminate()
        head_node.wait(60)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_ray_workers_give_the_bytes_of_this_machine_and_a_page_that_ends_them_is_named(ray_head):
    far = Elsewhere(cluster=Ray(ray_head, work=deadly()), chunk=8)
    await the_bytes_of_this_machine_and_the_poison_named(far)


@pytest.mark.slow
async def test_a_scheduler_that_goes_in_the_middle_stops_the_run(cluster):
    def slow(frames, version):
        import time

        time.sleep(30)
        return []

    address, scheduler = cluster
    far = Elsewhere(cluster=Dask(address, work=slow), look_s=0.5)
    waiting = asyncio.ensure_future(far.clean(resource(1), RULES))
    while not far.sent:
        await asyncio.sleep(0.1)
    scheduler.kill()
    with pytest.raises(FatalError, match="lost"):
        await asyncio.wait_for(waiting, 120)
    await far.close()


def test_a_cluster_waits_with_its_imports_until_prefect_may_be_imported():
    imported = threading.Event()
    reached = threading.Event()
    dask = Dask("127.0.0.1:1", imported)

    def connect():
        with contextlib.suppress(Exception):
            dask.open()
        reached.set()

    threading.Thread(target=connect, daemon=True).start()
    assert not reached.wait(0.3)
