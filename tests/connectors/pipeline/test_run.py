"""A whole run, from its first request to its summary, into the embedded knowledge base."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from connectors.errors import UsageError
from connectors.persona.server.schema import INDEXED_ANEW, STEPS
from connectors.persona.server.store import FILE
from connectors.pipeline import operate
from connectors.pipeline.run import open_run
from connectors.settings import DocumentsSource, WebsiteSource
from tests.connectors.pipeline.nights import night

BODY = "This page tells visitors, in enough words to be a page of its own, what they came here to learn about "


def fill(site, *names):
    site.article("/", "Home", BODY + "everything.", {f"/{name}": name for name in names})
    for name in names:
        site.article(f"/{name}", f"About {name}", BODY + name + ".")


def balanced(urls):
    ends = urls["fetched"] + urls["not_modified"] + sum(urls["skipped"].values()) + sum(urls["failed"].values())
    return urls["discovered"] == ends


async def carried_out(site, persona, state, *, purpose="import", **options):
    source = WebsiteSource(website=site.base, name="s", delay=0, **options)
    run = await open_run(source, persona=persona, state=state, purpose=purpose)
    async for head in run.batches():
        await run.deliver(head.id)
    try:
        await run.collect()
    except UsageError:
        return await run.finish()
    await run.change()
    await run.verify()
    await run.prompts()
    await run.review()
    return await run.finish()


@pytest.mark.parametrize("delivery", ["store", "stream"])
async def test_every_page_arrives_and_is_verified(site, persona, state, delivery):
    fill(site, *(f"p{number}" for number in range(12)))
    summary = await carried_out(site, persona, state, delivery=delivery, batch_size=5)
    assert summary["state"] == "completed"
    assert summary["verified"] == summary["pages"]["new"] == 13
    assert summary["delivered"]["stored" if delivery == "store" else "streamed"] == 13
    assert summary["batches"] == {"delivered": 3, "failed": 0, "pending": 0}
    assert summary["prompts"] > 0
    assert balanced(summary["urls"])


async def test_the_cleaning_processes_end_with_the_crawl(site, persona, state):
    fill(site, "a")
    others = children()  # of the tests before this one
    run = await open_run(WebsiteSource(website=site.base, name="s", delay=0), persona=persona, state=state)
    assert children() - others
    await run.collect()
    assert not children() - others
    await run.close()


def children():
    return {child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()}


async def test_a_second_import_changes_only_what_changed(site, persona, state):
    fill(site, "a", "b")
    await carried_out(site, persona, state)
    site.article("/a", "About a", BODY + "something new.")
    summary = await carried_out(site, persona, state)
    assert summary["pages"] == {"new": 0, "changed": 1, "unchanged": 2, "vanished": 0}
    assert summary["delivered"] == {"stored": 0, "streamed": 0, "updated": 1, "deleted": 0}
    assert summary["verified"] == 3


async def test_a_site_that_cannot_be_read_fails_with_balanced_books_and_one_sentence(site, persona, state):
    summary = await carried_out(site, persona, state)
    assert summary["state"] == "failed"
    assert summary["urls"]["failed"] == {"source-unreadable": 1}
    assert balanced(summary["urls"])
    assert len(summary["problems"]) == 1
    assert "404" in summary["problems"][0]


async def test_a_site_whose_links_name_another_host_says_why_it_is_one_page(site, persona, state):
    site.article(
        "/", "Home", BODY + "everything.", {"http://www.example.test/a": "a", "http://www.example.test/b": "b"}
    )
    summary = await carried_out(site, persona, state)
    assert summary["state"] == "completed"
    assert [note.partition(" lead ")[0] for note in summary["notes"]] == ["--scope: 2 links of the only page"]
    fill(site, "a")
    assert (await carried_out(site, persona, state, purpose="sync"))["notes"] == []


async def test_a_site_that_wants_a_login_is_told_how_to_send_one(site, persona, state):
    site.statuses["/"] = 401
    summary = await carried_out(site, persona, state)
    assert "it answers 401; if it wants a login, send what it asks for: --header" in summary["problems"][0]


async def test_a_page_that_keeps_failing_makes_the_run_fail_and_the_others_arrive(site, persona, state):
    fill(site, "a", "b")
    site.statuses["/b"] = 500
    summary = await carried_out(site, persona, state)
    assert summary["state"] == "failed"
    assert summary["urls"]["failed"] == {"http-500": 1}
    assert summary["verified"] == 2
    assert balanced(summary["urls"])


async def test_a_missing_page_does_not_make_the_run_fail(site, persona, state):
    fill(site, "a")
    site.statuses["/a"] = 404
    summary = await carried_out(site, persona, state)
    assert summary["state"] == "completed"
    assert summary["urls"]["failed"] == {"http-404": 1}


async def test_a_stopped_run_is_resumable_and_its_books_balance(site, persona, state):
    fill(site, *(f"p{number}" for number in range(40)))
    site.statuses["/p0"] = 500
    source = WebsiteSource(website=site.base, name="s", delay=0, concurrency=2, prompts=False, review=False)
    run = await open_run(source, persona=persona, state=state)
    run.start()
    while run.progress.done < 10 or "failed:http-500" not in run.progress.rules:
        await asyncio.sleep(0.01)
    run.stop()
    await asyncio.wait({run.start()})
    first = await run.finish()
    assert first["state"] == "stopped"
    assert balanced(first["urls"])
    assert first["problems"] == [], "nothing is to be put right"
    assert first["notes"] == []
    summary = await carried_out(site, persona, state)
    assert summary["run"] == first["run"]
    assert summary["notes"] == [
        "this run went on where one broke off: its counts are those of both, its times only its own"
    ]
    assert summary["problems"] == ["1 address could not be read for a reason that may pass; the next run asks again"]
    assert summary["verified"] == 40
    assert balanced(summary["urls"])


async def test_progress_knows_what_was_discovered_and_not_read_yet(site, persona, state):
    fill(site, *(f"p{number}" for number in range(40)))
    source = WebsiteSource(website=site.base, name="s", delay=0, concurrency=1, prompts=False, review=False)
    run = await open_run(source, persona=persona, state=state)
    run.start()
    async with asyncio.timeout(60):
        while run.progress.discovered < 41:
            await asyncio.sleep(0.001)
    assert run.progress.done < 41
    run.stop()
    await asyncio.wait({run.start()})
    left = 41 - run.progress.done
    await run.finish()
    again = await open_run(source, persona=persona, state=state)
    assert (again.resumed, again.progress.discovered) == (True, left)
    await again.collect()
    assert again.progress.done == left
    await again.close()


@pytest.mark.parametrize(("stop_after", "most"), [(10, 15), (10, 10)])
async def test_the_most_pages_are_counted_over_the_whole_run_and_not_anew_when_it_is_resumed(
    site, persona, state, stop_after, most
):
    fill(site, *(f"p{number}" for number in range(40)))
    source = WebsiteSource(
        website=site.base, name="s", delay=0, concurrency=1, max_pages=most, prompts=False, review=False
    )
    run = await open_run(source, persona=persona, state=state)
    run.start()
    while run.progress.done < stop_after:
        await asyncio.sleep(0.001)
    run.stop()
    await asyncio.wait({run.start()})
    first = await run.finish()
    summary = await carried_out(site, persona, state, max_pages=most)
    assert first["urls"]["fetched"] >= stop_after
    assert summary["urls"]["fetched"] == max(most, first["urls"]["fetched"])
    assert balanced(summary["urls"])


async def test_a_mass_removal_waits_and_does_exactly_what_was_approved(site, persona, state):
    names = [f"p{number}" for number in range(30)]
    fill(site, *names)
    await carried_out(site, persona, state, purpose="sync")
    site.pages = {}
    fill(site, *names[:20])
    await carried_out(site, persona, state, purpose="sync")
    waiting = await carried_out(site, persona, state, purpose="sync")
    assert waiting["state"] == "awaiting-approval"
    assert waiting["approval"]["count"] == 10
    assert waiting["delivered"]["deleted"] == 0
    some = [page["uri"] for page in waiting["approval"]["pages"]][:4]
    done = await operate.approve(int(waiting["run"]), persona=persona, state=state, only=some)
    assert (done["deleted"], done["verified"]) == (4, 27)
    with pytest.raises(UsageError, match="does not wait"):
        await operate.approve(int(waiting["run"]), persona=persona, state=state)


async def test_a_rejected_removal_leaves_everything_and_forgets_the_evidence(site, persona, state):
    names = [f"p{number}" for number in range(30)]
    fill(site, *names)
    await carried_out(site, persona, state, purpose="sync")
    site.pages = {}
    fill(site, *names[:20])
    await carried_out(site, persona, state, purpose="sync")
    waiting = await carried_out(site, persona, state, purpose="sync")
    kept = await operate.reject(int(waiting["run"]), persona=persona, state=state)
    assert kept["kept"] == 10
    after = await carried_out(site, persona, state, purpose="sync")
    assert after["state"] == "completed"
    assert after["verified"] == 31


async def test_a_redesign_that_halves_the_texts_waits(site, persona, state):
    names = [f"p{number}" for number in range(20)]
    site.article("/", "Home", BODY + "everything.", {f"/{name}": name for name in names})
    for name in names:
        site.article(f"/{name}", f"About {name}", (BODY + name + ". ") * 6)
    await carried_out(site, persona, state, purpose="sync")
    for name in names:
        site.article(f"/{name}", f"About {name}", BODY + name + ".")
    waiting = await carried_out(site, persona, state, purpose="sync")
    assert waiting["state"] == "awaiting-approval"
    assert "redesign" in waiting["approval"]["why"]
    assert waiting["delivered"]["updated"] == 0
    done = await operate.approve(int(waiting["run"]), persona=persona, state=state)
    assert done["updated"] == 20


async def test_a_site_whose_robots_forbid_everything_fails_and_names_the_rule(site, persona, state):
    fill(site, "a")
    site.robots = "User-agent: *\nDisallow: /"
    summary = await carried_out(site, persona, state)
    assert summary["state"] == "failed"
    assert summary["urls"]["skipped"] == {"robots": 1}
    assert "robots 1" in summary["problems"][0]
    assert balanced(summary["urls"])


async def nightly(folder, persona, state):
    return await night(DocumentsSource(documents=str(folder), name="h", prompts=False, review=False), persona, state)


async def test_the_time_of_delivery_is_what_passed_while_batches_went_side_by_side(site, persona, state):
    fill(site, *(f"p{number}" for number in range(12)))
    source = WebsiteSource(website=site.base, name="s", delay=0, batch_size=2, prompts=False, review=False)
    run = await open_run(source, persona=persona, state=state)
    await run.collect()
    heads = [head.id async for head in run.batches()]
    began = time.perf_counter()
    await asyncio.gather(*[run.deliver(head) for head in heads])
    took = time.perf_counter() - began
    await run.verify()
    summary = await run.finish()
    assert len(heads) == 7
    assert 0 < summary["seconds"]["deliver"] <= took + 0.001


async def test_a_folder_that_is_suddenly_empty_is_told_at_once_and_asked_about_later(tmp_path, persona, state):
    """A share that is not mounted: nothing else would be wrong with its first night."""
    folder = tmp_path / "handbook"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.md").write_text(f"# Number {number}\n\n{BODY}{number}.\n")
    assert (await nightly(folder, persona, state))["state"] == "completed"
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    first = await nightly(folder, persona, state)
    assert (first["state"], first["delivered"]["deleted"]) == ("failed", 0)
    assert "none of the 8 known pages was met: the source is empty" in first["problems"][0]
    assert (await nightly(folder, persona, state))["state"] == "awaiting-approval"


async def test_a_small_folder_is_not_emptied_without_asking(tmp_path, persona, state):
    folder = tmp_path / "handbook"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.md").write_text(f"# File {name}\n\n{BODY}{name}.\n")
    await nightly(folder, persona, state)
    for name in ("a", "b"):
        (folder / f"{name}.md").unlink()
    await nightly(folder, persona, state)
    waiting = await nightly(folder, persona, state)
    assert (waiting["state"], waiting["approval"]["count"]) == ("awaiting-approval", 2)
    done = await operate.approve(int(waiting["run"]), persona=persona, state=state)
    assert (done["deleted"], done["due"]) == (2, 0)


@pytest.mark.parametrize("validators", [True, False])
async def test_a_page_that_was_gone_and_comes_back_as_it_was_is_delivered_again(site, persona, state, validators):
    """Its server answers 304, or sends the bytes it sent before: nothing changed, and yet it is not there."""
    site.validators = validators
    fill(site, "a", "b")
    await carried_out(site, persona, state, purpose="sync")
    site.statuses["/a"] = 404
    await carried_out(site, persona, state, purpose="sync")
    assert (await carried_out(site, persona, state, purpose="sync"))["delivered"]["deleted"] == 1
    del site.statuses["/a"]
    back = await carried_out(site, persona, state, purpose="sync")
    assert (back["state"], back["pages"]["new"], back["delivered"]["stored"], back["verified"]) == (
        "completed",
        1,
        1,
        3,
    )
    assert (await carried_out(site, persona, state, purpose="sync"))["verified"] == 3


async def test_a_page_that_moved_and_moves_back_is_not_lost(site, persona, state):
    fill(site, "a", "b")
    await carried_out(site, persona, state, purpose="sync")
    site.pages["/c"] = site.pages["/a"]
    site.redirects["/a"] = "/c"
    assert (await carried_out(site, persona, state, purpose="sync"))["verified"] == 3
    del site.redirects["/a"], site.pages["/c"]
    for _ in range(3):
        summary = await carried_out(site, persona, state, purpose="sync")
        assert summary["state"] == "completed"
    assert summary["verified"] == 3


async def test_a_file_that_was_gone_and_comes_back_as_it_was_is_delivered_again(tmp_path, persona, state):
    folder = tmp_path / "handbook"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.md").write_text(f"# File {name}\n\n{BODY}{name}.\n")
    await nightly(folder, persona, state)
    (folder / "a.md").rename(tmp_path / "a.md")
    await nightly(folder, persona, state)
    assert (await nightly(folder, persona, state))["delivered"]["deleted"] == 1
    (tmp_path / "a.md").rename(folder / "a.md")
    back = await nightly(folder, persona, state)
    assert (back["pages"]["new"], back["verified"]) == (1, 2)


async def test_a_page_that_another_one_spoke_for_is_delivered_when_that_is_gone(site, persona, state):
    fill(site, "a", "b")
    site.pages["/a"] = site.pages["/b"].replace("<head>", "<head><link rel=canonical href=/b>")
    await carried_out(site, persona, state, purpose="sync")
    again = await carried_out(site, persona, state, purpose="sync")
    assert (again["urls"]["skipped"], again["urls"]["not_modified"]) == ({"canonical": 1}, 2)
    site.statuses["/b"] = 404
    for _ in range(3):
        summary = await carried_out(site, persona, state, purpose="sync")
        assert summary["state"] == "completed"
    assert (summary["verified"], summary["urls"]["skipped"]) == (2, {})


LOGIN = "<!doctype html><title>Sign in</title><h1>Sign in</h1><p>Please sign in.</p><form><input type=password></form>"


async def test_addresses_that_lead_to_a_login_are_skipped_with_advice_and_deliver_no_page(site, persona, state):
    fill(site, "a", "b", "c")
    for name in "bc":
        site.redirects[f"/{name}"] = f"/login?next=/{name}"
        site.pages[f"/login?next=/{name}"] = LOGIN
    summary = await carried_out(site, persona, state)
    assert summary["state"] == "completed"
    assert summary["urls"]["skipped"] == {"login": 4}
    assert summary["verified"] == 2
    assert any(note.startswith("--header: 4 addresses ask for a login") for note in summary["notes"])
    assert balanced(summary["urls"])


async def test_a_login_that_is_over_takes_no_page_out_of_the_knowledge_base(site, persona, state):
    fill(site, "a", "b")
    await carried_out(site, persona, state)
    site.redirects["/a"] = "/login"
    site.pages["/login"] = LOGIN
    for _ in range(3):
        summary = await carried_out(site, persona, state, purpose="sync")
        assert summary["urls"]["skipped"] == {"login": 2}
        assert summary["pages"] == {"new": 0, "changed": 0, "unchanged": 2, "vanished": 0}, (
            "no login in the place of /a"
        )
        assert summary["verified"] == 3


@pytest.mark.parametrize("goes", ["changes", "is gone"])
async def test_a_page_that_became_a_twin_is_delivered_again_when_the_other_one_goes(site, persona, state, goes):
    """Its own items left when it became one, and its text waited for this."""
    fill(site, "a", "b", "c")
    await carried_out(site, persona, state, purpose="sync")
    site.pages["/a"] = site.pages["/b"]
    twins = await carried_out(site, persona, state, purpose="sync")
    assert (twins["delivered"]["deleted"], twins["verified"]) == (1, 3)
    if goes == "changes":
        site.article("/b", "About b", BODY + "something new.")
    else:
        site.statuses["/b"] = 404
    for _ in range(2):
        summary = await carried_out(site, persona, state, purpose="sync")
        assert summary["state"] == "completed"
    assert summary["verified"] == (4 if goes == "changes" else 3)


async def test_a_crawl_that_was_cut_short_is_not_complete_when_its_run_goes_on(site, persona, state):
    """It has nothing left to ask, and what it did not come to may still be there."""
    fill(site, "a", "b", "c")
    source = WebsiteSource(website=site.base, name="s", delay=0, max_pages=2, prompts=False, review=False)
    run = await open_run(source, persona=persona, state=state, purpose="sync")
    await run.collect()
    run.stop()
    await run.finish()
    again = await open_run(source, persona=persona, state=state, purpose="sync")
    await again.collect()
    assert (again.resumed, again.complete) == (True, False)
    await again.close()


async def test_a_page_leaves_when_the_address_that_it_names_as_canonical_comes_back(site, persona, state):
    fill(site, "a", "b")
    more = "And here is a sentence of its own. "
    site.article("/a", "About b", BODY + "b.")
    site.pages["/a"] = site.pages["/a"].replace("<head>", "<head><link rel=canonical href=/b>")
    site.pages["/a"] = site.pages["/a"].replace("</main>", f"<p>{more * 3}</p></main>")
    site.statuses["/b"] = 404
    for _ in range(2):
        assert (await carried_out(site, persona, state, purpose="sync"))["verified"] == 2
    del site.statuses["/b"]
    for _ in range(2):
        summary = await carried_out(site, persona, state, purpose="sync")
    assert (summary["delivered"]["deleted"], summary["verified"]) == (1, 2)


async def test_what_the_embedded_knowledge_base_warns_of_stands_in_the_notes(site, persona, state):
    fill(site, "a")
    state.folder().mkdir()
    with closing(sqlite3.connect(state.folder() / FILE)) as db:
        db.executescript("".join(STEPS[: INDEXED_ANEW - 1]))
        db.execute("INSERT INTO pages VALUES (1, 'Keys', '{}', 'https://x.example/', 'en', '', '')")
        db.execute("INSERT INTO items VALUES (7, 1, 'Press rotate.', '')")
        db.execute(f"PRAGMA user_version = {INDEXED_ANEW - 1}")
        db.commit()
    summary = await carried_out(site, persona, state)
    assert any("1 items are indexed anew" in note for note in summary["notes"])
    assert (await carried_out(site, persona, state))["notes"] == []
