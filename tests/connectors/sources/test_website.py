"""The website source against real servers on loopback."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from loopback import Reply, Site, redirect

from connectors.errors import UsageError
from connectors.models import Resource
from connectors.settings import WebsiteSource
from connectors.sources.website import Website
from connectors.web import urls
from connectors.web.fetcher import Fetcher, Limits
from connectors.web.frontier import MemoryStore
from connectors.web.traps import TrapLimits

HREF = re.compile(rb'href="([^"]*)"')


@pytest.fixture
async def site():
    made = await Site().start()
    yield made
    await made.stop()


async def crawl(start: str, *, store=None, limits=None, fetch_limits=None, **options):
    """Crawl as the pipeline does; return outcomes by path, and how often each URI came out."""
    fetcher = Fetcher(
        user_agent="persona-ingest/0 (+https://example.com)",
        allowed=(start,),
        limits=fetch_limits or Limits(backoff_s=0.01, whole_s=5, idle_s=5),
        delay_s=options.get("delay"),
    )
    source = Website(
        WebsiteSource(website=start, **options), fetcher=fetcher, store=store or MemoryStore(), limits=limits
    )
    outcomes: dict[str, object] = {}
    times: Counter[str] = Counter()
    async for item in source.read():
        times[item.uri] += 1
        outcomes[urls.target_of(item.uri)] = item
        if isinstance(item, Resource):
            found = HREF.findall(item.body or b"") if item.media_type == "text/html" else ()
            links = (urls.normalise(link.decode(), item.uri) for link in found)
            await source.learn(item, tuple(dict.fromkeys(link for link in links if link)))
    await fetcher.aclose()
    assert set(times.values()) <= {1}, "each URI comes out exactly once"
    return outcomes


def rules(outcomes):
    return {path: "fetched" if isinstance(item, Resource) else item.rule for path, item in outcomes.items()}


async def test_every_page_that_links_lead_to_comes_out_once(site):
    site.page("/", "/a.html", "b.html#part", "/a.html?", "//elsewhere.invalid/")
    site.page("/a.html", "/", "b.html", "missing.html")
    site.page("/b.html", "/a.html#x")
    outcomes = await crawl(site.url + "/")
    assert rules(outcomes) == {
        "/": "fetched",
        "/a.html": "fetched",
        "/b.html": "fetched",
        "/a.html?": "fetched",
        "/missing.html": "http-404",
    }
    assert not outcomes["/missing.html"].fault


async def test_the_scope_is_the_folder_of_the_start_page(site):
    site.page("/docs/intro.html", "/docs/deep/x.html", "/blog/", "other.html")
    site.page("/docs/deep/x.html")
    site.page("/docs/other.html")
    site.page("/blog/")
    assert set(await crawl(site.url + "/docs/intro.html")) == {
        "/docs/intro.html",
        "/docs/deep/x.html",
        "/docs/other.html",
    }
    assert "/blog/" in await crawl(site.url + "/docs/intro.html", scope="host")


async def test_an_excluded_url_is_counted_and_never_requested(site):
    site.page("/", "/private/a.html", "/public/b.html")
    site.page("/public/b.html")
    outcomes = await crawl(site.url + "/", exclude=("/private/**",))
    assert rules(outcomes)["/private/a.html"] == "excluded"
    assert not any("private" in target for target in site.targets())


async def test_robots_forbids_and_is_obeyed(site):
    site.routes["/robots.txt"] = Reply("User-agent: *\nDisallow: /secret/\n", media_type="text/plain")
    site.page("/", "/secret/a.html", "/open.html")
    site.page("/open.html")
    assert rules(await crawl(site.url + "/")) == {"/": "fetched", "/secret/a.html": "robots", "/open.html": "fetched"}
    assert "/secret/a.html" not in site.targets()


async def test_a_robots_txt_that_fails_forbids_everything(site):
    site.routes["/robots.txt"] = Reply("", 500)
    site.page("/")
    outcomes = await crawl(site.url + "/")
    assert rules(outcomes) == {"/": "robots-unreachable"}
    assert outcomes["/"].fault
    assert site.targets() == []


async def test_max_pages_counts_fetched_pages(site):
    site.page("/", *[f"/p{i}.html" for i in range(20)], "/missing.html")
    for i in range(20):
        site.page(f"/p{i}.html")
    counted = Counter(rules(await crawl(site.url + "/", **{"max-pages": 5})).values())
    assert counted["fetched"] == 5
    assert counted["max-pages"] + counted["http-404"] == 17


async def test_max_depth_stops_at_that_many_clicks(site):
    for i in range(6):
        site.page(f"/{i or ''}", f"/{i + 1}")
    assert rules(await crawl(site.url + "/", **{"max-depth": 2})) == {
        "/": "fetched",
        "/1": "fetched",
        "/2": "fetched",
        "/3": "max-depth",
    }


async def test_redirects_are_accounted_hop_by_hop_and_the_target_is_fetched_once(site):
    site.page("/", "/old", "/older", "/new")
    site.routes["/older"] = redirect("/old", 301)
    site.routes["/old"] = redirect("/new#part", 301)
    site.page("/new")
    outcomes = await crawl(site.url + "/")
    assert rules(outcomes) == {"/": "fetched", "/old": "redirect", "/older": "redirect", "/new": "fetched"}
    assert site.targets().count("/new") == 1


async def test_a_redirect_loop_is_named_and_ends(site):
    site.page("/", "/a")
    site.routes["/a"] = redirect("/b")
    site.routes["/b"] = redirect("/a")
    outcomes = await crawl(site.url + "/")
    assert sorted(rules(outcomes).values()) == ["fetched", "redirect", "redirect-loop"]
    assert not any(getattr(item, "fault", False) for item in outcomes.values())


async def test_a_redirect_out_of_scope_is_not_followed(site):
    site.page("/docs/", "/docs/out")
    site.routes["/docs/out"] = redirect("/elsewhere/")
    assert rules(await crawl(site.url + "/docs/"))["/docs/out"] == "redirect-out-of-scope"
    assert "/elsewhere/" not in site.targets()


async def test_sitemaps_add_what_no_link_leads_to(site):
    site.routes["/robots.txt"] = Reply(f"Sitemap: {site.url}/index.xml", media_type="text/plain")
    site.routes["/index.xml"] = Reply(
        f"<sitemapindex xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'><sitemap><loc>{site.url}/one.xml</loc>"
        "</sitemap></sitemapindex>",
        media_type="application/xml",
    )
    site.routes["/one.xml"] = Reply(
        f"<urlset><url><loc> {site.url}/orphan.html </loc><lastmod>2024-01-01</lastmod></url>"
        "<url><loc>http://other.invalid/x</loc></url></urlset>",
        media_type="application/xml",
    )
    site.page("/", "/linked.html")
    site.page("/linked.html")
    site.page("/orphan.html")
    assert rules(await crawl(site.url + "/")) == {
        "/": "fetched",
        "/linked.html": "fetched",
        "/orphan.html": "fetched",
    }


async def test_pictures_and_archives_are_not_requested_and_documents_are(site):
    site.page("/", "/logo.png", "/all.zip", "/manual.pdf", "/picture")
    site.routes["/manual.pdf"] = Reply(b"%PDF-1.4", media_type="application/pdf")
    site.routes["/picture"] = Reply(b"PNG", media_type="image/png")
    assert rules(await crawl(site.url + "/")) == {
        "/": "fetched",
        "/logo.png": "media",
        "/all.zip": "media",
        "/manual.pdf": "fetched",
        "/picture": "media",
    }
    assert not {"/logo.png", "/all.zip"} & set(site.targets())


@pytest.mark.parametrize("path", ["/calendar", "/facets", "/deep", "/repeat", "/session"])
async def test_every_trap_ends_with_its_rule_named(site, path):
    def answer(asked):
        number = len(asked.target)
        n = len(site.asked)
        links = {
            "/calendar": [f"/calendar/{n}/{n + 1}", f"/calendar/{n}"],
            "/facets": [f"/facets?a={n}&b={n + i}&c={number}" for i in range(3)],
            "/deep": [f"{asked.path.rstrip('/')}/{n}-{i}/" for i in range(1)],
            "/repeat": [asked.path.rstrip("/") + "/a/b/"],
            "/session": [f"/session?visit={n:08d}ab{i}" for i in range(3)],
        }[path]
        return Reply("".join(f'<a href="{link}">x</a>' for link in links))

    site.fallback = lambda asked: answer(asked) if asked.path.startswith(path) else Reply("", 404)
    counted = Counter(
        rules(
            await crawl(site.url + path, limits=TrapLimits(click_depth=30, variants=40, faceted_variants=20))
        ).values()
    )
    assert any(rule.startswith("trap-") for rule in counted), counted


async def test_a_start_page_that_cannot_be_read_says_so_in_one_sentence(site):
    site.routes["/data.json"] = Reply("{}", media_type="application/json")
    site.routes["/pic"] = Reply(b"x", media_type="image/png")
    for path, word in (("/gone", "404"), ("/data.json", "no HTML"), ("/pic", "image/png")):
        with pytest.raises(UsageError, match=word):
            await crawl(site.url + path)
    with pytest.raises(UsageError, match="does not resolve"):
        await crawl("http://does-not-exist.invalid/")


async def test_a_refused_connection_says_so(site):
    start = site.url + "/"
    await site.stop()
    with pytest.raises(UsageError, match="no connection"):
        await crawl(start)


async def test_a_page_that_keeps_failing_is_a_fault_and_the_rest_goes_on(site):
    site.page("/", "/bad", "/good")
    site.routes["/bad"] = Reply("", 500)
    site.page("/good")
    outcomes = await crawl(site.url + "/")
    assert rules(outcomes) == {"/": "fetched", "/bad": "http-500", "/good": "fetched"}
    assert outcomes["/bad"].fault
    assert site.targets().count("/bad") == 3
