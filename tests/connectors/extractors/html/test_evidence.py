from __future__ import annotations

import pytest
from selectolax.lexbor import LexborHTMLParser

from connectors.extractors.html import blocks, context, evidence, overall

URI = "https://shop.example/c/wide-blue-lamps-12345"
SILENT = evidence.Weights(names={}, sayings={}, headings={})
CARDS = "".join(f"<div class=card><h3>Lamp {n}</h3><p>Blue</p></div>" for n in range(4))


def read(page: str) -> tuple[LexborHTMLParser, blocks.Blocks]:
    parser = LexborHTMLParser(page)
    assert parser.body is not None
    return parser, blocks.read(parser.body, {})


def column(rows: list[list[float]], name: str) -> list[float]:
    return [row[evidence.NAMES.index(name)] for row in rows]


def test_elements_of_one_template_have_one_shape():
    _, found = read(f"<main>{CARDS}<p>Blue</p></main>")
    shapes = [block.part.shape for block in found.blocks]
    assert len(set(shapes[::2][:4])) == 1
    assert len(set(shapes[1::2])) == 1
    assert len(set(shapes)) == 3


def test_a_block_knows_how_many_are_alike_and_how_far_they_spread(about):
    _, found = read(f"<main>{CARDS}<p>A text of its own.</p></main>")
    rows = evidence.rows(found, about(), URI, SILENT)
    assert column(rows, "alike") == [4.0] * 8 + [1.0]
    assert column(rows, "alike words")[:2] == [2.0, 1.0]
    assert column(rows, "alike span")[0] == pytest.approx(7 / 9)


def test_a_heading_speaks_for_what_stands_under_it_until_the_next_of_its_level(about):
    _, found = read("<h2>Related articles</h2><p>one</p><h3>More</h3><p>two</p><h2>Summary</h2><p>three</p>")
    weights = evidence.Weights(names={}, sayings={}, headings={"=related articles": -2.0, "more": -1.0, "summary": 1.5})
    rows = evidence.rows(found, about(), URI, weights)
    assert column(rows, "heading said") == [-2.0, -2.0, -1.0, -1.0, 1.5, 1.5]
    assert column(rows, "headings said") == [-2.0, -2.0, -3.0, -3.0, 1.5, 1.5]
    assert column(rows, "headings said least") == [-2.0, -2.0, -2.0, -2.0, 0.0, 0.0]


def test_what_a_short_block_says_counts_and_what_a_long_one_says_does_not(about):
    _, found = read(f"<p>Leave a reply</p><p>{'reply ' * 40}</p>")
    weights = evidence.Weights(names={}, sayings={"^leave a": -1.0, "reply": -0.5}, headings={})
    assert column(evidence.rows(found, about(), URI, weights), "said") == [-1.5, 0.0]


def test_the_words_of_title_and_description_are_known_again(about):
    _, found = read("<p>The wide blue lamps.</p><p>Something else entirely</p>")
    said = about(title="Wide Blue lamps", description="A blue light for the desk")
    rows = evidence.rows(found, said, URI, SILENT)
    assert column(rows, "titled") == [0.5, 0.0]
    assert column(rows, "described") == [pytest.approx(1 / 3), 0.0]


@pytest.mark.parametrize(
    ("uri", "kind"),
    [("https://shop.example/c/lamps", 5), ("https://blog.example/lamps", 1), ("https://site.example/faq", 0), ("", 0)],
)
def test_an_address_says_what_kind_of_page_it_leads_to(about, uri, kind):
    _, found = read("<p>x</p>")
    values = dict(zip(overall.NAMES, overall.columns(found, about(), uri, [0], 1.0), strict=True))
    assert values["address"] == kind


def test_a_second_row_knows_what_was_thought_of_the_blocks_that_look_the_same(about):
    _, found = read(f"<main>{CARDS}</main>")
    first = evidence.rows(found, about(), URI, SILENT)
    rows = context.rows(found, first, [0.9, 0.1] * 4, 0.5)
    alike = context.NAMES.index("alike chance")
    assert [row[alike] for row in rows.values()] == pytest.approx([0.9, 0.1] * 4)


def test_blocks_without_a_chance_are_not_looked_at_again_and_an_opinion_that_was_not_asked_says_nothing(about):
    _, found = read("<p>one two</p><p>three four</p>")
    first = evidence.rows(found, about(), URI, SILENT)
    place = context.NAMES.index("opinion")
    assert list(context.rows(found, first, [0.01, 0.5], 0.5)) == [1]
    assert context.rows(found, first, [0.5, 0.5], 0.5)[0][place] == -1.0
    asked = context.rows(found, first, [0.5, 0.5], 0.5, [1.0, 0.0])
    assert [asked[0][place], asked[0][context.NAMES.index("agreed")]] == [1.0, 0.5]


def test_no_two_columns_have_one_name():
    assert len(set(evidence.NAMES)) == len(evidence.NAMES)
    assert len(set(context.NAMES)) == len(context.NAMES)


def test_a_page_without_text_has_no_rows(about):
    _, found = read("<div></div>")
    assert evidence.rows(found, about(), URI, SILENT) == []
    assert context.rows(found, [], [], 0.0) == {}
