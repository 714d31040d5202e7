"""A bound that cut something says so in the summary, by its name; and the page of bounds is true."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from pathlib import Path

import pytest
from loopback import Reply, redirect

from connectors.errors import IngestError
from connectors.ledger import Counts
from connectors.pipeline import summaries
from connectors.pipeline.run import open_run
from connectors.settings import FeedSource, PersonaSettings, StateSettings, WebsiteSource
from connectors.sources import feed, feed_parse, website
from connectors.web.fetcher import Fetcher, Limits
from connectors.web.sites import Sites
from connectors.web.traps import TrapLimits
from flows import console

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def fetcher_of():
    return lambda site: Fetcher(user_agent="persona-ingest/0", allowed=(site.url,), limits=Limits(attempts=1))


async def summary_of(site, tmp_path, **options):
    source = WebsiteSource(website=site.url + "/", delay=0, render="never", prompts=False, review=False, **options)
    state = StateSettings(state=tmp_path / "state", ledger=None)
    run = await open_run(source, persona=PersonaSettings(client_secret=None), state=state)
    await run.collect()
    return await run.finish()


async def test_links_that_were_not_followed_stand_in_the_summary(site, tmp_path, monkeypatch):
    monkeypatch.delenv("PERSONA_BASE_URL", raising=False)
    site.page("/a")
    links = "<a href=/a>a</a>" + "".join(f"<a href=//x.test/{number}>n</a>" for number in range(website.MAX_LINKS))
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


async def test_robots_txt_over_500_kib_is_a_note(site, tmp_path, monkeypatch):
    monkeypatch.delenv("PERSONA_BASE_URL", raising=False)
    site.page("/")
    site.routes["/robots.txt"] = Reply("# x\n" * 130_000, media_type="text/plain")
    notes = (await summary_of(site, tmp_path))["notes"]
    assert notes == ["MAX_ROBOTS_BYTES: 1 robots.txt were longer than is read; the rest of them was left out"]


async def test_redirects_without_end_are_a_note(site, tmp_path, monkeypatch):
    monkeypatch.delenv("PERSONA_BASE_URL", raising=False)
    site.page("/", "/r0")
    for number in range(12):
        site.routes[f"/r{number}"] = redirect(f"/r{number + 1}")
    notes = (await summary_of(site, tmp_path))["notes"]
    assert notes == ["max_redirects: 1 addresses lead from one to the next without end"]


async def test_a_feed_without_end_and_a_page_of_it_with_too_many_entries_are_counted(site, fetcher_of):
    entry = "<item><guid isPermaLink='false'>{}</guid><title>T</title><description>d</description></item>"
    for number in range(feed.PAGES + 2):
        link = f"<link xmlns='http://www.w3.org/2005/Atom' rel='next' href='/feed?{number + 1}'/>"
        body = f"<rss><channel>{link}{entry.format(1)}</channel></rss>"
        site.routes[f"/feed?{number}"] = Reply(body, media_type="application/rss+xml")
    source = feed.Feed(FeedSource(feed=f"{site.url}/feed?0", delay=0), fetcher=fetcher_of(site))
    assert len([item async for item in source.read()]) == 1
    assert +source.cuts == {"PAGES": 1}
    many = "".join(map(entry.format, range(feed_parse.ENTRIES + 1)))
    assert feed_parse.parse(f"<rss><channel>{many}</channel></rss>".encode(), base="http://x.test/").cut


async def test_a_sitemap_that_nests_too_deep_is_counted(site, fetcher_of):
    site.routes["/s.xml"] = Reply("<urlset>" + "<a>" * 100, media_type="application/xml")
    cuts = Counter()
    sites = Sites(fetcher_of(site), cuts=cuts)
    assert [item.rule async for item in sites.listed({f"{site.url}/s.xml": True})] == ["sitemap-unreadable"]
    assert cuts["MAX_NESTING"] == 1


async def test_a_crawl_that_waited_for_delivery_is_a_note(site, tmp_path, monkeypatch):
    monkeypatch.delenv("PERSONA_BASE_URL", raising=False)
    site.page("/", *(f"/{number}" for number in range(30)))
    for number in range(30):
        site.page(f"/{number}")
    options = {"prompts": False, "review": False, "batch_size": 1}
    source = WebsiteSource(website=site.url + "/", delay=0, render="never", **options)
    state = StateSettings(state=tmp_path / "state", ledger=None)
    run = await open_run(source, persona=PersonaSettings(client_secret=None), state=state)
    run.outbox.most = 100
    async for head in run.batches():
        await run.deliver(head.id)
    notes = (await run.finish())["notes"]
    assert [note.partition(":")[0] for note in notes] == ["OUTBOX_BYTES"]


async def test_an_answer_of_the_api_that_was_not_read_on_is_a_note(site, tmp_path):
    site.page("/", title="How to reset a password")
    site.routes["/persona/api/kb/auto-generate-prompts"] = Reply(b"x" * 17 * 1024**2, media_type="application/json")
    source = WebsiteSource(website=site.url + "/", delay=0, render="never")
    persona = PersonaSettings(client_secret=None, base_url=f"{site.url}/persona/")
    run = await open_run(source, persona=persona, state=StateSettings(state=tmp_path / "state", ledger=None))
    await run.collect()
    with contextlib.suppress(IngestError):
        await run.prompts()
    notes = (await run.finish())["notes"]
    assert notes == ["answer: 1 answers of the Persona API were larger than their call allows and were not read on"]


@pytest.mark.parametrize("name", sorted(summaries._CUTS))
def test_each_bound_that_is_counted_stands_on_the_page_with_its_name(name):
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    assert any(f"| `{name}` |" in line for line in page.splitlines())


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
    assert summaries.notes(Counts(), {}) == []
