"""What the probe learns of an API, and that it leaves nothing behind."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from connectors.ledger import open_ledger
from connectors.persona.client import PersonaClient
from connectors.pipeline.probe import probe

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "crash"))
from persona_server import Script, Server


@pytest.fixture
async def ledger(tmp_path):
    async with open_ledger(f"sqlite:///{tmp_path / 'l.sqlite3'}") as opened:
        yield opened


async def ask(ledger, script, change=None, **options):
    async with Server(script) as server:
        theirs = server.add("not ours")
        if change:
            cut = server.cut
            server.cut = lambda content: [change(piece) for piece in cut(content)]
        client = PersonaClient(base_url=server.url, timeout_s=2, transport=httpx.AsyncHTTPTransport(verify=False))
        learned = await probe(ledger, client, destination="there", **options)
        await client.close()
        assert server.items == {theirs: "not ours"}
        return learned


@pytest.mark.parametrize(
    ("script", "change", "returned"),
    [
        (Script(), None, "equal"),
        (Script(), lambda text: text.replace("#", "##"), "changed"),
        (Script(pieces=500), None, "pieces"),
    ],
)
async def test_it_learns_how_content_comes_back(ledger, script, change, returned):
    assert (await ask(ledger, script, change, patience_s=0.2)).returned == returned


async def test_it_learns_how_long_a_page_takes_to_appear(ledger):
    learned = await ask(ledger, Script(appears_s=1.0))
    assert learned.visible_s > 0.4  # counted from the answer, which a loaded machine takes some time to hear
    assert await ledger.sending.probed("there") == pytest.approx(max(1.0, 3 * learned.visible_s))


async def test_it_learns_the_largest_batch_by_halves(ledger):
    assert (await ask(ledger, Script(most=7), batch=20)).largest_batch == 5


async def test_it_cleans_up_when_deleting_fails_at_first(ledger):
    assert not (await ask(ledger, Script(edits={0: "500", 1: "reset before"}))).left_behind
