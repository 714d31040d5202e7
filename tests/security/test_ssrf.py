"""No form of an inside address, at any entry point, makes this program dial it.

Every entry point gets all `forms` (addresses written oddly) and, where it asks for what lies in a scope, all `named`
(names of the site itself that resolve inside). The canary records nothing, the interpreter's audit hook hears every
dial, and the resolver tells that each name came as far as the guard.
"""

from __future__ import annotations

import re
from html import escape

import httpx
import pytest
from loopback import Reply, redirect
from ssrf_forms import SITE, forms, named, names

from connectors.errors import RetryableError, UsageError
from connectors.models import Resource, Skipped
from connectors.persona.client import PersonaClient
from connectors.pipeline.run import open_run
from connectors.settings import FeedSource, PersonaSettings, SitemapSource, StateSettings, WebsiteSource
from connectors.sources.feed import Feed
from connectors.sources.sitemap import Sitemap
from connectors.sources.website import Website
from connectors.web import urls
from connectors.web.address_book import AddressBook
from connectors.web.addresses import is_public
from connectors.web.door import Door
from connectors.web.fetcher import Fetcher, Limits
from connectors.web.frontier import MemoryStore
from connectors.web.guard import open_client
from connectors.web.sites import Sites

OPEN: list[Fetcher] = []


@pytest.fixture(autouse=True)
async def _closed():
    yield
    while OPEN:
        await OPEN.pop().aclose()


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.delenv("PERSONA_BASE_URL", raising=False)
    return StateSettings(state=tmp_path / "state", ledger=None)


def home(site) -> str:
    """Return the site's address by the name whose siblings lead inside."""
    return f"http://{SITE}:{site.port}"


def fetcher_for(site, resolver) -> Fetcher:
    made = Fetcher(
        user_agent="persona-ingest/0",
        allowed=(site.url, home(site)),
        resolver=resolver,
        concurrency=64,
        limits=Limits(attempts=1, connect_s=20, idle_s=20, whole_s=40),
    )
    OPEN.append(made)
    return made


def nothing_reached(site, canary, dials) -> None:
    assert canary.asked == []
    assert canary.connections == 0
    assert {(where[0], where[1]) for where in dials} <= {("127.0.0.1", site.port)}


def each_came_to_the_guard(resolver) -> None:
    assert resolver.asked >= set(names(SITE)), set(names(SITE)) - resolver.asked


def location(form: str) -> Reply:
    return redirect(form.replace("\n", "").encode().decode("latin-1"))


def test_there_are_two_hundred_forms_and_more():
    assert len({urls.normalise(form) for form in forms(1)}) >= 200, "that differ, however they are written"
    assert len(set(named(1))) >= 200


async def test_a_direct_fetch_reaches_nothing(site, canary, dials, resolver):
    fetcher = fetcher_for(site, resolver)
    for form in (*forms(canary.port), *named(canary.port)):
        uri = urls.normalise(form)
        if uri:
            got = await fetcher.fetch(uri)
            assert isinstance(got, Skipped), form
            assert got.rule in {"private-address", "dns"}, (form, got)
    nothing_reached(site, canary, dials)
    each_came_to_the_guard(resolver)


async def test_a_url_that_skipped_normalising_reaches_nothing(site, canary, dials, resolver):
    fetcher = fetcher_for(site, resolver)
    for form in forms(canary.port):
        assert not isinstance(await fetcher.fetch(form.strip()), Resource), form
    nothing_reached(site, canary, dials)


async def test_a_redirect_reaches_nothing(site, canary, dials, resolver):
    fetcher = fetcher_for(site, resolver)
    for number, form in enumerate((*forms(canary.port), *named(canary.port))):
        site.routes[f"/r{number}"] = location(form)
        got = await fetcher.fetch(f"{site.url}/r{number}")
        assert isinstance(got, Skipped), form
        assert got.rule in {"private-address", "dns", "bad-redirect", "http-404"}, (form, got)
    nothing_reached(site, canary, dials)
    each_came_to_the_guard(resolver)


async def read_all(source) -> list:
    items = []
    async for item in source.read():
        items.append(item)
        if isinstance(item, Resource):
            links = re.findall(rb'href="([^"]*)"', item.body or b"")
            found = (urls.normalise(link.decode(), item.uri) for link in links)
            await source.learn(item, tuple(dict.fromkeys(link for link in found if link)))
    return items


def website(site, resolver, **options):
    return Website(
        WebsiteSource(website=home(site) + "/", delay=0, **options),
        fetcher=fetcher_for(site, resolver),
        store=MemoryStore(),
    )


def links(*addresses: str) -> Reply:
    return Reply("".join(f'<a href="{escape(form)}">x</a>' for form in addresses))


@pytest.mark.parametrize("scope", ["path", "host", "domain"])
async def test_links_of_a_page_reach_nothing(site, canary, dials, resolver, scope):
    site.routes["/"] = links(*forms(canary.port), *named(canary.port))
    await read_all(website(site, resolver, scope=scope))
    nothing_reached(site, canary, dials)
    if scope == "domain":
        each_came_to_the_guard(resolver)


async def test_documents_that_a_page_links_reach_nothing(site, canary, dials, resolver):
    site.routes["/"] = links(*named(canary.port, "/canary.pdf"), *named(canary.port, "/canary.docx"))
    items = await read_all(website(site, resolver, scope="domain"))
    assert sum(item.uri.endswith((".pdf", ".docx")) for item in items) >= 400
    nothing_reached(site, canary, dials)
    each_came_to_the_guard(resolver)


async def test_redirects_of_pages_reach_nothing(site, canary, dials, resolver):
    for number, form in enumerate((*forms(canary.port), *named(canary.port))):
        site.routes[f"/r{number}"] = location(form)
    site.page("/", *site.routes)
    await read_all(website(site, resolver, scope="domain"))
    assert len(site.targets()) > 600
    nothing_reached(site, canary, dials)
    each_came_to_the_guard(resolver)


async def test_sitemaps_that_robots_names_reach_nothing(site, canary, dials, resolver):
    named_there = (*forms(canary.port), *named(canary.port, "/sitemap.xml"))
    lines = [f"Sitemap: {form}" for form in named_there if "\n" not in form]
    site.routes["/robots.txt"] = Reply("\n".join(lines), media_type="text/plain")
    site.page("/")
    await read_all(website(site, resolver))
    nothing_reached(site, canary, dials)
    each_came_to_the_guard(resolver)


async def test_redirects_of_sitemaps_reach_nothing(site, canary, dials, resolver):
    lines = []
    for number, form in enumerate((*forms(canary.port), *named(canary.port))):
        site.routes[f"/map{number}.xml"] = location(form)
        lines.append(f"Sitemap: {home(site)}/map{number}.xml")
    site.routes["/robots.txt"] = Reply("\n".join(lines), media_type="text/plain")
    site.page("/")
    await read_all(website(site, resolver))
    assert sum(asked.path.startswith("/map") for asked in site.asked) > 600
    nothing_reached(site, canary, dials)
    each_came_to_the_guard(resolver)


async def test_addresses_that_a_sitemap_lists_reach_nothing(site, canary, dials, resolver):
    inside = (*forms(canary.port), *named(canary.port))
    listed = "".join(f"<url><loc>{escape(form)}</loc></url>" for form in inside)
    nested = "".join(f"<sitemap><loc>{escape(form)}</loc></sitemap>" for form in inside)
    site.routes["/list.xml"] = Reply(f"<urlset>{listed}</urlset>", media_type="application/xml")
    site.routes["/index.xml"] = Reply(f"<sitemapindex>{nested}</sitemapindex>", media_type="application/xml")
    for name in ("list", "index"):
        resolver.asked.clear()
        source = Sitemap(
            SitemapSource(sitemap=f"{site.url}/{name}.xml"), fetcher=fetcher_for(site, resolver), store=MemoryStore()
        )
        assert not any(isinstance(item, Resource) for item in await read_all(source))
        each_came_to_the_guard(resolver)
    nothing_reached(site, canary, dials)


async def test_a_redirect_of_robots_txt_reaches_nothing(site, canary, dials, resolver):
    fetcher = fetcher_for(site, resolver)
    for form in (*forms(canary.port), *named(canary.port)):
        site.routes["/robots.txt"] = location(form)
        sites = Sites(fetcher)
        await sites.robots(site.url + "/")
        assert sites.problems, form
        await sites.aclose()
    assert sum(asked.path == "/robots.txt" for asked in site.asked) > 600
    nothing_reached(site, canary, dials)
    each_came_to_the_guard(resolver)


async def test_a_redirect_of_the_start_page_reaches_nothing(site, canary, dials, resolver):
    for form in (*forms(canary.port), *named(canary.port)):
        site.routes["/"] = location(form)
        with pytest.raises(UsageError):
            await read_all(website(site, resolver, scope="domain"))
    nothing_reached(site, canary, dials)
    each_came_to_the_guard(resolver)


async def test_an_alternate_of_a_page_reaches_nothing(site, canary, dials, resolver):
    source = website(site, resolver)
    for form in (*forms(canary.port), *named(canary.port)):
        assert isinstance(await source.fetch_alternate(form), Skipped), form
    for number, form in enumerate((*forms(canary.port), *named(canary.port))):
        site.routes[f"/r{number}"] = location(form)
        assert isinstance(await source.fetch_alternate(f"{home(site)}/r{number}"), Skipped), form
    nothing_reached(site, canary, dials)
    each_came_to_the_guard(resolver)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["canonical", "link-header", "markdown", "refresh", "iframe", "next", "base"])
async def test_what_a_page_says_of_itself_reaches_nothing(site, canary, dials, *, resolver, state, how):
    """A whole run: the page is cleaned, and what the cleaner found is followed, fetched or compared."""
    inside = {urls.normalise(form): form for form in forms(canary.port)}
    inside = [form for known, form in inside.items() if known and form.isascii() and form.isprintable()]
    inside += named(canary.port)
    assert len(inside) >= 400
    for number, form in enumerate(inside):
        site.routes[f"/p{number}"] = page_that_names(how, form, number)
    site.page("/", *site.routes)
    source = WebsiteSource(
        website=home(site) + "/", scope="domain", delay=0, render="never", prompts=False, review=False
    )
    run = await open_run(source, persona=PersonaSettings(client_secret=None), state=state)
    reader = Website(source, fetcher=fetcher_for(site, resolver), store=run.ledger.frontier(run.run))
    run.collector.source, run.collector.alternate = reader, reader.fetch_alternate
    await run.collect()
    summary = await run.finish()
    assert summary["urls"]["fetched"] > len(inside)
    nothing_reached(site, canary, dials)
    each_came_to_the_guard(resolver)


def page_that_names(how: str, form: str, number: int) -> Reply:
    said = {
        "canonical": f'<link rel=canonical href="{escape(form)}">',
        "markdown": f'<link rel=alternate type=text/markdown href="{escape(form)}">',
        "refresh": f'<meta http-equiv=refresh content="0; url={escape(form)}">',
        "iframe": f'</head><iframe src="{escape(form)}"></iframe>',
        "next": f'<link rel=next href="{escape(form)}">',
        "base": f'<base href="{escape(form)}"><a href="further">on</a>',
    }.get(how, "")
    words = f"The page {number} says something of its own, and it says it in a sentence that is long enough to stay."
    header = [("Link", f'<{form}>; rel="canonical"')] if how == "link-header" else []
    return Reply(f"<head><title>{number}</title>{said}<main><h1>{number}</h1><p>{words}</p></main>", headers=header)


async def items_of_feed(site, resolver, path="/feed") -> list:
    source = Feed(FeedSource(feed=site.url + path, delay=0), fetcher=fetcher_for(site, resolver))
    return [item async for item in source.read()]


async def test_articles_of_a_feed_reach_nothing(site, canary, dials, resolver):
    inside = (*forms(canary.port), *named(canary.port))
    entries = "".join(f"<item><title>t</title><link>{escape(form)}</link></item>" for form in inside)
    for number, form in enumerate(inside):
        site.routes[f"/r{number}"] = location(form)
        entries += f"<item><title>t</title><link>{site.url}/r{number}</link></item>"
    site.routes["/feed"] = Reply(f"<rss><channel>{entries}</channel></rss>", media_type="application/rss+xml")
    items = await items_of_feed(site, resolver)
    assert not any(isinstance(item, Resource) and item.status for item in items)
    nothing_reached(site, canary, dials)
    each_came_to_the_guard(resolver)


async def test_the_next_pages_of_a_feed_and_their_redirects_reach_nothing(site, canary, dials, resolver):
    """Only the feed's own origin is asked for a next page: there the redirect is the way inside."""
    for form in (*forms(canary.port), *named(canary.port)):
        for following in (escape(form), "/moved"):
            page = f"<feed xmlns='http://www.w3.org/2005/Atom'><link rel='next' href='{following}'/></feed>"
            site.routes["/feed"] = Reply(page, media_type="application/atom+xml")
            site.routes["/moved"] = location(form)
            assert not any(isinstance(item, Resource) for item in await items_of_feed(site, resolver)), form
    assert sum(asked.path == "/moved" for asked in site.asked) > 600
    nothing_reached(site, canary, dials)
    each_came_to_the_guard(resolver)


async def test_the_client_that_others_use_reaches_nothing(site, canary, dials, resolver):
    async with open_client([site.url], resolver=resolver, timeout_s=20) as client:
        assert (await client.get(site.url + "/x")).status_code == 404
        for form in (*forms(canary.port), *named(canary.port)):
            with pytest.raises((httpx.RequestError, httpx.InvalidURL, ValueError)):
                await client.get(form)
    nothing_reached(site, canary, dials)
    each_came_to_the_guard(resolver)


async def test_redirects_of_the_persona_api_reach_nothing(site, canary, dials):
    """The client of the API follows none: it holds the secret."""
    async with PersonaClient(base_url=site.url + "/persona/", timeout_s=5) as client:
        for form in (*forms(canary.port), *named(canary.port)):
            site.routes["/persona/api/persona/chats"] = location(form)
            with pytest.raises(RetryableError, match=r"answered 302|broke off"):
                await client.chats()
    assert len(site.asked) > 600
    nothing_reached(site, canary, dials)


async def test_what_the_operator_names_is_allowed_by_exact_host_and_port(site, canary, resolver):
    named_here = [f"http://inside.test:{site.port}/"]
    async with open_client(named_here, resolver=resolver) as client:
        assert (await client.get(f"http://inside.test:{site.port}/x")).status_code == 404
        for other in (f"http://127.0.0.1:{site.port}/x", f"http://inside.test:{canary.port}/x"):
            with pytest.raises(httpx.RequestError):
                await client.get(other)
    assert canary.asked == []


async def test_rebinding_a_name_between_two_requests_changes_nothing(site, dials):
    """The first answer is an outside address (here 127.0.0.2), all later ones are inside."""
    from loopback import Site

    outside = Site(host="127.0.0.2", fallback=lambda _: Reply("outside", headers=[("Connection", "close")]))
    await outside.start()
    answers = iter([["127.0.0.2"]])

    async def rebinding(host, port):
        return next(answers, ["127.0.0.1"])

    def public(address):
        return address == "127.0.0.2"

    book = AddressBook((), resolver=rebinding, public=public)
    fetcher = Fetcher(user_agent="persona-ingest/0", door=Door(book))
    for _ in range(5):
        got = await fetcher.fetch(f"http://rebind.test:{outside.port}/")
        assert isinstance(got, Resource)
        assert got.body == b"outside"
    await fetcher.aclose()
    assert {where[0] for where in dials} == {"127.0.0.2"}
    await outside.stop()


async def test_a_name_that_is_rebound_when_its_decision_has_aged_is_refused(dials):
    answers = iter([["127.0.0.2"]])

    async def rebinding(host, port):
        return next(answers, ["127.0.0.1"])

    book = AddressBook((), resolver=rebinding, public=lambda address: address == "127.0.0.2", again_s=0)
    assert await book.addresses("rebind.test", 1) == ["127.0.0.2"]
    fetcher = Fetcher(user_agent="persona-ingest/0", door=Door(book))
    got = await fetcher.fetch("http://rebind.test:1/")
    assert isinstance(got, Skipped)
    assert got.rule == "private-address"
    await fetcher.aclose()
    assert dials == []


async def test_a_proxy_in_the_environment_is_not_used(site, canary, monkeypatch, resolver):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, canary.url)
    fetcher = fetcher_for(site, resolver)
    assert (await fetcher.fetch(site.url + "/x")).status == 404
    await fetcher.aclose()
    async with open_client([site.url]) as client:
        await client.get(site.url + "/x")
    assert canary.asked == []


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:4700::6810:84e5", "2a00:1450:4001::1"]
)
def test_public_addresses_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize("address", ["fe80::1%eth0", "2606:4700::1%eth0", "", "x", "127.0.0.1 ", "1.2.3"])
def test_what_is_no_plain_address_is_not_public(address):
    assert not is_public(address)
