"""The training data skimmed: the same items as a reader finds, and known ones by their marks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.models import Item
from connectors.persona.skimming import Skimmer
from connectors.persona.training import BrokenStreamError, Reader

sys.path.insert(0, str(Path(__file__).parent))
from test_training import BAD_ANSWERS, TEXT, whole

FORMS = {
    "compact": {"separators": (",", ":")},
    "spaced": {},
    "indented": {"indent": 2},
    "wide characters": {"ensure_ascii": False},
}
PAIRS = [(str(number), f'text {number} "quoted" {{"id":"no"}} \\') for number in range(20)]


def skim(data: bytes, known=frozenset(), *, chunk: int = 7, **options) -> list[Item | bytes]:
    skimmer = Skimmer(known, **options)
    found = [item for at in range(0, len(data), chunk) for item in skimmer.feed(data[at : at + chunk])]
    return [*found, *skimmer.finish()]


def answer(pairs, form="compact", *, names=("id", "content"), **more) -> bytes:
    items = [dict(zip(names, pair if names[0] == "id" else pair[::-1], strict=True)) | more for pair in pairs]
    return json.dumps({"status": "success", "training_data": items}, **FORMS[form]).encode()


def bare(items):
    return [(item.id, item.content) for item in items]


@given(
    st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=8),
    st.integers(1, 60),
    st.sampled_from(list(FORMS)),
    st.sampled_from([("id", "content"), ("content", "id")]),
    st.data(),
)
def test_whatever_is_known_the_items_are_those_that_a_reader_finds(pairs, chunk, form, names, data):
    body = answer(pairs, form, names=names)
    read = skim(body, chunk=chunk)
    assert bare(read) == pairs
    known = {item.mark: item for item in data.draw(st.sets(st.sampled_from(read)) if read else st.just(set()))}
    known.pop(b"", None)
    again = skim(body, known, chunk=chunk)
    assert bare([known.get(item, item) for item in again]) == pairs
    assert {item for item in again if isinstance(item, bytes)} == known.keys()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("names", [("id", "content"), ("content", "id")])
def test_every_item_but_the_last_has_a_mark_of_its_own(form, names):
    *rest, last = skim(answer(PAIRS, form, names=names))
    assert len({item.mark for item in rest if len(item.mark) == 16}) == len(PAIRS) - 1
    assert last.mark == b""


@pytest.mark.parametrize("change", ["id", "content", "more"])
def test_an_item_that_differs_in_anything_is_read_again(change):
    known = {item.mark for item in skim(answer(PAIRS))}
    pairs = list(PAIRS)
    pairs[5] = {"id": ("other", pairs[5][1]), "content": (pairs[5][0], pairs[5][1] + " "), "more": pairs[5]}[change]
    body = answer(pairs) if change != "more" else answer(pairs).replace(b'{"id":"5"', b'{"id":"5","more":1', 1)
    found = skim(body, known)
    assert [found.index(item) for item in found if isinstance(item, Item)] == [5, len(PAIRS) - 1]
    assert bare([found[5]]) == [pairs[5]]


def test_items_in_items_are_not_taken_for_items():
    nested = {"parts": [{"id": "no", "content": "no"}, {"id": "no", "content": "neither"}]}
    body = answer(PAIRS, **nested)
    found = skim(body)
    assert bare(found) == PAIRS
    assert bare(skim(body, {item.mark for item in found})) == PAIRS, "what is cut within an item has no mark"


@pytest.mark.parametrize("around", ["item", "answer"])
def test_a_known_item_within_something_else_is_none_of_the_list(around):
    parts = [{"id": name, "content": content} for name, content in PAIRS]
    known = {item.mark for item in skim(answer(PAIRS))}
    body = answer([("a", "b")], **({"parts": parts} if around == "item" else {}))
    if around == "answer":
        body = body.removesuffix(b"}") + b',"more":' + json.dumps(parts, separators=(",", ":")).encode() + b"}"
    assert bare(skim(body, known)) == [("a", "b")]


@pytest.mark.parametrize("extra", [b"1", b'"x"', b"null", b"[]", b'"', b'"x', b"{", b"nul", b"]", b"}", b"],[", b"],"])
def test_a_known_item_is_passed_over_only_where_an_item_may_stand(extra):
    body = answer(PAIRS)
    known = {item.mark for item in skim(body)}
    for before in (b'{"id":"0"', b'{"id":"7"'):
        for comma in (b"", b","):
            with pytest.raises(BrokenStreamError):
                skim(body.replace(before, extra + comma + before, 1), known)


@given(st.data())
def test_an_answer_that_ends_early_never_is_a_short_list_of_known_items(data):
    body = answer(PAIRS)
    known = {item.mark for item in skim(body)}
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(BrokenStreamError):
        skim(body[:cut], known)


@pytest.mark.parametrize("body", BAD_ANSWERS)
def test_anything_but_the_documented_answer_is_an_error_all_the_same(body):
    with pytest.raises(BrokenStreamError):
        skim(body)


@pytest.mark.parametrize("ending", [b"", b"]", b"}", b"]}{}", b'],"status":"error"}', b'],"training_data":[]}', b"],}"])
def test_known_items_do_not_hide_a_bad_end(ending):
    body = answer(PAIRS)
    known = {item.mark for item in skim(body)}
    with pytest.raises(BrokenStreamError):
        skim(body.removesuffix(b"]}") + ending, known)


@given(st.binary(max_size=60), st.integers(0, 400))
def test_bytes_put_anywhere_are_judged_as_a_reader_judges_them(noise, at):
    body = answer(PAIRS[:6])
    known = {item.mark: item for item in skim(body)}
    known.pop(b"")
    spoiled = body[:at] + noise + body[at:]
    reader = Reader()
    try:
        read = list(reader.feed(spoiled))
        reader.finish()
    except BrokenStreamError:
        with pytest.raises(BrokenStreamError):
            skim(spoiled, known)
    else:
        assert bare([known.get(item, item) for item in skim(spoiled, known)]) == bare(read)


def test_an_answer_that_does_not_tell_how_items_begin_is_read_as_it_is():
    items = [{"meta": 1, "id": name, "content": content} for name, content in PAIRS]
    assert bare(skim(whole(items))) == PAIRS
    far = {"status": "success", "page": "x" * 10_000, "training_data": [{"id": i, "content": c} for i, c in PAIRS]}
    assert bare(skim(json.dumps(far).encode())) == PAIRS


def test_an_item_over_the_bound_is_an_error_before_it_is_complete():
    skimmer = Skimmer(max_item_bytes=1000)
    with pytest.raises(BrokenStreamError, match="over 1000 bytes"):
        list(skimmer.feed(b'{"status":"success","training_data":[{"id":"1","content":"' + b"x" * 2000))
