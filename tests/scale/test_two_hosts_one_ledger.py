"""Two hosts, one ledger on PostgreSQL, one knowledge base: nothing lost, nothing twice, no source at once on both."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from databases import _BIN, cluster
from hosts import network
from loopback import Reply, Site
from persona_server import Script, Server

from connectors.ledger.lease import STALE_S

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("pg8000", reason="the extra `postgres` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PAGES = 24


class Reachable(Server):
    """The knowledge base, where other hosts reach it; it holds back its answers while ``going_on`` is unset."""

    def __init__(self, host: str) -> None:
        super().__init__(Script())
        self.host = host
        self.going_on = asyncio.Event()
        self.going_on.set()
        self.held = asyncio.Event()
        self.hold_from = 1_000_000

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/persona/"

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, limit=1 << 24)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _write(self, writer, *answer, **options) -> bool:
        if self.calls["post"] >= self.hold_from and not self.going_on.is_set():
            self.held.set()  # what was sent is applied; whoever sent it does not hear of it
            await self.going_on.wait()
        return await super()._write(writer, *answer, **options)

    def pages(self) -> Counter[str]:
        """Return how often each page is there."""
        return Counter(content.partition("\n")[0] for content in self.items.values())


async def site(host: str, name: str, *, delay_s: float) -> Site:
    """Serve a front page and so many others, each after a delay."""
    made = Site(host=host)
    links = "".join(f'<li><a href="/{number}.html">Page {number}</a>' for number in range(PAGES))
    for number in range(PAGES):
        words = " ".join(f"Sentence {n} on page {number} of {name} is a sentence with some words." for n in range(9))
        body = f"<title>{name} {number}</title><main><h1>{name} {number}</h1><p>{words}</p></main>"
        made.routes[f"/{number}.html"] = Reply(body, delay_s=delay_s)
    front = f"<title>{name}</title><main><h1>{name}</h1><p>The front page of {name}, and what it has.</p>{links}</main>"
    made.routes["/"] = Reply(front, delay_s=delay_s)
    return await made.start()


@pytest.fixture
async def world(tmp_path):
    """Two hosts, and what both reach: a ledger, a knowledge base, two sites."""
    if not (_BIN / "initdb").exists():
        pytest.skip("PostgreSQL 15 is not installed (apt-get install postgresql-15)")
    with network("host-a", "host-b") as hosts:
        here = hosts[0].gateway
        rules = hosts[0].boot.parent / "pg_hba.conf"
        net = here.rpartition(".")[0]
        rules.write_text(f"host all all 127.0.0.1/32 trust\nhost all all {net}.0/24 trust\n")
        rules.parent.chmod(0o755)
        with cluster(f"listen_addresses=127.0.0.1,{here}", f"hba_file={rules}") as ledger:
            async with Reachable(here) as persona:
                sites = {name: await site(here, name, delay_s=0.4) for name in ("one", "two")}
                yield World(hosts, ledger.replace("127.0.0.1", here), persona, sites, tmp_path)
                for one in sites.values():
                    await one.stop()


class World:
    def __init__(self, hosts, ledger, persona, sites, folder: Path) -> None:
        self.a, self.b = hosts
        self.ledger, self.persona, self.sites, self.folder = ledger, persona, sites, folder
        options = "    settle: 3\n    batch-size: 5\n    concurrency: 2\n    prompts: false\n    review: false\n"
        told = "".join(f"  - name: {name}\n    website: {one.url}/\n{options}" for name, one in sites.items())
        (folder / "sources.yaml").write_text(f"sources:\n{told}")

    def sync(self, host, name: str) -> subprocess.Popen:
        """Start the sync of a source on a host; without Prefect, which has nothing to do with what is shown."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT", "PERSONA"))}
        env |= {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PERSONA_BASE_URL": self.persona.url}
        env |= {"PERSONA_CLIENT_SECRET": "a-secret-of-the-test", "PERSONA_INGEST_LEDGER": self.ledger}
        state = ["--state", str(self.folder / host.name), "--config", str(self.folder / "sources.yaml"), "--json"]
        words = [sys.executable, "-m", "flows.cli", "sync", name, *state]
        return host.start(*words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    async def reading(self, name: str) -> None:
        """Return once a source is being read."""
        while len(self.sites[name].asked) < 4:
            await asyncio.sleep(0.05)


def expected(sites: dict[str, Site], *names: str) -> dict[str, int]:
    """Return what the knowledge base must hold of these sites: each page once."""
    paths = ["", *(f"{number}.html" for number in range(PAGES))]
    return {f"Source: {sites[name].url}/{path}": 1 for name in names for path in paths}


async def ended(process: subprocess.Popen) -> tuple[int, dict, str]:
    out, err = await asyncio.to_thread(process.communicate, timeout=300)
    return process.returncode, json.loads(out), err


async def test_two_hosts_sync_two_sources_at_once_and_neither_takes_the_other_ones(world):
    world.persona.hold_from = 1
    world.persona.going_on.clear()  # neither comes to its end before the third has asked
    first, second = world.sync(world.a, "one"), world.sync(world.b, "two")
    await asyncio.wait_for(asyncio.gather(world.reading("one"), world.reading("two")), 120)
    too_many = world.sync(world.b, "one")
    code, told, err = await ended(too_many)
    world.persona.going_on.set()
    assert code == 1
    assert world.a.name in err, err
    assert "works on the source 'one'" in told["sources"][0]["problems"][0]
    for process in (first, second):
        code, told, err = await ended(process)
        assert (code, told["state"]) == (0, "completed"), err
    assert world.persona.pages() == expected(world.sites, "one", "two")


async def test_a_host_that_dies_while_it_delivers_is_taken_over_and_no_page_is_lost_or_twice(world):
    world.persona.hold_from = 2
    world.persona.going_on.clear()
    world.sync(world.a, "one")
    await asyncio.wait_for(world.persona.held.wait(), 200)
    assert 0 < len(world.persona.items) < PAGES
    world.a.kill()
    world.persona.going_on.set()

    code, _, err = await ended(world.sync(world.b, "one"))
    assert code == 1
    assert world.a.name in err, "nobody can know yet that it is dead"

    await asyncio.sleep(STALE_S)
    code, told, err = await ended(world.sync(world.b, "one"))
    assert (code, told["state"]) == (0, "completed"), err
    assert told["sources"][0]["verified"] == PAGES + 1
    assert world.persona.pages() == expected(world.sites, "one")
