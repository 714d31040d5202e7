"""A source's items become pages in the ledger, and every URI ends in exactly one outcome."""

import asyncio

import pytest

from connectors.errors import FatalError, UsageError
from connectors.ledger import faults

BODY = "This page tells visitors, in enough words to be a page of its own, what they came here to learn about "


def balanced(counts):
    return counts.discovered == counts.fetched + counts.not_modified + sum(counts.skipped.values()) + sum(
        counts.failed.values()
    )


def fill(site, *names, **extra):
    site.article("/", "Home", BODY + "everything.", {f"/{name}": name for name in (*names, *extra.pop("also", ()))})
    for name in names:
        site.article(f"/{name}", f"About {name}", BODY + name + ".")


async def test_every_page_is_recorded_once_and_the_books_balance(site, crawl):
    fill(site, "a", "b", also=("missing",))
    counts, pages = await crawl()
    assert {uri.removeprefix(site.base) for uri in pages} == {"", "a", "b"}
    assert counts.failed == {"http-404": 1}
    assert balanced(counts)
    assert counts.faults == 0


async def test_the_text_that_is_sent_names_its_source_first(site, crawl):
    fill(site, "a")
    _, pages = await crawl()
    assert pages[site.base + "a"].content.startswith(f"Source: {site.base}a\n\n# About a\n")


async def test_a_noindex_page_is_not_kept_but_its_links_are_followed(site, crawl):
    fill(site, "a")
    site.pages["/a"] = (
        site.pages["/a"]
        .replace("<head>", "<head><meta name=robots content=noindex>")
        .replace("</main>", "<a href=/deep>deep</a></main>")
    )
    site.article("/deep", "Deep", BODY + "the deep.")
    counts, pages = await crawl()
    assert site.base + "a" not in pages
    assert site.base + "deep" in pages
    assert counts.skipped == {"noindex": 1}
    assert balanced(counts)


async def test_each_rule_has_an_example_under_the_outcome_that_the_books_name(site, crawl):
    fill(site, "a", "b")
    site.pages["/b"] = site.pages["/a"]
    site.types["/broken.pdf"] = "application/pdf"
    site.pages["/broken.pdf"] = "%PDF-1.4 and nothing more"
    site.article("/", "Home", BODY + "everything.", {f"/{name}": name for name in ("a", "b", "broken.pdf")})
    counts, _ = await crawl()
    assert (counts.skipped, counts.failed) == ({"duplicate": 1}, {"broken": 1})
    assert crawl.progress.examples["failed:broken"] == [site.base + "broken.pdf"]
    assert crawl.progress.examples["skipped:duplicate"][0] in {site.base + "a", site.base + "b"}
    assert (crawl.progress.read, crawl.progress.done) == (counts.fetched, counts.discovered)


async def test_what_was_read_and_is_no_page_counts_once_while_it_runs(site, crawl):
    fill(site, "a", "b", also=("missing",))
    site.pages["/a"] = site.pages["/a"].replace("<head>", "<head><meta name=robots content=noindex>")
    counts, _ = await crawl()
    assert (crawl.progress.read, crawl.progress.done) == (counts.fetched, counts.discovered)


@pytest.mark.parametrize("value", ["none", "noindex, nofollow", "otherbot: noindex, persona-ingest: none"])
async def test_x_robots_tag_none_keeps_page_and_links_out(site, crawl, value):
    fill(site, "a")
    site.pages["/a"] = site.pages["/a"].replace("</main>", "<a href=/deep>deep</a></main>")
    site.article("/deep", "Deep", BODY + "the deep.")
    site.headers["/a"] = {"x-robots-tag": value}
    counts, pages = await crawl()
    assert {uri.removeprefix(site.base) for uri in pages} == {""}
    assert site.asked("/deep") == 0
    assert balanced(counts)


async def test_a_page_whose_canonical_lives_is_left_to_it(site, crawl):
    fill(site, "a", "a-print")
    site.pages["/a-print"] = site.pages["/a"].replace("<head>", "<head><link rel=canonical href=/a>")
    counts, pages = await crawl()
    assert site.base + "a" in pages
    assert site.base + "a-print" not in pages
    assert sum(counts.skipped.values()) == 1
    assert balanced(counts)


async def test_a_page_whose_canonical_is_dead_is_kept(site, crawl):
    fill(site, "a")
    site.pages["/a"] = site.pages["/a"].replace("<head>", "<head><link rel=canonical href=/gone>")
    _, pages = await crawl()
    assert site.base + "a" in pages


async def test_a_site_that_names_its_home_page_as_canonical_everywhere_loses_nothing(site, crawl):
    fill(site, "a", "b", "c")
    for path in site.pages:
        site.pages[path] = site.pages[path].replace("<head>", "<head><link rel=canonical href=/>")
    counts, pages = await crawl()
    assert len(pages) == 4
    assert balanced(counts)


async def test_an_exact_duplicate_is_kept_once(site, crawl):
    fill(site, "a", "copy")
    site.pages["/copy"] = site.pages["/a"]
    counts, pages = await crawl()
    assert len([uri for uri in pages if uri in {site.base + "a", site.base + "copy"}]) == 1
    assert counts.skipped == {"duplicate": 1}
    assert balanced(counts)


async def test_a_page_s_own_markdown_is_preferred(site, crawl):
    fill(site, "a")
    site.pages["/a"] = site.pages["/a"].replace("<head>", "<head><link rel=alternate type=text/markdown href=/a.md>")
    site.pages["/a.md"] = f"# About a\n\n{BODY} a.\n\n```python\nx = 1\n\n\ny = 2\n```\n"
    site.types["/a.md"] = "text/markdown"
    _, pages = await crawl()
    assert "```python\nx = 1\n\n\ny = 2\n```" in pages[site.base + "a"].content


async def test_an_unchanged_site_is_asked_but_not_read_again(site, crawl):
    fill(site, "a", "b")
    await crawl()
    before = len(site.requests)
    counts, pages = await crawl()
    assert counts.not_modified == 3
    assert counts.new == counts.changed == 0
    assert all(status in {304, 404} for _, status in site.requests[before:])
    assert len(pages) == 3


@pytest.mark.parametrize("more", [False, True])
async def test_unchanged_pages_are_recorded_together_also_those_that_name_others(site, crawl, more):
    fill(site, *[f"n{number}" for number in range(40)])
    for number in range(40) if more else ():
        site.article(f"/n{number}", f"About n{number}", BODY + f"n{number}.", {f"/m{number}": "more"})
        site.article(f"/m{number}", f"More of {number}", BODY + f"m{number}.")
    await crawl()
    faults.plan("", counting=True)
    try:
        counts, _ = await crawl()
        steps = faults.met()["before unchanged"]
    finally:
        faults.plan("")
    assert counts.not_modified == (81 if more else 41)
    assert steps < 20
    assert balanced(counts)


async def test_same_bytes_without_validators_are_not_cleaned_again(site, crawl):
    site.validators = False
    fill(site, "a")
    await crawl()
    counts, _ = await crawl()
    assert counts.fetched == 2
    assert (counts.new, counts.changed) == (0, 0)


class DiedError(Exception):
    """What stands for a process that ends here."""


def die():
    raise DiedError


@pytest.mark.parametrize("validators", [True, False])
@pytest.mark.parametrize("place", ["before unchanged:1", "after unchanged:1"])
async def test_a_night_that_dies_around_an_unchanged_page_still_meets_what_it_names(site, crawl, validators, place):
    site.validators = validators
    fill(site, "a", "b")
    site.article("/a", "About a", BODY + "a.", {"/deep": "deeper"})
    site.article("/deep", "Deep", BODY + "the deep.")
    await crawl()
    faults.plan(place, fate=die)
    try:
        with pytest.raises(DiedError):
            await crawl(concurrency=1)
    finally:
        faults.plan("")
    counts, _ = await crawl()
    assert counts.discovered == 4
    assert balanced(counts)


class NoCleaners:
    """What no process starts for."""

    at_once = 1

    async def clean(self, resource, rules):
        raise FatalError("The cleaning processes do not start.")


@pytest.mark.parametrize("pages", [(), tuple("abcdefgh")])
async def test_a_run_that_can_clean_nothing_ends_at_once_also_when_its_crawl_waits_for_it(site, crawl, pages):
    fill(site, *pages)
    running = asyncio.create_task(crawl(cleaners=NoCleaners()))
    done, _ = await asyncio.wait({running}, timeout=20)
    running.cancel()
    assert done, "it hangs"
    with pytest.raises(FatalError, match="do not start"):
        await running


async def test_a_cleaning_option_reaches_pages_that_did_not_change(site, crawl):
    fill(site, "a")
    site.pages["/a"] = site.pages["/a"].replace("</main>", "<p class=offer>Buy this thing now</p></main>")
    _, before = await crawl()
    counts, after = await crawl(remove=(".offer",))
    assert "Buy this thing" in before[site.base + "a"].content
    assert "Buy this thing" not in after[site.base + "a"].content
    assert counts.changed == 1


async def test_a_crawl_that_was_stopped_goes_on_and_asks_no_page_twice(site, crawl):
    fill(site, *(f"p{n}" for n in range(60)))
    recorded = await crawl(stop_after=20, concurrency=4)
    assert len(recorded) >= 18, "those that wait for the whole site are not among them"
    counts, pages = await crawl()
    assert len(pages) == 61
    assert balanced(counts)
    again = {uri for uri in recorded if site.asked(uri.removeprefix(site.base.rstrip("/"))) != 1}
    assert again <= {site.base}, "what was recorded is not asked again, but the start page"
    assert counts.discovered == 61


async def test_a_start_page_that_answers_404_is_a_usage_error_with_a_sentence(site, crawl):
    with pytest.raises(UsageError, match="404"):
        await crawl()
