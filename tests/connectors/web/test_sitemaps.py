from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.web import sitemaps

BASE = "https://example.com/sitemap.xml"
NS = "xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'"


def pages(body: str | bytes) -> list[str]:
    body = body.encode() if isinstance(body, str) else body
    return [entry.uri for entry in sitemaps.parse(body, base=BASE).pages]


def test_a_urlset_gives_pages_with_what_it_claims():
    read = sitemaps.parse(
        f"<?xml version='1.0'?><urlset {NS}><url><loc> https://example.com/a#x </loc><lastmod>2024-05-01</lastmod>"
        "<priority>1</priority></url><url><loc>/b</loc></url><url><loc>https://example.com/a</loc></url></urlset>".encode(),
        base=BASE,
    )
    assert [(entry.uri, entry.modified) for entry in read.pages] == [
        ("https://example.com/a", "2024-05-01"),
        ("https://example.com/b", ""),
    ]
    assert read.problem == ""


def test_an_index_gives_sitemaps():
    read = sitemaps.parse(f"<sitemapindex {NS}><sitemap><loc>/1.xml</loc></sitemap></sitemapindex>".encode(), base=BASE)
    assert read.sitemaps == ("https://example.com/1.xml",)
    assert read.pages == ()


def test_pictures_and_alternates_of_a_page_are_no_pages():
    body = (
        f"<urlset {NS} xmlns:i='http://www.google.com/schemas/sitemap-image/1.1' xmlns:x='http://www.w3.org/1999/xhtml'>"
        "<url><loc>/a</loc><i:image><i:loc>/a.png</i:loc></i:image><x:link rel='alternate' hreflang='de' href='/de/a'/>"
        "</url></urlset>"
    )
    assert pages(body) == ["https://example.com/a"]


def test_gzip_is_undone():
    assert pages(gzip.compress(f"<urlset {NS}><url><loc>/a</loc></url></urlset>".encode())) == ["https://example.com/a"]


def test_plain_text_lists_one_address_a_line():
    assert pages("\ufeffhttps://example.com/a\r\n\nhttps://example.com/b \nnot one\n") == [
        "https://example.com/a",
        "https://example.com/b",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_the_declared_encoding_counts(encoding):
    body = f"<?xml version='1.0' encoding='{encoding}'?><urlset><url><loc>/é</loc></url></urlset>".encode(encoding)
    assert pages(body) == ["https://example.com/%C3%A9"]


def test_a_bare_ampersand_keeps_its_parameter():
    assert pages("<urlset><url><loc>/?a=1&b=2&amp;c=3</loc></url></urlset>") == ["https://example.com/?a=1&b=2&c=3"]


def test_what_is_broken_in_the_middle_gives_what_came_before_and_says_so():
    read = sitemaps.parse(b"<urlset><url><loc>/a</loc></url><url><loc>/b</l", base=BASE)
    assert [entry.uri for entry in read.pages] == ["https://example.com/a"]
    assert read.problem


@pytest.mark.parametrize(
    "body", [b"<!doctype html><p>404", b"<html><body>x", b"<svg/>", b"{}", b"%PDF-1.4", b"\x1f\x8bxx"]
)
def test_what_is_no_sitemap_says_so(body):
    read = sitemaps.parse(body, base=BASE)
    assert read.problem
    assert read.pages == ()


def test_an_empty_sitemap_is_no_problem():
    assert sitemaps.parse(b"<urlset/>", base=BASE) == sitemaps.Sitemap()


def test_feeds_serve_as_sitemaps():
    assert pages("<rss><channel><link>/</link><item><link>/a</link></item></channel></rss>") == [
        "https://example.com/a"
    ]
    assert pages("<feed><link href='/'/><entry><link rel='self' href='/x'/><link href='/a'/></entry></feed>") == [
        "https://example.com/a"
    ]


def test_fifty_thousand_entries_are_read():
    body = "<urlset>" + "".join(f"<url><loc>/{n}</loc></url>" for n in range(50_000)) + "</urlset>"
    assert len(pages(body)) == 50_000


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_exception(body):
    sitemaps.parse(body, base=BASE)


@given(st.text(alphabet="<>/&;!urlsetocdi \"'=[]?x", max_size=120))
def test_any_near_xml_is_read_without_an_exception(text):
    sitemaps.parse(b"<urlset>" + text.encode(), base=BASE)
