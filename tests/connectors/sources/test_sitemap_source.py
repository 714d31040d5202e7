"""The sitemap source against a real server on loopback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from loopback import Reply, Site, redirect

from connectors.errors import UsageError
from connectors.models import Resource
from connectors.settings import SitemapSource
from connectors.sources.sitemap import Sitemap
from connectors.web import urls
from connectors.web.fetcher import Fetcher, Limits
from connectors.web.frontier import MemoryStore


@pytest.fixture
async def site():
    made = await Site().start()
    yield made
    await made.stop()


async def read(site, **options):
    fetcher = Fetcher(user_agent="x/1", allowed=(site.url,), limits=Limits(backoff_s=0.01))
    source = Sitemap(SitemapSource(sitemap=f"{site.url}/map.xml", **options), fetcher=fetcher, store=MemoryStore())
    outcomes = {}
    try:
        async for item in source.read():
            assert item.uri not in outcomes
            outcomes[item.uri] = "fetched" if isinstance(item, Resource) else item.rule
            if isinstance(item, Resource):
                await source.learn(item, (f"{site.url}/linked",))
    finally:
        await fetcher.aclose()
    return {urls.target_of(uri): outcome for uri, outcome in outcomes.items()}


def listing(*paths: str) -> Reply:
    entries = "".join(f"<url><loc>{path}</loc></url>" for path in paths)
    return Reply(f"<urlset>{entries}</urlset>", media_type="application/xml")


async def test_exactly_what_is_listed_is_read(site):
    site.routes["/map.xml"] = listing("/a", "/b", "/a#x", "/logo.png", "/gone")
    site.page("/a", "/linked")
    site.page("/b")
    assert await read(site) == {"/a": "fetched", "/b": "fetched", "/logo.png": "media", "/gone": "http-404"}


async def test_globs_robots_and_the_most_pages_hold_here_too(site):
    site.routes["/robots.txt"] = Reply("User-agent: *\nDisallow: /closed", media_type="text/plain")
    site.routes["/map.xml"] = listing("/a", "/closed", "/old/x", "/b", "/c")
    for path in ("/a", "/b", "/c"):
        site.page(path)
    outcomes = await read(site, exclude=("/old/**",), **{"max-pages": 2})
    assert sorted(outcomes.values()) == ["excluded", "fetched", "fetched", "max-pages", "robots"]


async def test_a_listed_page_that_moved_is_read_where_it_is(site):
    site.routes["/map.xml"] = listing("/old")
    site.routes["/old"] = redirect("/new")
    site.page("/new")
    assert await read(site) == {"/old": "redirect", "/new": "fetched"}


async def test_what_cannot_be_read_as_a_sitemap_is_a_usage_error(site):
    for reply in (Reply("", 404), Reply("<html>hello", media_type="text/html"), Reply("", 500)):
        site.routes["/map.xml"] = reply
        with pytest.raises(UsageError, match="sitemap"):
            await read(site)


async def test_an_empty_sitemap_is_an_empty_site(site):
    site.routes["/map.xml"] = listing()
    assert await read(site) == {}
