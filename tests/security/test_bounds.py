"""A bound that cut something says so in the summary, by its name; and the page of bounds is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from loopback import Reply

from connectors.ledger import Counts
from connectors.pipeline import summaries
from connectors.pipeline.run import open_run
from connectors.settings import PersonaSettings, StateSettings, WebsiteSource
from connectors.sources import website
from connectors.web.fetcher import Limits
from connectors.web.traps import TrapLimits
from flows import console

ROOT = Path(__file__).resolve().parents[2]


async def summary_of(site, tmp_path, **options):
    source = WebsiteSource(website=site.url + "/", delay=0, render="never", prompts=False, review=False, **options)
    state = StateSettings(state=tmp_path / "state", ledger=None)
    run = await open_run(source, persona=PersonaSettings(client_secret=None), state=state)
    await run.collect()
    return await run.finish()


async def test_links_that_were_not_followed_stand_in_the_summary(site, tmp_path, monkeypatch):
    monkeypatch.delenv("PERSONA_BASE_URL", raising=False)
    links = "".join(f"<a href=//x.test/{number}>n</a>" for number in range(website.MAX_LINKS + 1))
    site.routes["/"] = Reply(f"<title>Many</title><main><h1>Many</h1><p>More than anybody follows.</p></main>{links}")
    summary = await summary_of(site, tmp_path)
    assert summary["notes"] == ["MAX_LINKS: 1 pages have more links than are followed; the rest of theirs was left out"]


async def test_what_a_bound_cut_is_a_note_and_no_problem(site, tmp_path, monkeypatch):
    monkeypatch.delenv("PERSONA_BASE_URL", raising=False)
    site.page("/", "/a", "/b", "/c/c/c/d")
    site.page("/a")
    site.page("/b")
    summary = await summary_of(site, tmp_path, max_pages=2)
    notes = {note.partition(":")[0]: note for note in summary["notes"]}
    assert notes["--max-pages"].startswith("--max-pages: ")
    assert notes["repeats"] == "repeats: 1 addresses repeat a path segment too often"
    assert not any("max-pages" in problem for problem in summary["problems"])
    shown = console.summary(summary, examples={}, where="here", prompts=[])
    assert "  Note        repeats: 1 addresses" in shown


@pytest.mark.parametrize("rule", sorted(summaries._BOUNDS))
def test_each_bound_of_the_summary_stands_on_the_page_with_its_name_and_its_rule(rule):
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    name = summaries._BOUNDS[rule][0]
    assert any(f"`{name}`" in line and f"`{rule}`" in line for line in page.splitlines() if line.startswith("|"))


def test_the_defaults_on_the_page_are_those_of_the_code():
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+)", page, re.MULTILINE))
    limits = TrapLimits()
    told = {name: int(value.replace(",", "")) for name, value in rows.items() if hasattr(limits, name)}
    assert told == {name: getattr(limits, name) for name in told}
    assert len(told) > 8
    assert int(rows["MAX_LINKS"].replace(",", "")) == website.MAX_LINKS
    assert int(rows["max_bytes"].replace(",", "")) * 1024**2 == Limits().max_bytes


def test_a_run_that_met_no_bound_has_no_notes():
    assert summaries.notes(Counts(), links_cut=0) == []
