from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.web import robots

AGENT = "persona-ingest"


def allowed(text: str | bytes, path: str) -> bool:
    body = text.encode() if isinstance(text, str) else text
    return not robots.parse(body, agent=AGENT).refuses(f"https://example.com{path}")


def test_our_own_group_stands_above_the_stars():
    text = "User-agent: *\nDisallow: /\n\nUser-agent: Persona-Ingest\nDisallow: /private\n"
    assert allowed(text, "/open")
    assert not allowed(text, "/private/x")


def test_a_group_for_part_of_our_name_is_not_ours():
    assert not allowed("User-agent: persona\nAllow: /\n\nUser-agent: *\nDisallow: /\n", "/x")
    assert not allowed("User-agent: ingest\nAllow: /\n\nUser-agent: *\nDisallow: /\n", "/x")


def test_a_version_behind_our_name_changes_nothing():
    assert not allowed("User-agent: persona-ingest/2.0\nDisallow: /\n", "/x")


def test_groups_of_one_agent_are_joined():
    text = "User-agent: persona-ingest\nDisallow: /a\n\nUser-agent: persona-ingest\nDisallow: /b\n"
    assert not allowed(text, "/a")
    assert not allowed(text, "/b")


def test_a_crawl_delay_is_read_and_capped():
    assert robots.parse(b"User-agent: *\nCrawl-delay: 2.5", agent=AGENT).crawl_delay_s == 2.5
    assert robots.parse(b"User-agent: *\nCrawl-delay: 86400", agent=AGENT).crawl_delay_s == robots.MAX_CRAWL_DELAY_S
    assert robots.parse(b"User-agent: *\nCrawl-delay: -1", agent=AGENT).crawl_delay_s is None
    assert robots.parse(b"User-agent: *\nCrawl-delay: nan", agent=AGENT).crawl_delay_s is None
    assert robots.parse(b"User-agent: *\nCrawl-delay: soon", agent=AGENT).crawl_delay_s is None


def test_sitemaps_are_listed_once_each():
    said = robots.parse(b"Sitemap: /a.xml\nUser-agent: *\nSitemap: /b.xml\nSitemap: /a.xml", agent=AGENT)
    assert said.sitemaps == ("/a.xml", "/b.xml")


def test_what_goes_beyond_500_kib_is_not_read():
    padding = b"# " + b"x" * 100 + b"\n"
    text = b"User-agent: *\nDisallow: /early\n" + padding * 6000 + b"Disallow: /late\n"
    assert not allowed(text, "/early")
    assert allowed(text, "/late")


@pytest.mark.parametrize(
    ("status", "refusal"),
    [(404, ""), (401, ""), (403, ""), (410, ""), (429, "robots-unreachable"), (500, "robots-unreachable"),
     (503, "robots-unreachable"), (0, "robots-unreachable")],
)  # fmt: skip
def test_a_status_decides_without_a_file(status, refusal):
    said = robots.after_status(status)
    assert said is not None
    assert said.refuses("https://example.com/x") == refusal


def test_a_success_is_parsed():
    assert robots.after_status(200) is None


@pytest.mark.parametrize(
    ("values", "directives"),
    [
        (["noindex"], ("noindex",)),
        (["NoIndex, NoFollow"], ("noindex", "nofollow")),
        (["none"], ("noindex", "nofollow")),
        (["otherbot: noindex"], ()),
        (["otherbot: noindex, nofollow"], ()),
        (["persona-ingest: noindex"], ("noindex",)),
        (["otherbot: noindex, persona-ingest: nofollow"], ("nofollow",)),
        (["otherbot: noindex", "nofollow"], ("nofollow",)),
        (["max-snippet: 5, noindex"], ("noindex",)),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST"], ()),
        (["*: none"], ("noindex", "nofollow")),
        (["nonsense, , noindexx"], ()),
        ([""], ()),
    ],
)
def test_x_robots_tag_is_read_for_us(values, directives):
    assert robots.x_robots(values, agent=AGENT) == directives


def test_the_product_token_is_the_first_name():
    assert robots.product_token("persona-ingest/0.1 (+https://x)") == "persona-ingest"
    assert robots.product_token("My_Bot/2 x") == "my_bot"
    assert robots.product_token("1234") == "persona-ingest"


@given(st.binary(max_size=300), st.text(max_size=30))
def test_any_bytes_are_a_robots_txt(body, path):
    robots.parse(body, agent=AGENT).refuses(f"https://example.com/{path}")


@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_header_is_an_x_robots_tag(values):
    assert set(robots.x_robots(values, agent=AGENT)) <= {
        "all", "noindex", "nofollow", "noarchive", "nosnippet", "noimageindex", "notranslate", "indexifembedded",
    }  # fmt: skip
