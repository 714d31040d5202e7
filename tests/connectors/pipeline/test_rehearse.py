"""A dry run tells the truth and writes nothing."""

import hashlib

from connectors.pipeline.run import open_run
from connectors.settings import WebsiteSource

BODY = "This page tells visitors, in enough words to be a page of its own, what they came here to learn about "


def fill(site, *names):
    site.article("/", "Home", BODY + "everything.", {f"/{name}": name for name in names})
    for name in names:
        site.article(f"/{name}", f"About {name}", BODY + name + ".")


async def night(site, persona, state, **options):
    source = WebsiteSource(website=site.base, name="s", delay=0, prompts=False, review=False, **options)
    run = await open_run(source, persona=persona, state=state, purpose="sync")
    async for head in run.batches():
        await run.deliver(head.id)
    await run.change()
    await run.verify()
    return await run.finish()


def digest(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


async def test_a_dry_run_names_what_would_be_added_changed_and_deleted(site, persona, state):
    fill(site, "a", "b", "c")
    await night(site, persona, state)
    fill(site, "a", "b", "d")
    site.article("/b", "About b", BODY + "something else.")
    await night(site, persona, state)
    site.article("/a", "About a", BODY + "news.")
    before = digest(state.folder())
    summary = await night(site, persona, state, dry_run=True)
    assert digest(state.folder()) == before
    assert summary["state"] == "completed"
    assert summary["would"]["add"] == []
    assert [change["uri"] for change in summary["would"]["change"]] == [site.base + "a"]
    assert any(line.startswith("+") and "news." in line for line in summary["would"]["change"][0]["diff"])
    assert [page["uri"] for page in summary["would"]["delete"]] == [site.base + "c"]
    real = await night(site, persona, state)
    assert (real["delivered"]["updated"], real["delivered"]["deleted"]) == (1, 1)


async def test_a_dry_run_of_a_new_source_says_how_many_calls_it_would_take(site, persona, state):
    fill(site, *(f"p{number}" for number in range(11)))
    summary = await night(site, persona, state, dry_run=True, batch_size=5)
    assert len(summary["would"]["add"]) == 12
    assert summary["would"]["calls"]["store"] == 3
    assert not (state.folder() / "ledger.sqlite3").exists()
