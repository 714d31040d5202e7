from __future__ import annotations

import asyncio
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import Reply, redirect

from connectors.errors import UsageError
from connectors.models import Resource, Skipped
from connectors.web.fetcher import Ask, Fetcher, Limits, Redirect, essence


async def test_a_page_comes_with_what_its_head_says(site, make_fetcher):
    site.routes["/a"] = Reply(
        "hé".encode("latin-1"),
        media_type="Text/HTML; Charset='ISO-8859-1'",
        headers=[
            ("ETag", 'W/"1"'),
            ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
            ("X-Robots-Tag", "otherbot: noindex"),
            ("X-Robots-Tag", "nofollow"),
            ("Link", '</style.css>; rel=preload, </canon?x=1>; rel="canonical"'),
        ],
    )
    got = await make_fetcher(site.url).fetch(f"{site.url}/a")
    assert isinstance(got, Resource)
    assert (got.media_type, got.charset, got.body) == ("text/html", "iso-8859-1", b"h\xe9")
    assert (got.etag, got.last_modified) == ('W/"1"', "Wed, 21 Oct 2015 07:28:00 GMT")
    assert got.robots == ("nofollow",)
    assert got.link_canonical == f"{site.url}/canon?x=1"
    assert got.status == 200


async def test_the_user_agent_is_honest_and_headers_are_ours(site, make_fetcher):
    site.page("/a")
    await make_fetcher(site.url, user_agent="persona-ingest/1 (+https://c)").fetch(f"{site.url}/a")
    headers = site.asked[0].headers
    assert headers["user-agent"] == "persona-ingest/1 (+https://c)"
    assert headers["host"] == f"127.0.0.1:{site.port}"
    assert headers["accept-encoding"] == "gzip, deflate, br, zstd"
    assert set(headers) == {"host", "user-agent", "accept-encoding", "accept"}


async def test_an_unchanged_page_is_not_sent_again(site, make_fetcher):
    def answer(asked):
        same = asked.headers.get("if-none-match") == '"1"' and "if-modified-since" in asked.headers
        return Reply("", 304) if same else Reply("x", headers=[("ETag", '"1"')])

    site.routes["/a"] = answer
    fetcher = make_fetcher(site.url)
    got = await fetcher.fetch(f"{site.url}/a", etag='"1"', last_modified="Wed, 21 Oct 2015 07:28:00 GMT")
    assert isinstance(got, Resource)
    assert got.body is None
    assert got.etag == '"1"'
    assert (await fetcher.fetch(f"{site.url}/a")).body == b"x"


async def test_redirects_are_followed_and_told(site, make_fetcher):
    site.routes["/a"] = redirect("b")
    site.routes["/b"] = redirect("/c?x=1#f", 308)
    site.page("/c")
    got = await make_fetcher(site.url).fetch(f"{site.url}/a", etag='"old"')
    assert got.uri == f"{site.url}/c?x=1"
    assert got.requested_uri == f"{site.url}/a"
    assert got.redirects == (f"{site.url}/a", f"{site.url}/b")
    assert "if-none-match" not in site.asked[1].headers, "a validator is for its own address"


async def test_a_redirect_loop_and_an_endless_chain_end(site, make_fetcher):
    site.routes["/a"] = redirect("/b")
    site.routes["/b"] = redirect("/a")
    fetcher = make_fetcher(site.url)
    assert (await fetcher.fetch(f"{site.url}/a")).rule == "redirect-loop"
    site.fallback = lambda asked: redirect(asked.target + "x")
    assert (await fetcher.fetch(f"{site.url}/chain")).rule == "redirect-loop"
    assert len([a for a in site.asked if a.path.startswith("/chain")]) == 11


async def test_one_hop_can_be_had_alone(site, make_fetcher):
    site.routes["/a"] = redirect("/b", 303)
    got = await make_fetcher(site.url).fetch_once(f"{site.url}/a")
    assert isinstance(got, Redirect)
    assert (got.to, got.status) == (f"{site.url}/b", 303)


@pytest.mark.parametrize("location", [None, "", "mailto:x@y", "http://", "file:///etc/passwd"])
async def test_a_redirect_to_nowhere_is_named(site, make_fetcher, location):
    headers = [] if location is None else [("Location", location)]
    site.routes["/a"] = Reply("", 302, headers)
    got = await make_fetcher(site.url).fetch(f"{site.url}/a")
    assert got.rule in {"bad-redirect", "redirect-loop"}


async def test_headers_of_the_operator_go_to_the_named_origin_only(site, stranger, make_fetcher):
    site.routes["/a"] = redirect(f"{stranger.url}/b")
    stranger.page("/b")
    # Both are on loopback, so the stranger is allowed as well; its own fetcher has no headers for it.
    from connectors.web.address_book import AddressBook
    from connectors.web.door import Door

    book = AddressBook((site.url,), public=lambda _: True)
    fetcher = make_fetcher(headers={"Authorization": "secret", "X-API-Key": "k"}, door=Door(book))
    assert isinstance(await fetcher.fetch(f"{site.url}/a"), Resource)
    assert site.asked[0].headers["authorization"] == "secret"
    assert set(stranger.asked[0].headers) == {"host", "user-agent", "accept-encoding", "accept"}


async def test_no_cookie_is_kept(site, make_fetcher):
    site.page("/a", headers=[("Set-Cookie", "a=b; Path=/")])
    fetcher = make_fetcher(site.url)
    await fetcher.fetch(f"{site.url}/a")
    await fetcher.fetch(f"{site.url}/a")
    assert not any("cookie" in asked.headers for asked in site.asked)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 451])
async def test_what_the_site_refuses_is_its_outcome_and_asked_once(site, make_fetcher, status):
    site.routes["/a"] = Reply("", status)
    got = await make_fetcher(site.url).fetch(f"{site.url}/a")
    assert (got.rule, got.outcome, got.fault, got.status) == (f"http-{status}", "failed", False, status)
    assert len(site.asked) == 1


@pytest.mark.parametrize(("status", "times"), [(500, 3), (502, 3), (504, 3), (503, 6), (429, 6)])
async def test_what_may_pass_is_asked_again_and_not_now_with_more_patience(site, make_fetcher, status, times):
    site.routes["/a"] = Reply("", status, [("Retry-After", "0")] if times == 6 else [])
    got = await make_fetcher(site.url).fetch(f"{site.url}/a")
    assert (got.rule, got.fault) == (f"http-{status}", True)
    assert len(site.asked) == times


async def test_a_server_that_allows_so_many_a_second_loses_no_page(site, make_fetcher):
    """It says only 429, without a date: the lane finds the pace by itself."""
    times = []

    def answer(_):
        now = monotonic()
        times[:] = [then for then in times if then > now - 0.5] + [now]
        return Reply("", 429) if len(times) > 8 else Reply("x")

    site.fallback = answer
    fetcher = make_fetcher(site.url)
    got = await asyncio.gather(*[fetcher.fetch(f"{site.url}/{n}") for n in range(60)])
    assert all(isinstance(item, Resource) for item in got)


async def test_a_page_that_recovers_is_a_page(site, make_fetcher):
    site.routes["/a"] = lambda _: Reply("", 503) if len(site.asked) < 3 else Reply("here")
    assert (await make_fetcher(site.url).fetch(f"{site.url}/a")).body == b"here"


async def test_a_host_whose_refusals_never_pass_is_not_asked_again_and_again_for_hours(site, make_fetcher):
    """Half of a site answers 503 for good: each of its pages took its six tries, half a minute apart."""
    site.fallback = lambda asked: Reply("", 503) if asked.path.startswith("/bad") else Reply("x")
    fetcher = make_fetcher(site.url, limits=Limits(in_vain_s=0.0))
    bad = await asyncio.gather(*[fetcher.fetch(f"{site.url}/bad/{number}") for number in range(4)])
    assert [(item.rule, item.fault) for item in bad] == [("http-503", True)] * 4
    assert len(site.asked) == 4
    assert (await fetcher.fetch(f"{site.url}/good")).body == b"x"


async def test_retry_after_is_obeyed_by_the_whole_host(site, make_fetcher):
    times = {}
    site.routes["/a"] = lambda _: Reply("", 429, [("Retry-After", "1")]) if len(site.asked) < 2 else Reply("a")

    def b(_):
        times["b"] = monotonic()
        return Reply("b")

    site.routes["/b"] = b
    fetcher = make_fetcher(site.url)
    began = monotonic()
    first = asyncio.create_task(fetcher.fetch(f"{site.url}/a"))
    async with asyncio.timeout(30):
        while not (lane := fetcher._lanes.get(site.url)) or lane._next_start < began + 0.9:  # until it was told to wait
            await asyncio.sleep(0.01)
    await fetcher.fetch(f"{site.url}/b")
    assert (await first).body == b"a"
    assert times["b"] - began >= 1.0


async def test_a_silent_server_times_out(site, make_fetcher):
    site.routes["/a"] = Reply("x", delay_s=30)
    got = await make_fetcher(site.url, limits=Limits(idle_s=0.1, attempts=1)).fetch(f"{site.url}/a")
    assert (got.rule, got.fault) == ("timeout", True)


async def test_waiting_for_a_turn_does_not_count_as_slowness(site, make_fetcher):
    site.page("/a")
    fetcher = make_fetcher(site.url, delay_s=0.5, limits=Limits(whole_s=1.2, attempts=1))
    got = await asyncio.gather(*[fetcher.fetch(f"{site.url}/a") for _ in range(4)])  # the last waits for 1.5 s
    assert all(isinstance(item, Resource) for item in got)


async def test_no_more_than_the_concurrency_are_in_flight_to_a_host(site, make_fetcher):
    site.fallback = lambda _: Reply("x", delay_s=0.02)
    fetcher = make_fetcher(site.url, concurrency=3)
    await asyncio.gather(*[fetcher.fetch(f"{site.url}/{n}") for n in range(20)])
    assert site.most_in_flight == 3
    assert site.connections <= 4, "connections are kept"


async def test_a_delay_keeps_requests_apart(site, make_fetcher):
    site.page("/a")
    fetcher = make_fetcher(site.url, delay_s=0.05)
    began = monotonic()
    await asyncio.gather(*[fetcher.fetch(f"{site.url}/a") for _ in range(5)])
    assert monotonic() - began >= 0.2


async def test_the_operators_delay_stands_above_the_sites(site, make_fetcher):
    site.page("/a")
    fetcher = make_fetcher(site.url, delay_s=0.0)
    fetcher.ask_delay(f"{site.url}/", 30.0)
    await asyncio.wait_for(asyncio.gather(*[fetcher.fetch(f"{site.url}/a") for _ in range(3)]), 5)


async def test_a_body_over_the_cap_is_refused_or_cut(site, make_fetcher):
    site.routes["/a"] = Reply("x" * 1000)
    fetcher = make_fetcher(site.url)
    assert (await fetcher.fetch(f"{site.url}/a", max_bytes=999)).rule == "too-large"
    assert (await fetcher.fetch(f"{site.url}/a", max_bytes=999, cut=True)).body == b"x" * 999
    assert (await fetcher.fetch(f"{site.url}/a", max_bytes=1000)).body == b"x" * 1000


async def test_an_unwanted_type_is_not_read(site, make_fetcher):
    site.routes["/a"] = Reply("x", media_type="image/png")
    got = await make_fetcher(site.url).fetch_once(f"{site.url}/a", Ask(wanted=lambda kind: kind != "image/png"))
    assert isinstance(got, Skipped)
    assert got.rule == "media"


async def test_a_server_that_is_not_there_is_a_fault(site, make_fetcher):
    start = f"{site.url}/a"
    await site.stop()
    got = await make_fetcher(start).fetch(start)
    assert (got.rule, got.outcome, got.fault) == ("refused", "failed", True)
    await site.start()


async def test_the_target_goes_out_as_the_url_standard_writes_it(site, make_fetcher):
    from connectors.web.urls import normalise

    site.fallback = lambda _: Reply("x")
    fetcher = make_fetcher(site.url)
    for written, sent in [
        ("/a%41%7e~", "/a%41%7e~"),
        ("/a|b^c'd", "/a|b%5Ec'd"),
        ("/ü?ü='\"<>", "/%C3%BC?%C3%BC=%27%22%3C%3E"),
        ("/x?", "/x?"),
        ("/a//b/./c/../d", "/a//b/d"),
        ("/%2e%2e/%2E/x", "/x"),
        ("/a;b=c,d@e:f!$&()*+", "/a;b=c,d@e:f!$&()*+"),
        ("/a?b[]=1&c=%5b%20+d", "/a?b[]=1&c=%5b%20+d"),
    ]:
        await fetcher.fetch(normalise(site.url + written))
        assert site.asked[-1].target == sent


@pytest.mark.parametrize(
    "etag", ["\N{SNOWMAN}", "x" * 1000, 'W/"\x7f"'], ids=["not ASCII", "too long", "control character"]
)
async def test_a_validator_that_cannot_be_sent_back_is_none(site, make_fetcher, etag):
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nETag: " + etag.encode() + b"\r\n\r\nx"
    site.routes["/a"] = Reply(raw=raw)
    got = await make_fetcher(site.url).fetch(f"{site.url}/a")
    assert getattr(got, "etag", "") == ""


@pytest.mark.parametrize("headers", [{"X": "a\nb"}, {"X": ""}, {"X Y": "a"}, {"X": "ü"}, {"": "a"}])
def test_headers_that_cannot_be_sent_are_refused(headers):
    with pytest.raises(UsageError):
        Fetcher(user_agent="x/1", headers=headers)
    with pytest.raises(UsageError):
        Fetcher(user_agent="x\n1")


@given(st.text(max_size=60))
def test_a_content_type_gives_an_essence_or_nothing(text):
    found = essence(text)
    assert not found or (found.count("/") == 1 and found == found.lower())
