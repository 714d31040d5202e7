# ruff: noqa: E501 - pages are read by their lines
from __future__ import annotations

import json

import pytest

from connectors.models import CleaningRules

PROSE = "".join(f"<p>Paragraph {n} says something that a reader wants to know about the product.</p>" for n in range(6))
NAV = "<nav><ul>" + "".join(f'<li><a href="/p{n}">Navigation entry {n}</a></li>' for n in range(40)) + "</ul></nav>"

PAGES = {
    "sphinx": f'<div class="documentwrapper"><div class="body" role="main"><h1>T</h1>{PROSE}</div></div><div class="sphinxsidebar">chrome</div>',
    "mkdocs": f'<div class="md-content"><article class="md-content__inner md-typeset"><a class="md-content__button">chrome</a><h1>T</h1>{PROSE}</article></div>',
    "docusaurus": f'<div id="__docusaurus"><main><article><div class="theme-doc-markdown markdown"><h1>T</h1>{PROSE}</div>'
    '<nav class="pagination-nav">chrome</nav></article></main></div>',
    "vitepress": f'<div class="VPDoc"><main><div class="vp-doc"><h1>T</h1>{PROSE}</div></main><div class="VPDocFooter">chrome</div></div>',
    "docbook": f'<div class="navheader">chrome</div><div class="chapter"><div class="titlepage"><h2>T</h2></div>{PROSE}</div><div class="navfooter">chrome</div>',
    "mediawiki": f'<body class="mediawiki"><div id="mw-content-text"><div class="mw-parser-output"><div class="toc">chrome</div>{PROSE}</div></div>',
    "stackexchange": f'<div id="question"><div class="s-prose js-post-body">{PROSE}</div></div><div class="s-prose js-post-body">{PROSE}</div><p>chrome</p>',
}  # fmt: skip


@pytest.mark.parametrize("system", PAGES)
def test_a_known_system_gives_its_container_and_nothing_else(extract, system):
    page = extract(f"<title>T</title>{NAV}{PAGES[system]}<footer>chrome</footer>").pages[0]
    assert page.metadata["strategy"] == f"system:{system}"
    assert "Paragraph 5" in page.content
    assert "chrome" not in page.content
    assert "Navigation entry" not in page.content
    assert not page.weak


def test_a_generator_names_itself(extract):
    found = extract(f'<meta name=generator content="Docusaurus v3"><main><article>{PROSE}</article></main>')
    assert found.report["strategy"] == "system:docusaurus"


def test_a_container_that_keeps_too_little_loses(extract):
    body = (
        f'<div class="documentwrapper"><div class="body" role="main">Hi</div></div><article><h1>T</h1>{PROSE}</article>'
    )
    found = extract(body)
    assert "Paragraph 5" in found.pages[0].content
    assert found.report["candidates"][0]["strategy"] == "system:sphinx"


def test_selectors_of_the_source_come_first(extract):
    rules = CleaningRules(select=(".mine",), remove=(".gone",))
    found = extract(
        f"<main>{PROSE}</main><div class=mine><p>Only this.<b class=gone>Not this.</b></p></div>", rules=rules
    )
    assert found.pages[0].content == "Only this."
    assert found.report["strategy"] == "select"


def test_an_unknown_page_loses_what_names_itself_chrome(extract):
    body = f"<header><a href=/>Home</a></header><div class='left-sidebar'>chrome</div><main><h1>T</h1>{PROSE}<div class='share-buttons'>chrome</div></main><footer>chrome</footer>"
    page = extract(f"<title>T</title>{NAV}{body}").pages[0]
    assert "chrome" not in page.content
    assert "Paragraph 5" in page.content
    assert not page.weak


def test_content_without_a_container_is_weak(extract):
    assert extract(f"<title>T</title><div id=x>{PROSE}</div>").pages[0].weak


def test_a_chapter_about_sidebars_is_no_sidebar(extract):
    body = f"<main><h1>T</h1>{PROSE}<section id=sidebar><h2>Sidebar</h2><p>How to make one.</p></section></main>"
    assert "How to make one." in extract(body).pages[0].content


def test_an_index_whose_links_are_its_content_stays(extract):
    links = "".join(f'<li><a href="{n}.html">Chapter {n}</a></li>' for n in range(30))
    page = extract(f"<main><h1>Contents</h1><ul>{links}</ul></main>").pages[0]
    assert page.content.count("- [Chapter") == 30


def test_an_article_loses_its_teasers_and_keeps_its_structure(extract):
    teasers = "".join(
        f'<div class="card"><a href="/n{n}">Another story {n} that you could read</a></div>' for n in range(8)
    )
    body = (
        '<meta property="og:type" content="article"><meta name="author" content="Ann Bo"><article><h1>News</h1>'
        f"{PROSE}<h2>Background</h2>{PROSE}<pre>code\n\n  stays</pre>{PROSE}<div>{teasers}</div></article>"
    )
    page = extract(body).pages[0]
    assert "Another story" not in page.content
    assert "```\ncode\n\n  stays\n```" in page.content
    assert "## Background" in page.content


def test_the_report_says_how_much_was_kept(extract):
    report = extract(f"<main>{PROSE}</main>").report
    assert report["kept_share"] > 0.9
    assert report["why"]


@pytest.mark.parametrize(
    "page",
    [
        f"<main><h1>T</h1><p class=own>Buy it.</p>{PROSE}</main>",
        f"<p class=own>Buy it.</p>{PROSE}",
        f'<script type="application/ld+json">{{"@type": "Product", "name": "T"}}</script><div><p class=own>Buy it.</p>{PROSE}</div>',
        f'<meta property="og:type" content="article"><article><p class=own>Buy it.</p>{PROSE}</article>',
        f'<div class="documentwrapper"><div class="body" role="main"><p class=own>Buy it.</p>{PROSE}</div></div>',
        f"<table><tr><td><p class=own>Buy it. <b class=own>Buy it.</b></p></td><td>{PROSE}</td></tr></table>",
    ],
)
def test_what_the_source_removes_is_gone_whatever_the_strategy(extract, page):
    found = extract(f"<!doctype html><title>T</title>{page}", rules=CleaningRules(remove=(".own", "a:nonsense(")))
    assert "Paragraph 3" in found.pages[0].content
    assert "Buy it" in extract(f"<!doctype html><title>T</title>{page}").pages[0].content
    assert "Buy it" not in found.pages[0].content


def test_a_short_page_of_a_known_system_is_not_lost_among_its_navigation(extract):
    page = f'<meta name=generator content="Starlight v1">{NAV * 3}<main><div class="sl-markdown-content"><p>Two words.</p></div></main>'
    found = extract(f"<!doctype html><title>T</title><body>{page}")
    assert found.pages[0].metadata["strategy"] == "system:starlight"
    assert found.pages[0].content == "Two words."


def test_code_on_an_unknown_page_keeps_every_token_whatever_its_highlighter_calls_it(extract):
    code = '<pre><code><span class="hljs-meta">&gt;&gt;&gt;</span> <span class="hljs-comment">run()</span></code></pre>'
    assert "```\n>>> run()\n```" in extract(f"<title>T</title><div class=x>{PROSE}{code}</div>").pages[0].content


def test_code_whose_lines_are_elements_stays_whole_on_an_unknown_page(extract):
    lines = "".join(f'<div class="ec-line"><div class="code">x{n} = {n}</div></div>' for n in range(4))
    page = f"<title>T</title><div class=x><h1>T</h1>{PROSE * 3}<pre><code>{lines}</code></pre>{PROSE}</div>"
    assert "```\nx0 = 0\nx1 = 1\nx2 = 2\nx3 = 3\n```" in extract(page).pages[0].content


def test_headings_beside_the_largest_part_of_a_short_page_stay(extract):
    parts = "<section><h2>Support</h2><p>All of it.</p></section>"
    text = "<p>" + "Enough words for the part that holds most of the text of this page. " * 4 + "</p>"
    body = f"<title>Policy - Acme</title><body><nav><a href='/'>Home</a></nav><main><h1>Policy</h1><section><h2>Version</h2>{text}<pre>a = 1</pre></section>{parts}</main>"
    [page] = extract(body).pages
    assert [row for row in page.content.split("\n") if row.startswith("#")] == ["# Policy", "## Version", "## Support"]


def test_the_one_h1_that_the_title_begins_with_stays(extract):
    heading = "<div class='banner header'><h1>Code of Conduct</h1></div>"
    page = f"<title>Code of Conduct | My Site</title><body><div class=nav><a href=/a>A</a></div>{heading}<div class=x>{PROSE * 3}</div>"
    assert extract(page).pages[0].content.startswith("# Code of Conduct\n")


def test_a_short_page_with_code_that_calls_itself_an_article_keeps_its_code_and_not_the_navigation(extract):
    body = "<h1>Install</h1><p>The client is optional.</p><pre>pip install acme\nacme init</pre>"
    page = f'<meta property="og:type" content="article"><title>Install</title><body>{NAV * 3}<main>{body}</main>'
    found = extract(page).pages[0]
    assert found.content == "# Install\n\nThe client is optional.\n\n```\npip install acme\nacme init\n```"


def test_a_shops_page_is_judged_like_others_and_says_the_products_own_description(extract):
    text = "".join(
        f"<p>Its {part} is made of brass by hand, and gives warm light to a room of twenty square metres for many years.</p>"
        for part in ("foot", "shade", "arm", "cap", "switch")
    )
    offers = "".join(
        f"<div class=tile><a href=/p{n}>Another lamp number {n} of the same maker for less money</a> <b>{n}.00 EUR</b></div>"
        for n in range(60)
    )
    said = "A lamp for those who read at night and do not want to wake anybody who sleeps in the same room."
    product = json.dumps({"@type": "Product", "name": "Lamp", "description": said, "offers": {"price": "9"}})
    page = (
        f'<title>Lamp</title><script type="application/ld+json">{product}</script><h1>Lamp</h1><article>{text}</article>'
        f"<div class=footer-offers>{offers}</div>"
    )
    content = extract(page).pages[0].content
    assert content.startswith(said)
    assert "Its switch is made of brass" in content
    assert "Another lamp number" not in content
    assert extract(page.replace(text, f"<p>{said}</p>{text}")).pages[0].content.count(said) == 1


def test_the_header_of_a_manuals_part_keeps_the_heading_in_it(extract):
    part = f"<section><h4>Declaration</h4><pre>int f(void)</pre>{PROSE}</section>"
    kind = "<header><h3>Method</h3><h1><a href=i.html>Lib</a> <a href=c.html>Font</a> size</h1></header>"
    body = f"<title>Lib</title><nav class=sidebar><a href=/a>One</a></nav><section id=whole>{kind}{part}</section>"
    assert "### Method" in extract(body).pages[0].content


def test_the_title_of_a_page_without_h1_is_no_chrome_because_it_stands_in_a_header(extract):
    body = (
        f"<title>Lib</title><main><div class=header><h2>Uses of Class Filter</h2></div><pre>x = 1</pre>{PROSE}</main>"
    )
    assert "## Uses of Class Filter" in extract(body).pages[0].content


def test_what_a_heading_says_when_the_mouse_is_over_it_is_none_of_its_words(extract):
    tip = "<span class=notable-tooltip><span class=notable-tooltiptext>Notable: impl Iterator</span></span>"
    body = f"<title>Lib</title><main><h2>fn map(){tip}</h2><pre>x = 1</pre>{PROSE}</main>"
    assert "## fn map()\n" in extract(body).pages[0].content


@pytest.mark.parametrize(
    ("by", "list_stays"),
    [
        ("", True),
        ("<meta property='article:published_time' content='2024-05-01'>", True),
        ("<meta name=author content='Ann Bo'>", False),
    ],
)
def test_a_page_with_code_is_an_article_where_somebody_wrote_it(extract, by, list_stays):
    links = "".join(f'<li><a href="/api/{n}">client.call_{n}</a></li>' for n in range(12))
    text = f"{PROSE}<pre>client.call()</pre>{PROSE}<h2>Calls</h2><ul class=list>{links}</ul>"
    page = f'<title>API</title><meta property="og:type" content="article">{by}<nav>{NAV}</nav><div class=main><h1>API</h1>{text}</div>'
    assert ("call_7" in extract(page).pages[0].content) is list_stays
