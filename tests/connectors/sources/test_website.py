"""The website source against real servers on loopback."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from loopback import Reply, Site, redirect

from connectors.errors import UsageError
from connectors.models import Found, Resource
from connectors.settings import WebsiteSource
from connectors.sources.website import Website
from connectors.web import urls
from connectors.web.fetcher import Fetcher, Limits
from connectors.web.frontier import MemoryStore
from connectors.web.traps import TrapLimits

HREF = re.compile(rb'<a\b[^>]*?\bhref="([^"]*)"')


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
        limits=fetch_limits or Limits(backoff_s=0.01),
        delay_s=options.get("delay"),
    )
    source = Website(
        WebsiteSource(website=start, **options), fetcher=fetcher, store=store or MemoryStore(), limits=limits
    )
    outcomes: dict[str, object] = {}
    times: Counter[str] = Counter()
    try:
        async for item in source.read():
            times[item.uri] += 1
            outcomes[urls.target_of(item.uri)] = item
            if isinstance(item, Resource):
                found = HREF.findall(item.body or b"") if item.media_type == "text/html" else ()
                links = (urls.normalise(link.decode(), item.uri) for link in found)
                await source.learn(item, tuple(dict.fromkeys(link for link in links if link)))
    finally:
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
    assert "exclude glob" in outcomes["/private/a.html"].detail
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
            await crawl(
                site.url + path,
                limits=TrapLimits(click_depth=30, variants=40, faceted_variants=20, maze_from=100, maze=20),
            )
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


async def test_with_domain_scope_other_hosts_of_the_domain_are_crawled_each_by_its_own_robots(site):
    """Both hosts are on loopback by a resolver of the test's own; the operator named both."""
    from connectors.web.address_book import AddressBook
    from connectors.web.door import Door

    www, docs = f"http://www.example.test:{site.port}", f"http://docs.example.test:{site.port}"

    def robots(asked):
        closed = asked.headers["host"].startswith("docs")
        return Reply("User-agent: *\nDisallow: /closed" if closed else "", media_type="text/plain")

    site.routes["/robots.txt"] = robots
    site.page("/", f"{docs}/open", f"{docs}/closed", f"http://www.other.test:{site.port}/")
    site.page("/open")
    site.page("/closed")

    async def here(host, port):
        return ["127.0.0.1"]

    fetcher = Fetcher(user_agent="persona-ingest/0", door=Door(AddressBook((www, docs), resolver=here)))
    source = Website(WebsiteSource(website=www, scope="domain"), fetcher=fetcher, store=MemoryStore())
    seen = {}
    async for item in source.read():
        seen[item.uri] = "fetched" if isinstance(item, Resource) else item.rule
        if isinstance(item, Resource):
            links = HREF.findall(item.body)
            await source.learn(item, tuple(urls.normalise(link.decode(), item.uri) for link in links))
    await fetcher.aclose()
    assert seen == {f"{www}/": "fetched", f"{docs}/open": "fetched", f"{docs}/closed": "robots"}


async def test_the_scope_follows_the_start_page_where_it_is_redirected(site):
    site.routes["/docs"] = redirect("/docs/")
    site.page("/docs/", "a", "/blog")
    site.page("/docs/a")
    site.page("/blog")
    assert rules(await crawl(site.url + "/docs")) == {"/docs": "redirect", "/docs/": "fetched", "/docs/a": "fetched"}
    site.routes["/start/"] = redirect("/en/guide/intro")
    site.page("/en/guide/intro", "next")
    site.page("/en/guide/next")
    assert rules(await crawl(site.url + "/start/")) == {
        "/start/": "redirect",
        "/en/guide/intro": "fetched",
        "/en/guide/next": "fetched",
    }


async def test_a_start_page_that_leads_to_another_site_says_so(site):
    site.routes["/"] = redirect("https://other.example/")
    with pytest.raises(UsageError, match="another site"):
        await crawl(site.url + "/")
    site.routes["/"] = redirect("/")
    with pytest.raises(UsageError, match="circle"):
        await crawl(site.url + "/")


async def test_only_included_pages_are_meant_to_be_kept_and_the_start_page_gives_its_links(site):
    site.page("/", "/docs/a", "/blog/b")
    site.page("/docs/a")
    outcomes = await crawl(site.url + "/", include=("/docs/**",))
    assert rules(outcomes) == {"/": "fetched", "/docs/a": "fetched", "/blog/b": "not-included"}
    assert "noindex" in outcomes["/"].robots
    assert outcomes["/docs/a"].robots == ()
    assert "/blog/b" not in site.targets()


def test_a_start_page_that_is_excluded_or_a_wrong_glob_is_a_usage_error():
    for options in ({"exclude": ("/a/**",)}, {"include": ("/a/[",)}):
        with pytest.raises(UsageError):
            Website(
                WebsiteSource(website="http://h/a/b", **options),
                fetcher=Fetcher(user_agent="x/1"),
                store=MemoryStore(),
            )


async def test_robots_that_forbid_the_start_are_an_outcome_with_a_reason(site):
    site.routes["/robots.txt"] = Reply("User-agent: *\nDisallow: /", media_type="text/plain")
    outcomes = await crawl(site.url + "/")
    assert rules(outcomes) == {"/": "robots"}
    assert "forbids" in outcomes["/"].detail
    assert site.targets(pages=False) == ["/robots.txt"], "and nothing else is asked for"


async def test_our_own_group_in_robots_txt_counts(site):
    site.routes["/robots.txt"] = Reply("User-agent: persona-ingest\nDisallow: /a\n\nUser-agent: *\nDisallow: /")
    site.page("/", "/a", "/b")
    site.page("/b")
    assert rules(await crawl(site.url + "/")) == {"/": "fetched", "/a": "robots", "/b": "fetched"}


async def test_a_crawl_delay_is_kept_unless_the_operator_says_otherwise(site):
    from time import monotonic

    site.routes["/robots.txt"] = Reply("User-agent: *\nCrawl-delay: 0.2", media_type="text/plain")
    site.page("/", "/a", "/b", "/c")
    for path in ("/a", "/b", "/c"):
        site.page(path)
    began = monotonic()
    await crawl(site.url + "/")
    assert monotonic() - began >= 0.6
    site.asked.clear()
    site.routes["/robots.txt"] = Reply("User-agent: *\nCrawl-delay: 30", media_type="text/plain")
    assert len(await asyncio.wait_for(crawl(site.url + "/", delay=0.0), 30)) == 4


async def test_nofollow_in_the_head_leads_nowhere_and_noindex_is_passed_on(site):
    site.page("/", "/a", "/b", headers=[])
    site.page("/a", "/hidden", headers=[("X-Robots-Tag", "none")])
    site.page("/b", headers=[("X-Robots-Tag", "googlebot: noindex")])
    outcomes = await crawl(site.url + "/")
    assert rules(outcomes) == {"/": "fetched", "/a": "fetched", "/b": "fetched"}
    assert outcomes["/a"].robots == ("noindex", "nofollow")
    assert outcomes["/b"].robots == ()


async def test_a_sitemap_that_fails_is_told_because_its_pages_are_not_seen(site):
    site.routes["/robots.txt"] = Reply("Sitemap: /broken.xml\nSitemap: /bad.xml", media_type="text/plain")
    site.routes["/broken.xml"] = Reply("", 500)
    site.routes["/bad.xml"] = Reply("<html>", media_type="text/html")
    site.page("/")
    outcomes = await crawl(site.url + "/")
    assert rules(outcomes) == {"/": "fetched", "/broken.xml": "sitemap-unreadable", "/bad.xml": "sitemap-unreadable"}
    assert outcomes["/broken.xml"].fault
    assert not outcomes["/bad.xml"].fault


async def test_a_broken_sitemap_that_pages_link_to_comes_out_once(site):
    site.routes["/robots.txt"] = Reply("Sitemap: /map.xml", media_type="text/plain")
    site.routes["/map.xml"] = Reply("", 500)
    site.page("/", "/map.xml", "/a")
    site.page("/a", "/map.xml")
    assert set(rules(await crawl(site.url + "/"))) == {"/", "/a", "/map.xml"}


async def test_gzipped_sitemaps_and_one_in_the_folder_are_found(site):
    import gzip

    body = f"<urlset><url><loc>{site.url}/docs/orphan</loc></url></urlset>".encode()
    site.routes["/docs/sitemap.xml"] = Reply(gzip.compress(body), media_type="application/gzip")
    site.page("/docs/")
    site.page("/docs/orphan")
    assert set(await crawl(site.url + "/docs/")) == {"/docs/", "/docs/orphan"}


async def test_sitemaps_that_name_each_other_end(site):
    site.routes["/robots.txt"] = Reply("Sitemap: /0.xml", media_type="text/plain")

    def index(asked):
        n = int(asked.path[1:-4])
        locations = "".join(f"<sitemap><loc>/{m}.xml</loc></sitemap>" for m in (n, n + 1, n + 2))
        return Reply(f"<sitemapindex>{locations}</sitemapindex>", media_type="application/xml")

    site.fallback = lambda asked: index(asked) if asked.path.endswith(".xml") else Reply("", 404)
    site.page("/")
    site.routes["/sitemap.xml"] = Reply("", 404)
    counted = Counter(rules(await crawl(site.url + "/")).values())
    assert counted["trap-sitemaps"] >= 1


async def test_a_crawl_resumes_from_its_store_and_asks_nothing_twice(site):
    """The first reader stops in the middle; a second one over the same store does the rest."""
    site.page("/", *[f"/{n}" for n in range(30)])
    for n in range(30):
        site.page(f"/{n}")
    store = MemoryStore()
    fetcher = Fetcher(user_agent="x/1", allowed=(site.url,), concurrency=1)
    first = Website(WebsiteSource(website=site.url + "/"), fetcher=fetcher, store=store)
    done = []
    items = first.read()
    async for item in items:
        done.append(item.uri)
        await first.learn(item, tuple(f"{site.url}/{n}" for n in range(30)))
        if len(done) == 5:
            break
    await items.aclose()
    await fetcher.aclose()
    # A store that outlives its process hands out again what had no outcome.
    again = MemoryStore()
    await again.add([found_again(uri) for uri in store._known])
    await again.take(100)
    again._due.extend(due for due in [due_again(uri) for uri in sorted(store._known)] if due.uri not in done)
    rest = await crawl(site.url + "/", store=again)
    assert len(rest) + len(done) == 31
    assert not set(done) & {item.uri for item in rest.values()}


def found_again(uri):
    from connectors.models import Found

    return Found(uri=uri, by="link")


def due_again(uri):
    from connectors.models import Due

    return Due(uri=uri, by="link")


async def test_closing_the_reader_ends_all_fetches_at_once(site):
    site.page("/", *[f"/slow{n}" for n in range(20)])
    site.fallback = lambda asked: Reply("x", delay_s=60 if asked.path.startswith("/slow") else 0)
    fetcher = Fetcher(user_agent="x/1", allowed=(site.url,))
    source = Website(WebsiteSource(website=site.url + "/"), fetcher=fetcher, store=MemoryStore())
    items = source.read()
    first = await anext(items)
    await source.learn(first, tuple(f"{site.url}/slow{n}" for n in range(20)))
    waiting = asyncio.ensure_future(anext(items))
    while site.in_flight < 4:
        await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.wait_for(items.aclose(), 30)
    await fetcher.aclose()
    left = [task for task in asyncio.all_tasks() if "Crawl." in repr(task.get_coro())]
    assert left == []


async def test_a_store_that_fails_ends_the_crawl_loudly(site):
    class Full(MemoryStore):
        async def take(self, limit):
            if await self.counts() != (1, 1):
                raise OSError("disk full")
            return await super().take(limit)

    site.page("/", "/a")
    with pytest.raises(OSError, match="disk full"):
        await crawl(site.url + "/", store=Full())


async def test_a_pages_own_markdown_is_fetched_beside_the_crawl(site):
    site.routes["/robots.txt"] = Reply("User-agent: *\nDisallow: /no.md", media_type="text/plain")
    site.routes["/a.md"] = Reply("# A", media_type="text/markdown")
    site.routes["/html.md"] = Reply("<p>", media_type="text/html")
    fetcher = Fetcher(user_agent="x/1", allowed=(site.url,))
    source = Website(WebsiteSource(website=site.url + "/"), fetcher=fetcher, store=MemoryStore())
    got = await source.fetch_alternate(f"{site.url}/a.md")
    assert isinstance(got, Resource)
    assert got.body == b"# A"
    assert (await source.fetch_alternate(f"{site.url}/html.md")).rule == "media"
    assert (await source.fetch_alternate(f"{site.url}/no.md")).rule == "robots"
    assert (await source.fetch_alternate("mailto:x")).rule == "bad-url"
    await fetcher.aclose()


async def test_unchanged_pages_come_without_a_body_and_still_lead_on(site):
    from connectors.models import Due

    class Remembering(MemoryStore):
        async def take(self, limit):
            return [Due(uri=d.uri, by=d.by, depth=d.depth, etag='"1"') for d in await super().take(limit)]

    def answer(asked):
        return Reply("", 304) if asked.headers.get("if-none-match") else Reply("x", headers=[("ETag", '"1"')])

    site.routes["/"] = site.routes["/a"] = answer
    fetcher = Fetcher(user_agent="x/1", allowed=(site.url,))
    source = Website(WebsiteSource(website=site.url + "/"), fetcher=fetcher, store=Remembering())
    bodies = {}
    async for item in source.read():
        bodies[urls.path_of(item.uri)] = item.body
        await source.learn(item, (f"{site.url}/a",))
    await fetcher.aclose()
    assert bodies == {"/": b"x", "/a": None}, "the start page is looked at in full, all others only when they changed"


async def test_what_several_pages_name_at_once_is_found_once_and_by_the_first(site):
    class Noting(MemoryStore):
        found: ClassVar[list[Found]] = []

        async def add(self, found):
            self.found.extend(found)
            return await super().add(found)

    store = Noting()
    site.routes["/"] = site.routes["/a"] = site.routes["/b"] = site.routes["/c"] = Reply("x")
    fetcher = Fetcher(user_agent="x/1", allowed=(site.url,))
    source = Website(WebsiteSource(website=site.url + "/", concurrency=1, delay=0), fetcher=fetcher, store=store)
    named = {"/": ("/a", "/b", "https://else.example/"), "/a": ("/", "/c"), "/b": ("/c", "/a"), "/c": ()}
    waiting = []
    async for item in source.read():
        path = urls.path_of(item.uri)
        waiting.append((item, tuple(urls.normalise(link, site.url) for link in named[path])))
        if path in {"/", "/b", "/c"}:
            await source.learn_together(waiting)
            waiting = []
    await fetcher.aclose()
    found = [(urls.path_of(item.uri), urls.path_of(item.via)) for item in store.found if item.by == "link"]
    assert found == [("/a", "/"), ("/b", "/"), ("/c", "/a")]


DOCUMENTATION = [
    Path("/usr/share/doc/python3/html"),
    Path("/usr/share/doc/postgresql-doc-15/html"),
]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("root", DOCUMENTATION, ids=lambda path: path.parts[-2])
async def test_a_real_site_is_crawled_to_the_last_page_that_links_lead_to(site, root):
    """An independent walk over the package's files, by the links in them, must give the same pages."""
    if not (root / "index.html").is_file():
        pytest.skip(f"{root} is not installed")
    from html import unescape
    from html.parser import HTMLParser
    from posixpath import normpath
    from urllib.parse import unquote, urljoin, urlsplit

    class Links(HTMLParser):
        def __init__(self):
            super().__init__()
            self.found = []

        def handle_starttag(self, tag, attrs):
            if tag == "a" and (href := dict(attrs).get("href")):
                self.found.append(href)

    def links_of(body, uri):
        parser = Links()
        parser.feed(body.decode("utf-8", "replace"))
        return [urljoin(uri, href) for href in parser.found]

    base = "http://walk.test/"
    walked, missing, todo = set(), set(), ["/"]
    while todo:
        path = todo.pop()
        file = root / normpath(unquote(path)).lstrip("/")
        file = file / "index.html" if path.endswith("/") else file
        if path in walked or path in missing:
            continue
        if not file.is_file():
            missing.add(path)
            continue
        walked.add(path)
        if file.suffix == ".html":
            for link in links_of(file.read_bytes(), base.rstrip("/") + path):
                parts = urlsplit(link)
                if parts.scheme == "http" and parts.netloc == "walk.test" and not parts.query:
                    todo.append(parts.path or "/")

    def serve(asked):
        file = root / normpath(unquote(asked.path)).lstrip("/")
        file = file / "index.html" if asked.path.endswith("/") else file
        if not file.is_file():
            return Reply("", 404)
        kind = "text/html" if file.suffix == ".html" else "text/plain"
        return Reply(file.read_bytes(), media_type=kind)

    site.fallback = serve
    fetcher = Fetcher(user_agent="x/1", allowed=(site.url,))
    source = Website(WebsiteSource(website=site.url + "/"), fetcher=fetcher, store=MemoryStore())
    outcomes = {}
    async for item in source.read():
        path = urls.target_of(item.uri)
        assert path not in outcomes
        outcomes[path] = "fetched" if isinstance(item, Resource) else item.rule
        if isinstance(item, Resource):
            links = HREF.findall(item.body) if item.media_type == "text/html" else ()
            forms = (urls.normalise(unescape(link.decode()), item.uri) for link in links)
            await source.learn(item, tuple(dict.fromkeys(form for form in forms if form)))
    await fetcher.aclose()
    fetched = {unquote(path) for path, outcome in outcomes.items() if outcome == "fetched"}
    passed_over = {unquote(path) for path, outcome in outcomes.items() if outcome == "media"}
    assert fetched | passed_over == {unquote(path) for path in walked}
    assert {path for path, outcome in outcomes.items() if outcome == "http-404"} == missing
