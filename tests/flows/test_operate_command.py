"""`persona-ingest verify --probe` and `retry --quarantined` as processes, against real knowledge bases."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from connectors.pipeline import parts
from connectors.pipeline.probe import Probed
from connectors.pipeline.run import open_run
from connectors.settings import DocumentsSource, PersonaSettings, StateSettings
from flows.commands.frame import Frame
from flows.commands.operate import _probed
from tests.flows.driving import carried_out

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "crash"))
from persona_server import Script, Server

POISON = "nightshade"


class Picky(Server):
    """Refuses poison in a page that is changed in place too."""

    def _answer(self, kind, method, path, body, fault):
        if method == "PUT" and self.script.poison and self.script.poison in body["training_data"]["content"]:
            return 422, {"status": "error", "message": "a page holds poison"}, {}
        return super()._answer(kind, method, path, body, fault)


@pytest.fixture
def command(tmp_path):
    """Return what runs the command in a process, with its own state; the result has ``code``, ``out`` and ``err``."""

    async def run(*words):
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT", "PERSONA"))}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "flows.cli", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=env | {"PERSONA_INGEST_STATE": str(tmp_path / "state")},
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode, out.decode(), err.decode()

    return run


async def import_folder(folder, state, base_url):
    """Import a folder as the command does, without Prefect; return its summary."""
    source = DocumentsSource(documents=str(folder), name="handbook", prompts=False, review=False)
    return await carried_out(await open_run(source, persona=PersonaSettings(base_url=base_url), state=state))


async def test_a_probe_of_the_embedded_knowledge_base_tells_what_it_learned_and_leaves_nothing(command, tmp_path):
    code, out, err = await command("verify", "--probe", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["ok"], told["returned"], told["items"], told["left_behind"]) == (True, "equal", 1, [])
    code, out, err = await command("verify", "--probe")
    assert code == 0, err
    assert "came back as it was sent" in out
    assert "Nothing of it is left." in out
    state = StateSettings(state=tmp_path / "state")
    destination = await parts.open_destination(None, persona=PersonaSettings(), state=state)
    try:
        assert [item async for item in destination.client.training_data()] == []
    finally:
        await destination.client.close()
    async with parts.open_ledger(state) as ledger:
        assert await ledger.sending.probed(destination.key) == 1.0


@pytest.mark.parametrize(
    ("learned", "said", "code"),
    [
        (Probed(returned="pieces", visible_s=2.25, items=3), "It was there after 2.2 s, as 3 items.", 0),
        (Probed(returned="changed", visible_s=120.0, items=1), "pages cannot be recognised", 1),
        (Probed(returned="never", visible_s=120.0, items=0), "did not appear in time", 1),
        (Probed(returned="equal", visible_s=0.1, items=1, left_behind=("a\x1b[31m",)), "delete it by hand", 1),
    ],
)
def test_what_a_probe_learned_is_said_in_words_and_as_an_exit_code(learned, said, code, capsys):
    frame = Frame()
    assert _probed(frame, learned) == code
    out = capsys.readouterr().out
    assert said in out
    assert "\x1b" not in out
    assert frame.answer["ok"] is (code == 0)


async def test_a_probe_does_not_repair(command):
    code, _, err = await command("verify", "--probe", "--repair")
    assert code == 2
    assert "one of the two" in err


@pytest.mark.parametrize("which", ["all", "handbook", "its address"])
async def test_a_page_in_quarantine_is_sent_again_when_it_is_named_and_only_then(command, tmp_path, which):
    folder = tmp_path / "handbook"
    folder.mkdir()
    for name in ("one", "two", "three"):
        words = POISON if name == "two" else name
        (folder / f"{name}.md").write_text(f"# {name}\n\nThe handbook says at some length what {words} is for.\n")
    async with Server(Script(poison=POISON)) as server:
        summary = await import_folder(folder, StateSettings(state=tmp_path / "state"), server.url)
        assert (summary["state"], summary["verified"], summary["quarantined"]) == ("failed", 2, 1)
        server.script = Script()
        code, out, err = await command("retry", "--persona-url", server.url)
        assert f"Quarantined: {(folder / 'two.md').as_uri()}" in out, err
        assert "retry --quarantined" in out
        assert (code, len(server.items)) == (1, 2)
        name = (folder / "two.md").as_uri() if which == "its address" else which
        code, out, err = await command("retry", "--quarantined", name, "--persona-url", server.url, "--json")
        told = json.loads(out)
        assert (code, told["ok"], told["delivered"], told["quarantined"]) == (0, True, 1, []), err
        assert (told["sources"]["handbook"]["verified"], told["sources"]["handbook"]["due"]) == (3, 3)
        assert sum(POISON in content for content in server.items.values()) == 1
        assert len(server.items) == 3


async def test_a_change_in_quarantine_replaces_the_page_in_place_when_it_is_named(command, tmp_path):
    folder, state = tmp_path / "handbook", StateSettings(state=tmp_path / "state")
    folder.mkdir()
    for name in ("one", "two", "three"):
        (folder / f"{name}.md").write_text(f"# {name}\n\nThe handbook says at some length what {name} is for.\n")
    async with Picky(Script(poison=POISON)) as server:
        await import_folder(folder, state, server.url)
        (folder / "two.md").write_text(f"# two\n\nThe handbook says at some length what {POISON} is for.\n")
        assert (await import_folder(folder, state, server.url))["quarantined"] == 1
        before = {key: content for key, content in server.items.items() if "what two is for" in content}
        assert len(before) == 1
        server.script = Script()
        code, out, err = await command("retry", "--quarantined", "all", "--persona-url", server.url, "--json")
        assert (code, json.loads(out)["ok"]) == (0, True), (out, err)
        assert [key for key, content in server.items.items() if POISON in content] == list(before)
        assert len(server.items) == 3


async def test_a_page_that_is_not_in_quarantine_is_named_in_the_error(command):
    code, _, err = await command("retry", "--quarantined", "https://docs.example.org/fine.html")
    assert code == 2
    assert "https://docs.example.org/fine.html" in err
    assert "In quarantine: none." in err
