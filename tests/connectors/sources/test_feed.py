"""Feeds of every form against a real server on loopback."""

import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Reply, Site, redirect

from connectors.errors import UsageError
from connectors.models import Due, Resource, Skipped
from connectors.settings import FeedSource
from connectors.sources.feed import Feed
from connectors.sources.feed_parse import NoFeedError, parse
from connectors.web import urls
from connectors.web.fetcher import Fetcher, Limits

LONG = "<p>" + "A whole article with <b>many</b> words. " * 60 + "</p>"

RSS = (
    """<?xml version="1.0"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>Blog</title><link>{0}</link><language>en-gb</language>
<item><title>Whole &amp;amp; well</title><link>{0}/whole</link><dc:creator>Ann</dc:creator><category>News</category>
  <pubDate>Wed, 01 May 2024 10:00:00 +0200</pubDate><description>Short.</description>
  <content:encoded><![CDATA["""
    + LONG
    + """]]></content:encoded></item>
<item><title>Teaser</title><link>{0}/teaser</link><description>Only the beginning …</description></item>
<item><title>Moved</title><link>{0}/old</link><description>x</description></item>
<item><title>Again</title><link>{0}/teaser</link><description>the same address twice</description></item>
<item><title>Note</title><guid isPermaLink="false">note-1</guid>
  <description>A note without an address.</description></item>
<item><title>Gone</title><guid>{0}/gone</guid><description>x</description></item>
</channel></rss>"""
)

ATOM = (
    """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de"><title>A</title>
<link rel="next" href="/page2"/>
<entry xml:base="{0}/deep/"><id>urn:1</id><title type="html">&lt;b&gt;Eins&lt;/b&gt;</title><link href="one"/>
<author><name>Bo</name></author><published>2024-05-01T10:00:00Z</published><updated>2024-06-01T10:00:00Z</updated>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">"""
    + LONG
    + """</div></content></entry></feed>"""
)

PAGE2 = """<feed xmlns="http://www.w3.org/2005/Atom"><link rel="next" href="/page2"/>
<entry><id>urn:2</id><title>Zwei</title><link rel="alternate" href="/two"/><summary>Anfang</summary></entry></feed>"""

JSON = """{{"version": "https://jsonfeed.org/version/1.1", "title": "J", "items": [
{{"id": "1", "url": "{0}/j", "title": "a < b", "content_html": "LONG", "date_published": "2024-05-01T10:00:00+02:00",
 "authors": [{{"name": "Cy"}}], "tags": ["t"]}},
{{"id": 2, "content_text": "no address"}}]}}""".replace("LONG", LONG)


@pytest.fixture
async def site():
    made = await Site().start()
    made.page("/teaser")
    made.page("/new")
    made.page("/two")
    made.routes["/old"] = redirect("/hop")
    made.routes["/hop"] = redirect("/new")
    for path, text in (("/rss", RSS), ("/atom", ATOM), ("/json", JSON)):
        made.routes[path] = Reply(text.format(made.url), media_type="application/xml")
    made.routes["/page2"] = Reply(PAGE2, media_type="application/atom+xml")
    yield made
    await made.stop()


async def read(start, *, known=None, **options):
    memory = known or {}

    async def look(uri):
        return memory.get(uri)

    fetcher = Fetcher(user_agent="persona-ingest/0", allowed=(start,), limits=Limits(backoff_s=0.01))
    try:
        items = [i async for i in Feed(FeedSource(feed=start, **options), fetcher=fetcher, known=look).read()]
    finally:
        await fetcher.aclose()
    assert set(Counter(item.uri for item in items).values()) <= {1}, "each URI comes out once"
    return {urls.target_of(item.uri): item for item in items}, items


def told(outcomes):
    return {path: item.rule if isinstance(item, Skipped) else "read" for path, item in outcomes.items()}


async def test_whole_articles_come_from_the_feed_and_teasers_from_the_site(site):
    outcomes, items = await read(site.url + "/rss")
    assert [item.uri.removeprefix(site.url) for item in items][:2] == ["/whole", "/teaser"]
    assert "/whole" not in site.targets()
    assert b"A whole article" in outcomes["/whole"].body
    assert b"Text of /teaser" in outcomes["/teaser"].body
    assert {path: rule for path, rule in told(outcomes).items() if rule != "read"} == {
        "/old": "redirect",
        "/hop": "redirect",
        "/gone": "http-404",
    }
    notes = [item for item in items if "#entry=" in item.uri]
    assert [b"A note without an address." in item.body for item in notes] == [True]


async def test_what_a_feed_says_of_an_entry_is_kept_with_aware_dates(site):
    outcomes, _ = await read(site.url + "/rss")
    hints = outcomes["/whole"].hints
    assert (hints.title, hints.author, hints.section, hints.language) == ("Whole & well", "Ann", ("News",), "en-gb")
    assert hints.published == "2024-05-01T10:00:00+02:00"
    assert datetime.fromisoformat(hints.published).tzinfo


async def test_atom_with_bases_languages_and_further_pages(site):
    outcomes, _ = await read(site.url + "/atom")
    assert told(outcomes) == {"/deep/one": "read", "/two": "read"}
    first = outcomes["/deep/one"]
    assert (first.hints.title, first.hints.language, first.hints.author) == ("Eins", "de", "Bo")
    assert b'<base href="' + site.url.encode() + b'/deep/">' in first.body
    assert site.targets().count("/page2") == 1


async def test_a_json_feed(site):
    outcomes, items = await read(site.url + "/json")
    assert outcomes["/j"].hints.title == "a < b"
    assert b"<h1>a &lt; b</h1>" in outcomes["/j"].body
    assert len(items) == 2


async def test_an_entry_that_did_not_change_is_not_read_again(site):
    outcomes, _ = await read(site.url + "/rss")
    known = {i.uri: Due(uri=i.uri, by="known", etag=i.etag) for i in outcomes.values() if isinstance(i, Resource)}
    again, _ = await read(site.url + "/rss", known=known)
    assert again["/whole"].body is None
    assert again["/teaser"].body is not None, "its page has no validator"


async def test_globs_and_the_limit_name_what_they_leave_out(site):
    outcomes, _ = await read(site.url + "/rss", exclude=("/teaser",), max_pages=3)
    rules = told(outcomes)
    assert rules["/teaser"] == "excluded"
    assert rules["/gone"] == "max-pages"


async def test_robots_keep_an_article_and_not_the_feed_from_being_read(site):
    site.routes["/robots.txt"] = Reply("User-agent: *\nDisallow: /teaser\nDisallow: /rss", media_type="text/plain")
    outcomes, _ = await read(site.url + "/rss")
    assert told(outcomes)["/teaser"] == "robots"
    assert "/teaser" not in site.targets()


async def test_a_page_instead_of_a_feed_names_the_feed_it_links(site):
    site.routes["/"] = Reply('<html><link rel="alternate" type="application/rss+xml" href="/rss"></html>')
    with pytest.raises(UsageError, match=r"its feed is at http://127\.0\.0\.1:\d+/rss"):
        await read(site.url + "/")


@pytest.mark.parametrize("path", ["/none", "/bomb", "/other", "/empty"])
async def test_what_is_no_feed_is_a_mistake_of_the_user(site, path):
    site.routes["/bomb"] = Reply('<!DOCTYPE r [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><rss><item>&b;</item></rss>')
    site.routes["/other"] = Reply("<svg/>")
    site.routes["/empty"] = Reply("")
    with pytest.raises(UsageError, match="cannot be read as a feed"):
        await read(site.url + path)


async def test_a_further_page_that_fails_is_a_fault_and_the_rest_stays(site):
    site.routes["/page2"] = Reply("boom", status=500)
    outcomes, items = await read(site.url + "/atom")
    assert told(outcomes) == {"/deep/one": "read", "/page2": "feed-unreadable"}
    assert items[-1].fault


async def test_an_external_entity_in_utf16_is_refused():
    text = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss>&x;</rss>'
    with pytest.raises(NoFeedError, match="entities"):
        parse(text.encode("utf-16"), base="http://a.example/")


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda t: f"<rss><item>{t}</item></rss>".encode())))
def test_any_bytes_are_a_feed_or_none(body):
    try:
        feed = parse(body, base="http://a.example/")
    except NoFeedError:
        return
    assert all(entry.uri == "" or entry.uri.startswith("http") for entry in feed.entries)
