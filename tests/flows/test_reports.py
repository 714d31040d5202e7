from __future__ import annotations

import re

import pytest

from connectors.pipeline.progress import Progress
from flows import facts as facts_of
from flows import notices, reports
from flows.facts import Facts


def summary(**changes):
    return {
        "name": "docs.example.org",
        "kind": "website",
        "run": "7",
        "where": "the embedded knowledge base",
        "state": "completed",
        "urls": {
            "discovered": 10,
            "fetched": 6,
            "not_modified": 1,
            "skipped": {"robots": 2},
            "failed": {"http-404": 1},
        },
        "pages": {"new": 5, "changed": 1, "unchanged": 0, "vanished": 0},
        "delivered": {"stored": 5, "streamed": 0, "updated": 1, "deleted": 0},
        "batches": {"delivered": 1, "failed": 0, "pending": 0},
        "verified": 6,
        "quarantined": 0,
        "prompts": 0,
        "reviewed": 0,
        "seconds": {"total": 3.0, "crawl": 2.0, "deliver": 0.5},
        "problems": [],
    } | changes


def test_the_report_balances_its_urls():
    text = reports.report(summary(), Facts(), prompts=[])
    assert "10 discovered = 6 fetched + 1 not modified + 2 skipped + 1 failed" in text


def test_added_pages_are_listed_with_links_and_the_rest_is_counted():
    facts = Facts(pages=[("Install", "https://docs.example.org/install", "new")])
    text = reports.report(summary(), facts, prompts=[])
    assert "## Added: 5" in text
    assert "[Install](https://docs.example.org/install)" in text
    assert "and 4 more" in text


@pytest.mark.parametrize(
    "title",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "a | b\n# no heading\n| c |",
        "![](http://evil.example/x.png)",
        "\x1b[31mred\x1b[0m \u202egnp.exe",
        "`code` ~~x~~ **b** &lt;i&gt;",
    ],
)
def test_a_hostile_title_stays_words(title):
    facts = Facts(pages=[(title, "https://docs.example.org/x", "new")], failures=[("https://e.org/", "timeout", title)])
    text = reports.report(summary(problems=[title]), facts, prompts=[title])
    assert "<script" not in text
    assert "<img" not in text
    assert not re.search(r"(?<!\\)\]\(javascript", text)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n# no heading" not in text


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
def test_only_web_addresses_become_links(uri):
    assert "](" not in reports.link("x", uri).replace(r"\]\(", "")


@pytest.mark.parametrize("words", ["see https://evil.example/", "www.evil.example", "mail me@evil.example"])
def test_an_address_among_words_is_no_link(words):
    assert not re.search(r"://|www\\?\.|@", reports.escaped(words))


def test_an_address_cannot_end_its_link_early():
    made = reports.link("x", "https://e.org/a) [b](javascript:alert(1)")
    assert made.count("](") == 1
    assert " " not in made.partition("](")[2]


@pytest.mark.parametrize("name", ["docs.example.org/a", "Docs", "ünïcode", "a--b", "x" * 200])
def test_keys_are_what_prefect_allows(name):
    key = reports.key_of("report", name)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key)
    assert len(key) < 100


def test_names_that_differ_in_signs_only_keep_their_own_history():
    assert reports.key_of("report", "a.b") != reports.key_of("report", "a/b")
    assert reports.key_of("report", "a.b") == reports.key_of("report", "a.b")


def test_progress_ends_at_100_and_not_before():
    progress = Progress(stage="crawling", discovered=10, read=10, delivered=10)
    assert reports.progress_percent(progress) < 100
    progress.stage = "done"
    assert reports.progress_percent(progress) == 100


def test_the_history_is_drawn_when_there_is_one():
    nights = [{"day": f"2026-01-{day:02d}", "pages": 100, "changes": day, "failures": 0} for day in (1, 2, 3)]
    text = reports.report(summary(), Facts(nights=nights), prompts=[])
    assert "The last 3 runs" in text
    assert "![Pages, changes and failures by run](data:image/svg+xml;base64," in text
    assert "data:" not in reports.report(summary(), Facts(nights=nights[:1]), prompts=[])


def test_what_changed_and_failed_is_read_before_what_was_slow():
    facts = Facts(
        pages=[("New", "https://docs.example.org/new", "new")],
        failures=[("https://docs.example.org/gone", "http-404", "it answers 404")],
        slowest=[("https://docs.example.org/slow", 2.0, "fetched")],
    )
    text = reports.report(summary(), facts, prompts=[])
    assert text.index("### Added") < text.index("### What failed") < text.index("### Slowest to read")


@pytest.mark.parametrize(
    ("changes", "events"),
    [
        ({}, ["sync.finished"]),
        ({"delivered": {"deleted": 3}}, ["sync.finished", "pages.removed"]),
        ({"state": "failed", "batches": {"failed": 1}}, ["sync.finished", "delivery.failed"]),
        ({"state": "stopped", "problems": ["the secret is wrong"]}, ["delivery.failed"]),
        ({"state": "stopped"}, []),
        ({"state": "awaiting-approval"}, ["approval.needed"]),
        ({"state": "approved", "delivered": {"deleted": 3}}, ["pages.removed"]),
    ],
)
def test_a_run_is_worth_these_events(changes, events):
    assert [name for name, _ in notices.of(summary(**changes))] == events


HOSTILE = "x | y\n# <script>alert(1)</script> [a](javascript:alert(1))"


def test_the_slowest_pages_are_listed_slowest_first_and_no_more_than_ten():
    slowest = [(f"https://docs.example.org/{n}", 20.0 - n, "not_modified") for n in range(12)]
    text = reports.report(summary(), Facts(slowest=slowest), prompts=[])
    assert "Slowest to read" in text
    assert "| [https" in text
    assert "| 20.00 s | not modified |" in text
    assert text.count(" s | not modified |") == 10
    assert "Slowest to read" not in reports.report(summary(), Facts(), prompts=[])


def test_findings_for_review_are_listed_with_article_and_note_and_the_rest_is_counted():
    findings = [("https://docs.example.org/a", "Install", "only 12 words"), ("file:///tmp/b.md", "B", "no title")]
    text = reports.report(summary(reviewed=7), Facts(findings=findings), prompts=[])
    assert "7 findings were submitted" in text
    assert "| [Install](https://docs.example.org/a) | only 12 words |" in text
    assert "| B | no title |" in text
    assert "and 5 more" in text


def test_removed_pages_are_listed_with_links_and_the_rest_is_counted():
    facts = Facts(pages=[("Old page", "https://docs.example.org/old", "removed")])
    text = reports.report(summary(pages={"vanished": 3}), facts, prompts=[])
    assert "### Removed: 3\n\n- [Old page](https://docs.example.org/old)\n- … and 2 more" in text


def test_no_list_lets_a_hostile_word_out_of_its_cell():
    address = "https://docs.example.org/a|b\n# c"
    facts = Facts(
        slowest=[(address, 1.0, HOSTILE)],
        findings=[(address, HOSTILE, HOSTILE)],
        pages=[(HOSTILE, address, "removed")],
    )
    text = reports.report(summary(reviewed=1, pages={"vanished": 1}), facts, prompts=[])
    assert "<script" not in text
    assert not re.search(r"(?<!\\)\]\(javascript", text)
    assert "\n# " not in text
    rows = [line for line in text.splitlines() if line.startswith("| [") and line.count("](https://docs") == 1]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [4, 3]


def test_what_a_bound_cut_stands_in_the_report():
    text = reports.report(summary(notes=["MAX_LINKS: 2 pages have <b>more</b> links"]), Facts(), prompts=[])
    assert "**Note:** MAX\\_LINKS: 2 pages have &lt;b&gt;more" in text


def test_the_night_itself_is_the_last_one_of_the_history():
    nights = [{"day": f"2026-11-{day:02d}", "pages": 5, "changes": 0, "failures": 0} for day in range(1, 31)]
    with_it = facts_of.with_tonight(Facts(nights=nights), summary())
    assert len(with_it.nights) == 30
    assert with_it.nights[-1] | {"day": ""} == {"day": "", "pages": 6, "changes": 6, "failures": 1}
    assert with_it.nights[0]["day"] == "2026-11-02"


def test_a_decision_s_report_says_what_was_done_and_what_was_asked():
    pages = [{"uri": "https://docs.example.org/old", "reason": "absent"}]
    asked = {"source": "docs", "run": 7, "approval": {"why": "1 of 2 pages", "count": 1, "pages": pages}}
    text = reports.decision_report(asked, "docs: approve all: 1 removed, 0 updated.")
    assert "docs: approve all: 1 removed, 0 updated" in text
    assert "(https://docs.example.org/old): absent" in text
    assert "Waits" not in text


@pytest.mark.parametrize(("pages", "words"), [((), ""), (("a",), "1 page waits"), (("a", "b"), "2 pages wait")])
def test_pages_in_quarantine_are_told_with_the_command_that_sends_them_again(pages, words):
    told = reports.set_aside(pages)
    assert told.strip().startswith(words)
    assert ("`persona-ingest retry --quarantined all`" in told) == bool(pages)
