"""What prompts and review are told of pages: each page's facts are made once, and are the same for both."""

from __future__ import annotations

import pytest

from connectors.ledger import open_ledger
from connectors.models import Draft, Extracted, Page, Resource
from connectors.pipeline import enriching

TEXT = """Source: https://x.example/a

# A

## Install it ##

```
## not a heading
```

### [The link](https://x.example/b) and `code`

text [not closed

## ](and *another)*
"""


def test_headings_are_plain_text_and_what_is_fenced_is_none():
    assert enriching.headings(TEXT) == ("Install it", "The link and code", "](and another)")


def test_no_more_headings_than_a_page_may_name():
    many = "\n".join(f"## Part {number}\n" for number in range(30))
    assert enriching.headings(many) == tuple(f"Part {number}" for number in range(enriching.HEADINGS_A_PAGE))
    assert enriching.headings("no heading") == ()


@pytest.fixture
async def filled(tmp_path):
    async with open_ledger(f"sqlite:///{tmp_path / 'l.sqlite3'}") as ledger:
        run = await ledger.begin(source="s", kind="website", origin="o", destination="d", options={}, purpose="import")
        for number in range(6):
            uri = f"https://x.example/{number}"
            page = Page(uri=uri, title=f"Page {number}", content=f"## Part {number}", blocks=(9, number, 9))
            draft = Draft(
                page=page, content=f"Source: {uri}\n\n## Part {number}\n", text_hash=f"{number:032x}", fingerprint="f"
            )
            resource = Resource(uri=uri, requested_uri=uri, media_type="text/html", body=b"x", status=200)
            await ledger.record(run, resource, Extracted(pages=(page,)), [draft], config="c")
        yield ledger, run


async def test_review_is_shown_the_pages_that_prompts_were_asked_about(filled):
    subject = enriching.Subject(*filled, only="brought")
    sample = await subject.sample()
    assert [page.headings for page in sample] == [(f"Part {number}",) for number in range(6)]
    assert [page.blocks for page in sample[:2]] == [(0, 9), (1, 9)]
    for _ in range(2):
        assert [id(page) for page in sample] == [id(page) async for page in subject.each()]


async def test_review_alone_reads_no_texts_and_sees_the_same_pages_twice(filled):
    subject = enriching.Subject(*filled)
    first, second = [[page async for page in subject.each()] for _ in range(2)]
    assert [page.uri for page in first] == [f"https://x.example/{number}" for number in range(6)]
    assert first == second
    assert {page.headings for page in first} == {()}


async def test_of_a_large_source_nothing_is_kept_and_all_is_seen(filled, monkeypatch):
    monkeypatch.setattr(enriching, "SAMPLE", 2)
    subject = enriching.Subject(*filled)
    sample = await subject.sample()
    assert 1 < len(sample) < 6
    assert [page.uri async for page in subject.each()] == [f"https://x.example/{number}" for number in range(6)]
    assert subject._kept is None
