"""No form of an inside address, at any entry point, makes this program dial it."""

from __future__ import annotations

import re
from html import escape

import httpx
import pytest
from loopback import Reply, redirect
from ssrf_forms import forms

from connectors.errors import UsageError
from connectors.models import Resource, Skipped
from connectors.settings import FeedSource, SitemapSource, WebsiteSource
from connectors.sources.feed import Feed
from connectors.sources.sitemap import Sitemap
from connectors.sources.website import Website
from connectors.web import render, urls
from connectors.web.addresses import is_public
from connectors.web.door import Door
from connectors.web.fetcher import Fetcher, Limits
from connectors.web.frontier import MemoryStore
from connectors.web.guard import AddressBook, open_client

ASKED = {"/robots.txt", "/sitemap.xml"}


OPEN: list[Fetcher] = []


@pytest.fixture(autouse=True)
async def _closed():
    yield
    while OPEN:
        await OPEN.pop().aclose()


def fetcher_for(site, resolver) -> Fetcher:
    made = Fetcher(
        user_agent="persona-ingest/0",
        allowed=(site.url,),
        resolver=resolver,
        limits=Limits(attempts=1, connect_s=2, idle_s=2, whole_s=4),
    )
    OPEN.append(made)
    return made


def nothing_reached(site, canary, dials) -> None:
    assert canary.asked == []
    assert {(where[0], where[1]) for where in dials} <= {("127.0.0.1", site.port)}


def test_there_are_two_hundred_forms_and_more():
    assert len(set(forms(1))) >= 200


async def test_a_direct_fetch_reaches_nothing(site, canary, dials, resolver):
    fetcher = fetcher_for(site, resolver)
    for form in forms(canary.port):
        uri = urls.normalise(form)
        if uri:
            got = await fetcher.fetch(uri)
            assert isinstance(got, Skipped), form
            assert got.rule in {"private-address", "dns"}, (form, got)
    await fetcher.aclose()
    nothing_reached(site, canary, dials)


async def test_a_url_that_skipped_normalising_reaches_nothing(site, canary, dials, resolver):
    fetcher = fetcher_for(site, resolver)
    for form in forms(canary.port):
        assert not isinstance(await fetcher.fetch(form.strip()), Resource), form
    await fetcher.aclose()
    nothing_reached(site, canary, dials)


async def test_a_redirect_reaches_nothing(site, canary, dials, resolver):
    fetcher = fetcher_for(site, resolver)
    for number, form in enumerate(forms(canary.port)):
        site.routes[f"/r{number}"] = redirect(form.replace("\n", "").encode().decode("latin-1"))
        assert not isinstance(await fetcher.fetch(f"{site.url}/r{number}"), Resource), form
    await fetcher.aclose()
    nothing_reached(site, canary, dials)


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
        WebsiteSource(website=site.url + "/", **options), fetcher=fetcher_for(site, resolver), store=MemoryStore()
    )


@pytest.mark.parametrize("scope", ["path", "host", "domain"])
async def test_links_of_a_page_reach_nothing(site, canary, dials, resolver, scope):
    site.routes["/"] = Reply("".join(f'<a href="{escape(form)}">x</a>' for form in forms(canary.port)))
    await read_all(website(site, resolver, scope=scope))
    nothing_reached(site, canary, dials)


async def test_redirects_of_pages_reach_nothing(site, canary, dials, resolver):
    for number, form in enumerate(forms(canary.port)):
        site.routes[f"/r{number}"] = redirect(form.replace("\n", "").encode().decode("latin-1"))
    site.page("/", *site.routes)
    await read_all(website(site, resolver, scope="domain"))
    nothing_reached(site, canary, dials)


async def test_sitemaps_that_robots_names_reach_nothing(site, canary, dials, resolver):
    lines = [f"Sitemap: {form}" for form in forms(canary.port) if "\n" not in form]
    site.routes["/robots.txt"] = Reply("\n".join(lines), media_type="text/plain")
    site.page("/")
    await read_all(website(site, resolver))
    nothing_reached(site, canary, dials)


async def test_addresses_that_a_sitemap_lists_reach_nothing(site, canary, dials, resolver):
    listed = "".join(f"<url><loc>{escape(form)}</loc></url>" for form in forms(canary.port))
    nested = "".join(f"<sitemap><loc>{escape(form)}</loc></sitemap>" for form in forms(canary.port))
    site.routes["/list.xml"] = Reply(f"<urlset>{listed}</urlset>", media_type="application/xml")
    site.routes["/index.xml"] = Reply(f"<sitemapindex>{nested}</sitemapindex>", media_type="application/xml")
    for name in ("list", "index"):
        source = Sitemap(
            SitemapSource(sitemap=f"{site.url}/{name}.xml"), fetcher=fetcher_for(site, resolver), store=MemoryStore()
        )
        assert not any(isinstance(item, Resource) for item in await read_all(source))
    nothing_reached(site, canary, dials)


async def test_a_redirect_of_robots_txt_reaches_nothing(site, canary, dials, resolver):
    for form in forms(canary.port)[::10]:
        site.routes["/robots.txt"] = redirect(form.replace("\n", "").encode().decode("latin-1"))
        site.page("/")
        try:
            await read_all(website(site, resolver))
        except UsageError:
            continue
    nothing_reached(site, canary, dials)


async def test_a_redirect_of_the_start_page_reaches_nothing(site, canary, dials, resolver):
    for form in forms(canary.port):
        site.routes["/"] = redirect(form.replace("\n", "").encode().decode("latin-1"))
        with pytest.raises(UsageError):
            await read_all(website(site, resolver, scope="domain"))
    nothing_reached(site, canary, dials)


async def test_an_alternate_of_a_page_reaches_nothing(site, canary, dials, resolver):
    source = website(site, resolver)
    for form in forms(canary.port):
        assert isinstance(await source.fetch_alternate(form), Skipped), form
    nothing_reached(site, canary, dials)


async def test_articles_and_pages_of_a_feed_reach_nothing(site, canary, dials, resolver):
    entries = "".join(f"<item><title>t</title><link>{escape(form)}</link></item>" for form in forms(canary.port))
    site.routes["/feed"] = Reply(f"<rss><channel>{entries}</channel></rss>", media_type="application/rss+xml")
    for form in [f"{site.url}/feed", *forms(canary.port)[::20]]:
        following = f"<feed xmlns='http://www.w3.org/2005/Atom'><link rel='next' href='{escape(form)}'/></feed>"
        site.routes["/atom"] = Reply(following, media_type="application/atom+xml")
        path = "/feed" if form.startswith(site.url) else "/atom"
        source = Feed(FeedSource(feed=site.url + path), fetcher=fetcher_for(site, resolver))
        assert not any(isinstance(item, Resource) and item.status for item in [item async for item in source.read()])
    nothing_reached(site, canary, dials)


@pytest.mark.slow
@pytest.mark.skipif(not render.available(), reason="needs the extra 'browser' and Chromium")
async def test_scripts_of_a_rendered_page_reach_nothing(site, canary, resolver):
    """The browser dials by itself, so the canary is asked: it must see no connection at all."""
    import json

    asked = json.dumps(forms(canary.port)).replace("</", "<\\/")
    site.routes["/app"] = Reply(
        f"<body><script>for (const u of {asked}) {{ try {{ fetch(u).catch(e => 0) }} catch (e) {{}}"
        "  const s = document.createElement('script'); s.src = u; document.head.append(s) }"
        "  document.body.append('done')</script></body>"
    )
    fetcher = fetcher_for(site, resolver)
    renderer = render.Renderer(fetcher, limits=render.RenderLimits(requests=2000, whole_s=90))
    got = await renderer.render(await fetcher.fetch(f"{site.url}/app"))
    await renderer.close()
    await fetcher.aclose()
    assert isinstance(got, Resource), got
    assert b"done" in got.body
    assert canary.connections == 0
    assert canary.asked == []


async def test_the_client_that_others_use_reaches_nothing(site, canary, dials, resolver):
    async with open_client([site.url], resolver=resolver, timeout_s=2) as client:
        assert (await client.get(site.url + "/x")).status_code == 404
        for form in forms(canary.port):
            with pytest.raises((httpx.RequestError, httpx.InvalidURL, ValueError)):
                await client.get(form)
    nothing_reached(site, canary, dials)


async def test_what_the_operator_names_is_allowed_by_exact_host_and_port(site, canary, resolver):
    named = [f"http://inside.test:{site.port}/"]
    async with open_client(named, resolver=resolver) as client:
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
