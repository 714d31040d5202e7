"""Markdown of strangers: HTML that can do nothing."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.persona.server.markdown import answer, rendered, snippet

ALLOWED = "a p h1 h2 h3 h4 h5 h6 ul ol li em strong code pre blockquote hr br table thead tbody tr th td s span"


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html,<script>)",
        "[x](vbscript:x)",
        "[x](file:///etc/passwd)",
        "<javascript:alert(1)>",
        "![x](https://evil.example/pixel.png)",
        "![<script>](https://evil.example/a)",
        '[x](https://a.example/"onmouseover="alert(1))',
        "`<script>`",
        "```html\n<script>\n```",
        "```<script>\nx\n```",
        "| <script> |\n|---|\n| <b> |",
    ],
)
def test_nothing_in_it_runs_or_loads(text):
    for html in (str(rendered(text)), str(answer(text))):
        tags = re.findall(r"<\s*([a-zA-Z0-9]+)([^>]*)>", html)
        assert {name for name, _ in tags} <= set(ALLOWED.split())
        for _, attributes in tags:
            assert "src" not in attributes
            assert not re.search(r"\son\w+\s*=", attributes.replace("&quot;onmouseover=", ""))
            assert re.search(r'href="(?!https?://|mailto:|#)', attributes) is None


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("<>[]()!\"'`*_#-|= \nahref:javascript&;\\/"), max_size=80))
def test_no_text_makes_another_tag(text):
    html = str(rendered(text))
    assert set(re.findall(r"<\s*/?\s*([a-zA-Z0-9]+)", html)) <= set(ALLOWED.split())
    assert "javascript:" not in "".join(re.findall(r'href="[^"]*"', html)).lower()


def test_addresses_in_an_answer_are_links():
    html = str(answer("Source: https://docs.example.com/a.html\n\n> see https://quoted.example/x"))
    assert '<a href="https://docs.example.com/a.html" rel="noopener noreferrer nofollow">' in html
    assert "quoted.example/x</a>" not in html


def test_a_snippet_is_plain_text_around_the_words():
    passage = (
        "## A [link](http://x/) `code`\n\n"
        + "filler words here. " * 40
        + "Then **rotate** the key.\n\n| a | b |\n|---|---|"
    )
    html = str(snippet(passage, "rotating a key"))
    assert "<mark>rotate</mark> the <mark>key</mark>" in html
    assert html.startswith("… ")
    assert not set("`*|#[]") & set(html)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=400), st.text(max_size=30))
def test_a_snippet_never_holds_markup_of_the_page(passage, question):
    html = str(snippet(passage, question))
    assert set(re.findall(r"<\s*/?\s*([a-zA-Z0-9]+)", html)) <= {"mark"}
