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
    assert refusal("/x", depth=1000) == ""
    assert refusal("/x", depth=1001) == "trap-click-depth"


def test_query_variants_of_one_path_are_capped():
    traps = Traps(TrapLimits(variants=5))
    said = [traps.refusal(f"http://h/p?x={word}", depth=1) for word in "abcdefg"]
    assert said == [""] * 5 + ["trap-query-variants"] * 2
    assert traps.refusal("http://h/other?x=a", depth=1) == ""


def test_facets_are_capped_sooner():
    traps = Traps(TrapLimits(faceted_variants=3))
    said = [traps.refusal(f"http://h/p?a={n}&b=1&c=2", depth=1) for n in range(5)]
    assert said == [""] * 3 + ["trap-query-variants"] * 2


def test_a_sessions_number_ends_soon():
    traps = Traps(TrapLimits(session_variants=2))
    said = [traps.refusal(f"http://h/p?sid={n}", depth=1) for n in range(4)]
    assert said == ["", "", "trap-session", "trap-session"]


def test_random_values_that_go_along_everywhere_are_sessions():
    traps = Traps(TrapLimits(session_variants=3))
    said = [traps.refusal(f"http://h/p{path}?x={visit:016x}", depth=1) for visit in range(8) for path in range(6)]
    assert "trap-session" in said


def test_pages_that_a_hash_names_are_pages():
    traps = Traps(TrapLimits(session_variants=3))
    assert not any(traps.refusal(f"http://h/page?id={n:032x}", depth=1) for n in range(500))
    assert not any(traps.refusal(f"http://h/wiki?title=Release_notes_{n}", depth=1) for n in range(500))


def test_parameters_in_another_order_are_the_same_page():
    traps = Traps()
    assert traps.refusal("http://h/p?a=1&b=2", depth=1) == ""
    assert traps.refusal("http://h/p?b=2&a=1", depth=1) == "trap-query-permutation"
    assert traps.refusal("http://h/p?b=1&a=2", depth=1) == ""


def test_pages_of_a_host_and_hosts_of_a_domain_are_capped():
    traps = Traps(TrapLimits(host_pages=2, hosts=2))
    assert [traps.refusal(f"http://h/{n}", depth=1) for n in range(3)] == ["", "", "trap-host-pages"]
    assert traps.refusal("http://i/", depth=1) == ""
    assert traps.refusal("http://j/", depth=1) == "trap-hosts"


def test_pages_that_differ_in_numbers_only_end():
    traps = Traps(TrapLimits(alike_from=3, alike=4))
    for day in range(12):
        body = f"<p>Day <b>{day}</b> <a href='/cal/{day + 1}'>next</a>"
        traps.saw(f"http://h/cal/{day}", body.encode(), depth=21 + day)
    assert traps.refusal("http://h/cal/99", depth=40) == "trap-same-content"
    assert traps.refusal("http://h/cal/98", depth=3) == "", "what many pages name is no trap"
    assert traps.refusal("http://h/guide", depth=40) == ""


def test_a_maze_that_never_gets_deep_ends_too():
    traps = Traps(TrapLimits(maze_from=50, maze=20))
    for room in range(80):
        traps.saw(f"http://h/room/{room}", f"<p>Room {room}".encode(), depth=6)
    assert traps.refusal("http://h/room/x1", depth=7) == "trap-same-content"


def test_a_list_of_numbered_pages_is_no_maze():
    traps = Traps(TrapLimits(maze_from=5, maze=5, alike_from=5, alike=5))
    for number in range(200):
        traps.saw(f"http://h/page/{number}", f"<p>Page {number}".encode(), depth=2)
    assert traps.refusal("http://h/page/201", depth=2) == ""


def test_numbered_pages_with_different_text_go_on():
    traps = Traps(TrapLimits(alike_from=3, alike=4))
    for number in range(40):
        body = f"<p>About {'ghijklmnop'[number % 10] * (number + 1)}"
        traps.saw(f"http://h/post/{number}", body.encode(), depth=30)
    assert traps.refusal("http://h/post/99", depth=30) == ""


def test_a_shape_forgets_numbers_and_random_names():
    assert shape("http://h/a/2024/x?q=1&p=2") == "http://h/a/#/x?q=#&p=#"
    assert shape("http://h/guide/intro") == "http://h/guide/intro?"


@given(st.text(max_size=60), st.integers(0, 300))
def test_any_address_gets_an_answer(path, depth):
    traps = Traps()
    traps.saw(f"http://h/{path}", b"x", depth=depth)
    assert isinstance(traps.refusal(f"http://h/{path}", depth=depth), str)
