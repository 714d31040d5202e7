"""What passes between a cleaning process and us: data only, whoever writes it."""

import contextlib
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.extractors import wire
from connectors.models import CleaningRules, Draft, Extracted, Hints, Page, Resource

SAFE = st.text(st.characters(exclude_categories=("Cs",)), max_size=50)
WHOLE = st.integers(-(2**63), 2**64 - 1)
JSON = st.dictionaries(SAFE, st.recursive(st.none() | st.booleans() | WHOLE | SAFE, st.lists, max_leaves=5))


@settings(max_examples=100, deadline=None)
@given(
    body=st.binary(max_size=200),
    uri=SAFE,
    redirects=st.lists(SAFE, max_size=3).map(tuple),
    select=st.lists(SAFE, max_size=3).map(tuple),
)
def test_a_request_arrives_as_it_was_sent(body, uri, redirects, select):
    sent = Resource(
        uri=uri, requested_uri=uri, media_type="text/html", body=body, redirects=redirects, hints=Hints(section=("a",))
    )
    rules = CleaningRules(remove=select)
    head, tail = wire.request(sent, rules)
    length, more = wire.LENGTHS.unpack(head[:8])
    assert (len(head) - 8, len(tail)) == (length, more)
    assert wire.read_request(head[8:], tail) == (sent, rules)


@settings(max_examples=100, deadline=None)
@given(title=SAFE, content=SAFE, metadata=JSON, flags=st.lists(SAFE, max_size=3).map(tuple), weak=st.booleans())
def test_an_answer_arrives_as_it_was_sent(title, content, metadata, flags, weak):
    page = Page(uri="a:b", title=title, content=content, metadata=metadata, flags=flags, blocks=(2**64 - 1,), weak=weak)
    draft = Draft(page=page, content=content, text_hash="x", fingerprint="y")
    sent = Extracted(pages=(page,), drafts=(draft,), links=("a:c",), report={"why": "so"})
    assert wire.read_answer(wire.answer(sent)[8:]) == (sent, False)


def test_a_lone_surrogate_does_not_get_through():
    out, _ = wire.read_answer(wire.answer(Extracted(detail="a\ud800b"))[8:])
    assert out.detail == "a?b"


GOOD = json.loads(wire.answer(Extracted())[8:])


@pytest.mark.parametrize(
    "lie",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\x80\x04\x95",
        b"[" * 100_000,
        json.dumps({**GOOD, "pages": [[1, 2]]}).encode(),
        json.dumps({**GOOD, "pages": [["u", 1, "c", {}, [], [], False]]}).encode(),
        json.dumps({**GOOD, "links": "abc"}).encode(),
        json.dumps({**GOOD, "noindex": 1}).encode(),
        json.dumps({**GOOD, "drafts": [["a", "b", "c"]]}).encode(),
        json.dumps({key: value for key, value in GOOD.items() if key != "retiring"}).encode(),
    ],
)
def test_what_is_no_honest_answer_is_refused(lie):
    with pytest.raises(wire.WireError):
        wire.read_answer(lie)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100) | st.text(max_size=100).map(lambda t: json.dumps({**GOOD, "pages": t}).encode()))
def test_any_bytes_are_an_answer_or_refused(data):
    with contextlib.suppress(wire.WireError):
        wire.read_answer(data)


def test_the_longest_frame_is_bounded():
    assert struct.calcsize(wire.LENGTHS.format) == 8
    assert wire.MAX_ANSWER < 2**32
