# ruff: noqa: E501 - pages are read by their lines
from __future__ import annotations

import json
import math
from importlib import resources
from random import Random
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser

from connectors.extractors.html import blocks, context, evidence, judge
from connectors.extractors.html.markdown import MARKDOWN
from connectors.extractors.html.writer import Writer

URI = "http://site.example/story"
SENTENCE = "The committee said on Monday that the bridge would be closed for repairs until the spring, and that buses would run instead."
TEASERS = "".join(
    f'<div class="card"><a href="/n{n}"><img src="x.png">Another story {n} that nobody asked for</a></div>'
    for n in range(9)
)
ARTICLE = (
    "<title>Bridge closed for repairs - The Paper</title><meta property='og:type' content='article'><meta name='author' content='Ann Bo'>"
    "<header class='site-header'><a href=/>The Paper</a><ul><li><a href=/a>News</a><li><a href=/b>Sport</a></ul></header>"
    "<div class='page'><div class='story-body'><h1>Bridge closed for repairs</h1>"
    + "".join(f"<p>{n}. {SENTENCE}</p>" for n in range(8))
    + f"<h2>What comes next</h2><p>{SENTENCE}</p><pre>timetable\n\n  07:10</pre><p>{SENTENCE}</p></div>"
    f"<div class='sidebar'><h3>Most read</h3>{TEASERS}</div></div>"
    "<footer class='footer'><p>© 2024 The Paper. All rights reserved. <a href=/p>Privacy policy</a></p></footer>"
)


def read(page: str, kinds: dict[int, str] | None = None) -> tuple[LexborHTMLParser, blocks.Blocks]:
    parser = LexborHTMLParser(page)
    assert parser.body is not None
    return parser, blocks.read(parser.body, kinds or {})


def test_a_run_of_text_ends_where_a_block_begins_and_not_at_a_link():
    _, found = read("<div>One <a href=x>two</a> three<p>four</p>five</div>")
    assert [(block.text, block.part.tag, block.linked) for block in found.blocks] == [
        ("One two three", "div", 1),
        ("four", "p", 0),
        ("five", "div", 0),
    ]


def test_what_is_never_written_is_no_block():
    _, found = read("<nav>menu</nav><script>x()</script><button>Buy</button><p>text</p>")
    assert [block.text for block in found.blocks] == ["text"]


def test_a_dropped_element_is_no_block():
    parser, _ = read("<p>gone</p><p>stays</p>")
    gone = parser.css_first("p")
    assert gone is not None
    found = blocks.read(parser.body, {gone.mem_id: "drop"})  # type: ignore[arg-type]
    assert [block.text for block in found.blocks] == ["stays"]


def test_siblings_that_look_the_same_know_how_many_they_are():
    _, found = read("<ul><li class=a>x y</li><li class=a>z</li><li class=b>w</li></ul>")
    assert [(part.twins, part.twin_words, part.place) for part in found.parts if part.tag == "li"] == [
        (2, 3, 0),
        (2, 3, 1),
        (1, 0, 0),
    ]


def test_every_row_has_a_number_for_every_name(about):
    _, found = read(ARTICLE)
    rows = evidence.rows(found, about(article=True), URI, judge.model().weights)
    assert {len(row) for row in rows} == {len(evidence.NAMES)}
    again = context.rows(found, rows, [0.5] * len(rows), 0.5)
    assert {len(row) for row in again.values()} == {len(context.NAMES)}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("plain words of a text", 0),
        ("© acme", 1),
        ("sign in", 2),
        ("log in to reddit", 2),
        ("twitter", 3),
        ("advertisement", 4),
        ("you might also like", 5),
        ("3 comments", 6),
        ("now $ 5", 7),
        ("5 eur", 7),
        ("posted by anna", 8),
        ("spring of 2019", 9),
        ("٣ days ago", 9),
    ],
)
def test_what_a_short_text_says_is_known_by_the_first_phrase_in_it(text, number):
    assert evidence.phrase(text) == number


def walked(row: list[float], trees: list[Any], names: tuple[str, ...]) -> float:
    total = 0.0
    for number, tree in enumerate(trees):
        node = tree
        while isinstance(node, list):
            name, least, below, above = node
            node = below if row[names.index(name)] <= least else above
        total += node
        if number == 20 and total < -4.5:
            break
    return 1.0 / (1.0 + math.exp(-total))


def test_a_chance_is_what_the_learned_trees_sum_up_to():
    data = json.loads(resources.files(judge.__package__).joinpath("weights.json").read_text("utf-8"))
    random = Random(5)
    for names, trees, chance in (
        (evidence.NAMES, data["trees"], judge.model().first),
        (context.NAMES, data["again"], judge.model().again),
    ):
        for _ in range(50):
            row = [random.choice((0.0, random.random(), 50 * random.random(), -999.0)) for _ in names]
            assert chance(row) == walked(row, trees, names)


def test_an_article_keeps_its_text_and_loses_what_stands_beside_it(extract):
    page = extract(ARTICLE).pages[0]
    assert page.content.count("The committee said") == 10
    assert "## What comes next" in page.content
    assert "```\ntimetable\n\n  07:10\n```" in page.content
    assert "Another story" not in page.content
    assert "All rights reserved" not in page.content


def test_an_article_that_is_not_sure_asks_for_an_opinion_and_one_that_is_does_not(about):
    asked: list[blocks.Blocks] = []

    def opinion(found: blocks.Blocks) -> list[float]:
        asked.append(found)
        return [1.0] * len(found.blocks)

    _, sure = read(ARTICLE)
    assert judge.verdict(sure, about(article=True), URI, opinion).sureness > 0.9
    assert asked == []
    _, unsure = read(f"<div>{TEASERS}</div><p>{SENTENCE}</p><div>{TEASERS}</div>")
    alone = judge.verdict(unsure, about(article=True), URI)
    assert alone.sureness < 0.9
    told = judge.verdict(unsure, about(article=True), URI, opinion)
    assert asked == [unsure]
    assert told.sureness != alone.sureness
    judge.verdict(unsure, about(), URI, opinion)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("chances", "held", "kept"),
    [
        ([0.8, 0.8, 0.8, 0.8], [1.0, 1.0, 1.0, 0.2], [0, 1, 2]),  # the other says no
        ([0.8, 0.8, 0.8, 0.97], [1.0, 1.0, 1.0, 0.0], [0, 1, 2, 3]),  # the trees are certain
        ([0.8, 0.8, 0.8, 0.35], [1.0, 1.0, 1.0, 1.0], [0, 1, 2, 3]),  # the other is certain
        ([0.8, 0.8, 0.8, 0.1], [1.0, 1.0, 1.0, 1.0], [0, 1, 2]),
        ([0.8, 0.8, 0.8, 0.8], [0.5, 0.0, 0.0, 0.0], [0, 1, 2, 3]),  # the other found next to nothing
    ],
)
def test_of_an_article_stays_what_trees_and_the_other_take_or_what_one_of_them_is_certain_of(
    about, chances, held, kept
):
    _, found = read(f"<p>{SENTENCE}</p>" * 4)
    verdict = judge.choice(found, about(article=True), chances, 0.5, 0.8, held=held)
    assert [place for place, one in enumerate(verdict.keep) if one] == kept


def ended(page: str, about) -> list[str]:
    _, found = read(page)
    kept = judge.choice(found, about, [0.9] * len(found.blocks), 0.5, 0.9).keep
    return [block.text for block, one in zip(found.blocks, kept, strict=True) if one]


def test_cards_of_links_after_an_articles_text_go_and_a_list_of_sources_or_a_listing_stays(about):
    text = "".join(f"<p>{n}. {SENTENCE}</p>" for n in range(4))
    cards = "<h3>More</h3><div><a href=/1>Another story</a></div><div><a href=/2>One more story</a></div>"
    sources = "<h3>More</h3><ul><li><a href=/1>Another story</a><li><a href=/2>One more story</a></ul>"
    assert len(ended(text + cards, about(article=True))) == 4
    assert len(ended(text + sources, about(article=True))) == 7
    assert len(ended(text + cards, about())) == 7
    assert len(ended(f"<p>Stories of the year</p>{cards}", about(article=True))) == 4


def test_the_report_says_what_the_judge_dropped_and_how_sure_it_is(extract):
    report = extract(ARTICLE).report
    assert any("sidebar" in name for name in report["dropped"])
    assert "F1 to be expected" in report["why"]


def test_all_posts_of_a_thread_in_an_unknown_forum_are_kept(extract):
    posts = "".join(
        f'<div class="comment-row"><div class="who"><a href="/u{n}">user{n}</a></div><div class="text"><p>Answer {n}: {SENTENCE}</p></div></div>'
        for n in range(12)
    )
    content = extract(f"<title>Bridge? - Forum</title><div class=thread><h1>Bridge?</h1>{posts}</div>").pages[0].content
    assert [n for n in range(12) if f"Answer {n}:" not in content] == []


@pytest.mark.parametrize(
    ("chances", "words", "least"),
    [([0.9, 0.1], [10, 10], 0.9), ([0.6, 0.5], [10, 10], 0.5), ([0.2, 0.15], [10, 10], 0.15)],
)
def test_a_block_is_kept_while_it_raises_the_expected_f1(chances, words, least):
    assert judge.best_threshold(chances, words)[0] == least


def test_a_table_of_data_is_kept_or_dropped_as_one(extract):
    rows = "".join(f"<tr><td>{n}:00</td><td>Line {n}</td><td>{'on time' if n % 2 else ''}</td></tr>" for n in range(12))
    content = (
        extract(ARTICLE.replace("<h2>", f"<table><tr><th>When<th>What<th>How</tr>{rows}</table><h2>")).pages[0].content
    )
    assert content.count("| Line ") in {0, 12}


def marked(page: str, kept: set[str]) -> tuple[LexborHTMLParser, dict[int, str]]:
    parser, found = read(page)
    kinds: dict[int, str] = {}
    judge.mark(found, [block.text in kept for block in found.blocks], kinds, pictured=True)
    return parser, kinds


def written(page: str, kept: set[str]) -> str:
    parser, kinds = marked(page, kept)
    assert parser.body is not None
    return "\n\n".join(Writer(MARKDOWN, kinds=kinds, resolve=lambda target: target).blocks(parser.body))


@pytest.mark.parametrize(
    ("page", "left"),
    [
        ("<div><a href=#m>Skip</a><p>Kept.</p>Share <b>this</b> now</div>", "Kept."),
        ("<ul><li>Menu<div>Kept.</div></ul>", "- Kept."),
        ("<ul>Follow us<li>Kept.</ul>", "- Kept."),
    ],
)
def test_loose_text_that_is_no_content_goes_from_an_element_that_stays(page, left):
    assert written(page, {"Kept."}) == left


PICTURED = "<h2>The old bridge</h2><p>Kept.</p><figure><img src=a.png alt='{}'><figcaption>Seen from the north</figcaption></figure><p>Kept.</p>"


@pytest.mark.parametrize("alt", ["The bridge 2", "the north", "Old Bridge, The"])
def test_a_picture_that_says_what_a_heading_or_its_caption_says_is_not_told(alt):
    assert "![" not in written(PICTURED.format(alt), {"The old bridge", "Kept.", "Seen from the north"})


def test_a_picture_that_says_more_is_told_and_the_same_words_once():
    text = written(PICTURED.format("Two arches of the bridge") * 2, {"The old bridge", "Kept.", "Seen from the north"})
    assert text.count("![Two arches of the bridge](a.png)") == 1


def test_a_heading_that_is_not_kept_says_nothing_for_a_picture():
    assert "![The bridge](a.png)" in written(PICTURED.format("The bridge"), {"Kept.", "Seen from the north"})


MANUAL = "".join(f"<h2>Part</h2><h2>call_{n}()</h2><p>{n}. {SENTENCE}</p>" for n in range(4))


def test_a_heading_above_a_heading_stays_in_a_page_that_is_no_article(extract):
    page = f"<title>T</title><div class=nav><a href=/a>One</a></div><div class=contents>{MANUAL}</div>"
    assert extract(page).pages[0].content.count("## Part\n\n## call_") == 4


def test_a_heading_whose_words_stand_in_an_element_of_their_own_is_a_heading(extract):
    page = MANUAL.replace("call_", "<div class=title-name>call_").replace("()</h2>", "()</div></h2>")
    content = extract(f"<title>T</title><div class=inner>{page}</div>").pages[0].content
    assert [n for n in range(4) if f"## call_{n}()" not in content.replace("\\", "")] == []
