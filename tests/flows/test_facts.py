"""What a report lists is read from a real ledger, while the run is open."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from connectors.models import Skipped
from connectors.pipeline.run import open_run
from connectors.settings import DocumentsSource, PersonaSettings, StateSettings
from flows import facts, reports
from tests.flows.driving import carried_out


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "handbook"
    folder.mkdir()
    for n in range(10):
        (folder / f"{n}.md").write_text(f"# Chapter {n}\n\nThe handbook says at some length what part {n} is for.\n")
    return folder


@pytest.fixture
async def night(folder, tmp_path):
    """Return what does a whole sync of the folder; it gives the facts and the summary."""

    async def sync(before_facts=None):
        source = DocumentsSource(documents=str(folder), name="handbook", prompts=False)
        state = StateSettings(state=tmp_path / "state")
        run = await open_run(source, persona=PersonaSettings(), state=state, purpose="sync")
        gathered = []

        async def review_and_gather(run):
            await run.review()
            if before_facts:
                await before_facts(run)
            gathered.append(await facts.gather(run))

        summary = await carried_out(run, before_end=review_and_gather)
        return gathered[0], summary

    return sync


async def test_a_removed_page_is_in_the_report_of_the_run_that_removed_it_and_in_no_other(night, folder):
    await night()
    (folder / "3.md").unlink()
    seen = []
    for _ in range(3):
        gathered, summary = await night()
        seen.append([(title, uri) for title, uri, verdict in gathered.pages if verdict == "removed"])
        assert len(seen[-1]) == summary["pages"]["vanished"]
    removed = [("Chapter 3", (folder / "3.md").as_uri())]
    assert seen == [[], removed, []]


async def test_the_slowest_come_first_and_the_lists_are_bounded(night):
    async def slow(run):
        for n in range(20):
            item = Skipped(uri=f"https://docs.example.org/{n}", rule="timeout", outcome="failed", seconds=30.0 + n)
            await run.ledger.skip(run.run, item)
        made = [(f"https://docs.example.org/{n}", f"Article {n}", "thin") for n in range(70)]
        await run.ledger.keep_findings(run.run, made)

    gathered, _ = await night(slow)
    assert [seconds for _, seconds, _ in gathered.slowest] == [49.0 - n for n in range(10)]
    assert gathered.slowest[0] == ("https://docs.example.org/19", 49.0, "failed")
    assert len(gathered.findings) == facts.MOST_LISTED


async def test_findings_are_those_that_this_run_submitted(night, folder):
    (folder / "thin.md").write_text("# Thin\n\nNothing.\n")
    gathered, summary = await night()
    assert summary["reviewed"] == len(gathered.findings) > 0
    assert (folder / "thin.md").as_uri() in {uri for uri, _, _ in gathered.findings}
    text = reports.report(summary, gathered, prompts=[])
    assert f"{len(gathered.findings)} findings were submitted" in text
    assert all(reports.escaped(note, longest=300) in text for _, _, note in gathered.findings)
    again, _ = await night()
    assert list(again.findings) == []
    assert asdict(again)["failures"] == []
