"""What a person may name on the command line."""

import pytest

from connectors.errors import UsageError
from connectors.pipeline.naming import origin_of
from connectors.pipeline.operate import preview, source_for
from connectors.settings import DocumentsSource


def test_an_address_is_a_website_and_a_folder_is_documents(tmp_path):
    assert origin_of(source_for("http://127.0.0.1:8000/")) == ("website", "http://127.0.0.1:8000/")
    assert origin_of(source_for(str(tmp_path))) == ("documents", str(tmp_path))
    assert isinstance(source_for("s3://bucket/folder"), DocumentsSource)


def test_a_word_that_is_neither_is_refused_with_a_hint():
    with pytest.raises(UsageError, match=r"https://docs\.example\.com"):
        source_for("docs.example.com")


async def test_a_preview_asks_for_nothing_that_robots_forbid_and_says_so(site):
    site.robots = "User-agent: *\nDisallow: /secret"
    site.article("/secret/a", "Secret", "What nobody is to read.")
    site.article("/open", "Open", "What everybody may read, in so many words.")
    site.redirects["/moved"] = "/secret/a"
    site.redirects["/away"] = "/open"
    forbidden = await preview(source_for(site.base + "secret/a"))
    assert (forbidden.reason, forbidden.pages, site.asked("/secret/a")) == ("robots", [], 0)
    assert (await preview(source_for(site.base + "moved"))).reason == "robots"
    shown = await preview(source_for(site.base + "away"))
    assert (shown.reason, shown.uri, len(shown.pages)) == ("", site.base + "open", 1)


async def test_a_preview_of_what_is_not_there_says_why(site):
    with pytest.raises(UsageError, match="it answers 404"):
        await preview(source_for(site.base + "missing"))
