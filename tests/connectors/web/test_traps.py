from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.web.traps import TrapLimits, Traps, shape, shape_refusal


def refusal(path: str, depth: int = 1) -> str:
    return shape_refusal(f"http://h{path}", depth=depth, limits=TrapLimits())


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/a/b/a/b/", ""),
        ("/a/b/a/b/a/", "trap-repeated-segment"),
        ("/a/a/a", "trap-repeated-segment"),
        ("/2011/11/11/11.html", ""),
        ("/2011/11/11/11/", ""),
        ("/1/1/1/1/", "trap-repeated-segment"),
        ("/" + "/".join(f"s{n}" for n in range(20)), ""),
        ("/" + "/".join(f"s{n}" for n in range(21)), "trap-path-depth"),
        ("/" + "x" * 5000, "trap-long-url"),
    ],
)
def test_the_shape_of_one_address_can_be_a_trap(path, rule):
    assert refusal(path) == rule


def test_a_chain_of_clicks_ends():
    assert refusal("/x", depth=200) == ""
    assert refusal("/x", depth=201) == "trap-click-depth"


def test_query_variants_of_one_path_are_capped():
    traps = Traps(TrapLimits(variants=5))
    said = [traps.refusal(f"http://h/p?x={word}", depth=1) for word in "abcdefg"]
    assert said == [""] * 5 + ["trap-query-variants"] * 2
    assert traps.refusal("http://h/other?x=a", depth=1) == ""


def test_facets_are_capped_sooner():
    traps = Traps(TrapLimits(faceted_variants=3))
    said = [traps.refusal(f"http://h/p?a={n}&b=1&c=2", depth=1) for n in range(5)]
    assert said == [""] * 3 + ["trap-query-variants"] * 2


def test_random_values_are_sessions():
    traps = Traps(TrapLimits(random_variants=2))
    said = [traps.refusal(f"http://h/p?sid=a1b2c3d4e5f6{n}", depth=1) for n in range(4)]
    assert said == ["", "", "trap-session", "trap-session"]


def test_pages_of_a_host_and_hosts_of_a_domain_are_capped():
    traps = Traps(TrapLimits(host_pages=2, hosts=2))
    assert [traps.refusal(f"http://h/{n}", depth=1) for n in range(3)] == ["", "", "trap-host-pages"]
    assert traps.refusal("http://i/", depth=1) == ""
    assert traps.refusal("http://j/", depth=1) == "trap-hosts"


def test_pages_that_differ_in_numbers_only_end():
    traps = Traps(TrapLimits(alike_from=3, alike=4))
    for day in range(12):
        traps.saw(f"http://h/cal/{day}", f"<p>Day <b>{day}</b> <a href='/cal/{day + 1}'>next</a>".encode())
    assert traps.refusal("http://h/cal/99", depth=1) == "trap-same-content"
    assert traps.refusal("http://h/guide", depth=1) == ""


def test_numbered_pages_with_different_text_go_on():
    traps = Traps(TrapLimits(alike_from=3, alike=4))
    for number in range(40):
        traps.saw(f"http://h/post/{number}", f"<p>About {'abcdefghij'[number % 10] * (number + 1)}".encode())
    assert traps.refusal("http://h/post/99", depth=1) == ""


def test_a_shape_forgets_numbers_and_random_names():
    assert shape("http://h/a/2024/x?q=1&p=2") == "http://h/a/#/x?q=#&p=#"
    assert shape("http://h/guide/intro") == "http://h/guide/intro?"


@given(st.text(max_size=60), st.integers(0, 300))
def test_any_address_gets_an_answer(path, depth):
    traps = Traps()
    traps.saw(f"http://h/{path}", b"x")
    assert isinstance(traps.refusal(f"http://h/{path}", depth=depth), str)
