from __future__ import annotations

import pytest


def test_links_are_absolute_in_document_order_and_once_each(extract):
    found = extract(
        '<p>x<a href="b.html#one">b</a><a href="/c?utm_source=x">c</a><a href=b.html>b again</a><a href="#here">h</a>'
        '<a href="mailto:a@b.c">m</a><a href="HTTP://Other.Example:80/d/../e">e</a></p>'
    )
    assert found.links == ("http://site.example/docs/b.html", "http://site.example/c", "http://other.example/e")


def test_nofollow_links_are_not_followed(extract):
    assert extract('<p>x<a rel="external nofollow" href="b">b</a><a rel=noopener href="c">c</a></p>').links == (
        "http://site.example/docs/c",
    )


def test_frames_areas_next_pages_and_refreshes_are_links(extract):
    found = extract(
        '<meta http-equiv=refresh content="0; URL=\'new.html\'"><link rel=next href="2.html"><p>text</p>'
        '<map><area href="area.html"></map><iframe src="frame.html"></iframe>'
    )
    names = [link.rsplit("/", 1)[1] for link in found.links]
    assert names == ["new.html", "2.html", "area.html", "frame.html"]


def test_the_base_element_decides_what_links_are_relative_to(extract):
    found = extract('<base href="/other/"><p>x <a href="b">b</a></p>')
    assert found.links == ("http://site.example/other/b",)
    assert "(http://site.example/other/b)" in found.pages[0].content


@pytest.mark.parametrize(
    ("meta", "noindex", "nofollow"),
    [
        ('<meta name="robots" content="noindex">', True, False),
        ('<meta name="ROBOTS" content="NoFollow, noarchive">', False, True),
        ('<meta name="robots" content="none">', True, True),
        ('<meta name="persona-ingest" content="noindex">', True, False),
        ('<meta name="googlebot" content="noindex">', False, False),
        ('<meta name="robots" content="all">', False, False),
    ],
)
def test_robots_elements_that_concern_us_are_obeyed(extract, meta, noindex, nofollow):
    found = extract(f'{meta}<p>some text <a href="b">b</a></p>')
    assert (found.noindex, found.nofollow) == (noindex, nofollow)
    assert bool(found.pages) is not noindex
    assert bool(found.links) is not nofollow


def test_the_robots_header_counts_too(extract):
    assert extract("<p>x</p>", robots=("noindex",)).noindex


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ('<link rel="canonical" href="/docs/other.html?utm_source=a">', "http://site.example/docs/other.html"),
        ('<link rel="canonical" href="page.html#x">', ""),
        ('<link rel="canonical" href="javascript:1">', ""),
        ("", ""),
    ],
)
def test_the_canonical_is_in_normal_form_and_empty_when_it_is_the_page(extract, head, expected):
    assert extract(f"<head>{head}</head><p>x</p>").canonical == expected


def test_a_canonical_in_the_body_does_not_count(extract):
    assert extract('<body><div><link rel="canonical" href="http://evil.example/"></div><p>x</p>').canonical == ""


def test_the_canonical_of_the_header_counts_where_the_page_has_none(extract):
    assert extract("<p>x</p>", link_canonical="http://site.example/c").canonical == "http://site.example/c"


def test_a_page_names_its_own_markdown(extract):
    found = extract('<head><link rel=alternate type="text/markdown" href="page.md"></head><p>x</p>')
    assert found.alternate_markdown == "http://site.example/docs/page.md"
