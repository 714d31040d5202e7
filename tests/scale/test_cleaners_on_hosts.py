"""Cleaning on Dask workers that are hosts of their own: the bytes of home, and a host that dies costs nothing."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hosts import network

from connectors.errors import FatalError
from connectors.extractors import wire
from connectors.extractors.elsewhere import Elsewhere
from connectors.extractors.pool import CleanerPool
from connectors.models import CleaningRules, Resource

pytest.importorskip("prefect_dask", reason="the extra `dask` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RULES = CleaningRules()
MANUAL = Path("/usr/share/doc/postgresql-doc-15/html")
TTL_S = 10


@pytest.fixture(scope="module")
def resources():
    files = sorted(MANUAL.glob("*.html"))[:320]
    if not files:
        pytest.skip("postgresql-doc-15 is not installed (apt-get install postgresql-doc-15)")
    uris = [f"http://manual.example/{path.name}" for path in files]
    return [
        Resource(uri=uri, requested_uri=uri, media_type="text/html", body=path.read_bytes())
        for uri, path in zip(uris, files, strict=True)
    ]


@pytest.fixture(scope="module")
def at_home(resources):
    async def cleaned():
        pool = CleanerPool(1)
        try:
            return [wire.answer(out) for out in await asyncio.gather(*(pool.clean(one, RULES) for one in resources))]
        finally:
            await pool.close()

    return asyncio.run(cleaned())


@pytest.fixture
def cluster():
    """Run a scheduler here and a worker on each of two hosts; gives the scheduler's address and the hosts."""
    dask = [sys.executable, "-m", "dask"]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT", "PERSONA"))}
    env |= {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": f"{TTL_S}s"}
    options = {"env": env, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with network("dask-a", "dask-b") as hosts:
        gateway = hosts[0].gateway
        scheduler = subprocess.Popen(
            [*dask, "scheduler", "--host", gateway, "--port", "8786", "--no-dashboard"], **options
        )
        try:
            for host in hosts:
                limits = [
                    "--nworkers",
                    "1",
                    "--nthreads",
                    "1",
                    "--no-dashboard",
                    "--local-directory",
                    str(host.boot) + ".d",
                ]
                host.start(*dask, "worker", f"tcp://{gateway}:8786", *limits, **options)
            yield f"{gateway}:8786", hosts
        finally:
            scheduler.kill()
            scheduler.wait()


async def far(address, resources, *, when_half=None):
    """Clean everything on the cluster once both hosts are there; calls ``when_half`` in the middle."""
    from flows.cleaners import Dask

    cleaners = Elsewhere(cluster=Dask(address), chunk=16)
    half, done = asyncio.Event(), 0

    async def one(resource):
        nonlocal done
        out = await cleaners.clean(resource, RULES)
        done += 1
        if done >= len(resources) // 2:
            half.set()
        return wire.answer(out)

    try:
        await asyncio.to_thread(wait_for_two, Dask(address))
        work = asyncio.gather(*(one(resource) for resource in resources))
        if when_half:
            await half.wait()
            when_half()
        return await work, cleaners.sent
    finally:
        await cleaners.close()


def wait_for_two(dask):
    """Return once both hosts have joined."""
    until = time.monotonic() + 240
    while True:
        try:
            dask.open()
            break
        except FatalError:
            assert time.monotonic() < until, "no scheduler"
    while dask.slots() < 4:
        assert time.monotonic() < until, "no workers"
        time.sleep(0.2)
    dask.close()


def cleaning_ticks(host):
    """Return the processor time that each confined process of a host has taken."""
    ticks = []
    for pid in host.pids():
        try:
            if b"connectors.extractors.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks.append(int(fields[11]) + int(fields[12]))
        except OSError:
            continue
    return ticks


async def test_two_hosts_share_the_pages_and_give_the_bytes_of_this_machine(cluster, resources, at_home):
    address, hosts = cluster
    ticks = []
    outs, sent = await far(address, resources, when_half=lambda: ticks.extend(map(cleaning_ticks, hosts)))
    assert outs == at_home
    assert all(sum(one) > 0 for one in ticks), "both hosts cleaned"
    assert [len(one) for one in ticks] == [1, 1], "one confined process for each chunk in work"
    assert sent <= len(resources) / 8, "they travelled in chunks"


@pytest.mark.parametrize("how", ["kill", "unplug"])
async def test_a_host_that_goes_in_the_middle_costs_no_page(cluster, resources, at_home, how):
    address, hosts = cluster
    outs, _ = await far(address, resources, when_half=getattr(hosts[0], how))
    assert outs == at_home
