"""Queries on a parsed page: the same nodes as the parser finds, for less."""

import pytest
from selectolax.lexbor import LexborHTMLParser

from connectors.extractors.html.kinds import KINDS
from connectors.extractors.html.rules import SYSTEMS
from connectors.extractors.html.tree import KNOWN_TAGS, TEXT, Tree, needs, outermost, together

PAGE = """<html id=XF lang=en><head><meta name=generator content=x><link rel="next Prev" href=/n></head>
<body class="Home single-post" data-Role=x><div class="a note"><p style="color: red">One <a href=#x>two</a></p></div>
<DIV CLASS='Note b' hidden><template><p class=inside>no</p></template><my-part></my-part></DIV>
<ul><li id=Top>x<li aria-hidden=true>y</ul><svg><path class=line /></svg><p class>z
<noscript><p class=quiet>q</noscript>
<div ROLE=Main><i role="main" itemprop='datePublished dateModified' role2=x></i></div>"""
SELECTORS = [
    *(selector for _, selector in KINDS),
    *(selector for system in SYSTEMS for selector in (system.detect, *system.container, *system.drop) if selector),
    *("*", "p", "P", ".note", ".Note", "#top", "#Top", "html#XF", "[hidden]:not([class*=tab])", "p:not(.x), .absent"),
    *("div > p", "[style], [nothing]", "my-part", ".inside", ".line", ".quiet"),
    *(".a\\.b, p", "a[href='#x,y'], a[href^='#']"),
    *("[data-role]", "p:empty", "div:has(> p) a", "link[rel~=prev i]", "body.single-post, [itemprop=datePublished]"),
    *(
        "[role=main]",
        "[role=Main]",
        "[ROLE=main]",
        "[role=main i]",
        "[role='main']",
        "[role=tablist], i[role=main]",
        "[role]",
    ),
    *("[itemprop~=dateModified]", "[itemprop=datePublished]", "[role=main]:not([role=x]) > i", "div:has([role=main])"),
]


@pytest.mark.parametrize("doctype", ["<!doctype html>", ""])
def test_a_selector_finds_what_the_parser_finds(doctype):
    root = LexborHTMLParser(doctype + PAGE).root
    tree = Tree(root)
    for selector in SELECTORS:
        expected = [node.mem_id for node in root.css(selector)]
        assert [node.mem_id for node in tree.css(selector)] == expected, selector
        first = tree.first(selector)
        assert ([] if first is None else [first.mem_id]) == expected[:1], selector


def test_a_value_that_no_element_has_is_known_without_a_query():
    tree = Tree(LexborHTMLParser(PAGE).root)
    assert {"[role", "[role=main"} <= tree.names
    assert "[role=tablist" not in tree.names
    assert needs("i[role=tablist]")[1] == {"i", "[role=tablist"}


def test_the_parser_numbers_text_and_its_own_tags_alike_in_all_documents():
    one, other = LexborHTMLParser("<p>x").body, LexborHTMLParser("<my-own>y</my-own><search><p>z").body
    assert one.css_first("p").first_child.tag_id == other.css_first("p").first_child.tag_id == TEXT
    assert one.css_first("p").tag_id == other.css_first("p").tag_id < KNOWN_TAGS
    assert other.css_first("my-own").tag_id > KNOWN_TAGS


def test_more_elements_than_are_looked_at_at_once_are_all_named():
    many = "<b>x</b>" * 5000
    tree = Tree(LexborHTMLParser(f"<a href=1></a><i class=First></i>{many}<i id=Last data-x></i><a href=2></a>").root)
    assert {".first", "#last", "[data-x", "b"} <= tree.names
    assert [said["href"] for tag, said in tree.told if tag == "a"] == ["1", "2"]


def test_a_query_below_a_node_finds_that_node_and_what_is_in_it():
    tree = Tree(LexborHTMLParser(PAGE).root)
    box = tree.first("div.note")
    assert [node.tag for node in tree.css("div, p, li", box)] == ["div", "p"]


def test_what_a_selector_needs_is_known_without_a_page():
    assert needs("p.note > a[href], :not(.x) #top:first-child")[0] == (
        ("p.note > a[href]", frozenset({"p", ".note", "a", "[href"})),
        (":not(.x) #top:first-child", frozenset({"#top"})),
    )


def test_a_selector_that_no_parser_knows_is_left_to_it():
    with pytest.raises(Exception, match=r".+"):
        Tree(LexborHTMLParser(PAGE).root).css("p:::")


def test_the_outermost_nodes_are_given_once_each_even_where_two_alternatives_match():
    tree = Tree(LexborHTMLParser("<p class=a id=b><b class=a></b></p><i class=a></i>").root)
    assert [node.tag for node in outermost(tree.css(".a, #b"))] == ["p", "i"]
    assert [node.tag for node in outermost(tree.css(".a"), tree.css("p"))] == ["p", "i"]


def test_many_selectors_are_answered_at_once_each_by_its_place():
    tree = Tree(LexborHTMLParser(PAGE).root)
    found = {place: [node.tag for node in nodes] for place, nodes in tree.each(("li", ".absent", "div.note, p"))}
    assert found == {0: ["li", "li"], 2: [node.tag for node in tree.css("div.note, p")]}


def test_selectors_are_put_together_unless_one_would_swallow_the_next():
    assert together((".a", "p, q")) == ".a, p, q"
    with pytest.raises(ValueError, match="swallow"):
        together(("a[title='swallow", ".b"))
