"""Texts of ours that another hand changed in the knowledge base: a run says so and leaves them."""

import pytest

from connectors.persona.server import embedded
from connectors.settings import WebsiteSource
from tests.connectors.pipeline.nights import night


@pytest.mark.parametrize(("edited", "said"), [(0, []), (1, ["1 page has"]), (2, ["2 pages have"])])
async def test_a_night_says_how_many_pages_have_a_text_that_somebody_changed(site, persona, state, edited, said):
    for name in ("/", "/a", "/b"):
        site.article(
            name, f"About {name}", f"Enough words about {name} to be a page of its own.", {"/a": "a", "/b": "b"}
        )
    source = WebsiteSource(website=site.base, name="s", delay=0, prompts=False, review=False)
    assert (await night(source, persona, state))["notes"] == []
    knowledge = embedded(state.folder())
    items = [item.id async for item in knowledge.training_data()]
    for item in items[:edited]:
        await knowledge.update_training_data(item, f"Edited by hand: {item}")
    await knowledge.close()
    summary = await night(source, persona, state)
    assert summary["state"] == "completed"
    assert [note.partition(" another text")[0] for note in summary["notes"]] == said
