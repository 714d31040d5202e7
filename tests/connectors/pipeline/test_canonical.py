"""A wrong rel=canonical never loses a page; a right one leaves one copy."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.pipeline.canonical import keepers


def live(*uris):
    return lambda uri: uri in uris


def test_a_page_whose_canonical_lives_is_let_go():
    assert keepers({"a": "b"}, live("b")) == frozenset()


def test_a_page_whose_canonical_is_dead_is_kept():
    assert keepers({"a": "b"}, live()) == {"a"}


def test_a_chain_to_a_dead_end_keeps_its_last_page():
    assert keepers({"a": "b", "b": "c"}, live()) == {"b"}


def test_of_a_circle_one_is_kept():
    assert keepers({"b": "a", "a": "b"}, live()) == {"a"}


def test_what_leads_into_a_circle_is_let_go():
    assert keepers({"x": "b", "a": "b", "b": "a"}, live()) == {"a"}


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdefgh"), max_size=6), st.sets(st.sampled_from("gh"))
)
def test_every_held_page_reaches_a_page_that_is_delivered(held, alive):
    held = {uri: to for uri, to in held.items() if uri != to}
    kept = keepers(held, live(*alive))
    for start in held:
        uri, seen = start, set()
        while uri in held and uri not in kept and uri not in seen:
            seen.add(uri)
            uri = held[uri]
        assert uri in kept or uri in alive
