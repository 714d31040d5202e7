"""What lies on the disk is for the user who ran the program, and what a log says is no secret of theirs."""

from __future__ import annotations

import os
import stat

import pytest

from connectors.pipeline.run import open_run
from connectors.private import make_private
from connectors.settings import PersonaSettings, StateSettings, WebsiteSource


@pytest.fixture
def open_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
async def test_no_other_user_reads_the_ledger_or_the_knowledge_base(site, tmp_path, monkeypatch):
    monkeypatch.delenv("PERSONA_BASE_URL", raising=False)
    site.page("/", title="Inside")
    state = tmp_path / "made" / "state"
    source = WebsiteSource(website=site.url + "/", delay=0, render="never", prompts=False, review=False)
    run = await open_run(
        source, persona=PersonaSettings(client_secret=None), state=StateSettings(state=state, ledger=None)
    )
    await run.collect()
    async for head in run.batches():
        await run.deliver(head.id)
    during = readable_by_others(state)
    await run.finish()
    assert {path.name for path in state.iterdir()} >= {"ledger.sqlite3", "knowledge-base.sqlite3"}
    assert during == readable_by_others(state) == []


def readable_by_others(folder) -> list[str]:
    return [path.name for path in (folder, *folder.rglob("*")) if stat.S_IMODE(path.stat().st_mode) & 0o077]


@pytest.mark.usefixtures("open_umask")
def test_a_file_that_is_there_keeps_the_mode_that_its_operator_gave_it(tmp_path):
    file = tmp_path / "shared.sqlite3"
    file.write_bytes(b"kept")
    file.chmod(0o660)
    make_private(file)
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"kept", 0o660)
