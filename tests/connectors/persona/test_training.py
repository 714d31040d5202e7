"""The training data as a stream: the whole list, or an error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.models import Item
from connectors.persona.training import BrokenStreamError, Reader


def read(data: bytes, *, chunk: int = 7, **options) -> list[Item]:
    reader = Reader(**options)
    found = [item for at in range(0, len(data), chunk) for item in reader.feed(data[at : at + chunk])]
    reader.finish()
    return found


def whole(items, **more) -> bytes:
    return json.dumps({"status": "success", "training_data": items} | more).encode()


BAD_ANSWERS = [
    b"",
    b"[]",
    b"null",
    b"<html>",
    b'{"status":"success"}',
    b'{"training_data":[]}',
    b'{"status":"error","training_data":[]}',
    b'{"status":"error","status":"success","training_data":[]}',
    b'{"status":"success","training_data":[],"status":"error"}',
    b'{"status":1,"status":"success","training_data":[]}',
    b'{"status":"success","training_data":{}}',
    b'{"status":"success","training_data":null}',
    b'{"status":"success","training_data":"all"}',
    b'{"status":"success","training_data":[1]}',
    b'{"status":"success","training_data":[[]]}',
    b'{"status":"success","training_data":[{}]}',
    b'{"status":"success","training_data":[{"id":"1"}]}',
    b'{"status":"success","training_data":[{"content":"x"}]}',
    b'{"status":"success","training_data":[{"id":1,"content":"x"}]}',
    b'{"status":"success","training_data":[{"id":"","content":"x"}]}',
    b'{"status":"success","training_data":[{"id":"1","content":null}]}',
    b'{"status":"success","training_data":[{"id":"1","content":["x"]}]}',
    b'{"status":"success","training_data":[{"id":"1","id":"2","content":"x"}]}',
    b'{"status":"success","training_data":[],"training_data":[]}',
    b'{"status":"success","training_data":[]}{}',
    b'{"status":"success","training_data":[{"id":"1","content":"\xff"}]}',
    b'{"status":"success","training_data":[{"id":"1","content":"x"}],"a":NaN}',
    b'{"status":"success","a":' + b"[" * 200 + b"]" * 200 + b',"training_data":[]}',
    b'{"status":"success","a":' + b"9" * 100_000 + b',"training_data":[]}',
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=8), st.integers(1, 40))
def test_whatever_the_pieces_the_items_are_the_same(pairs, chunk):
    items = [{"id": name, "content": content} for name, content in pairs]
    assert read(whole(items), chunk=chunk) == [Item(id=name, content=content) for name, content in pairs]


@given(st.data())
def test_an_answer_that_ends_early_never_is_a_short_list(data):
    body = whole([{"id": str(n), "content": "x" * n} for n in range(5)])
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(BrokenStreamError):
        read(body[:cut])


def test_fields_we_do_not_know_are_passed_over_wherever_they_are():
    items = [{"meta": {"id": "no", "content": ["no"]}, "id": "1", "content": "yes", "tags": ["a", {"id": "no"}]}]
    body = json.dumps({"page": {"training_data": [1]}, "training_data": items, "total": 1, "status": "success"})
    assert read(body.encode()) == [Item(id="1", content="yes")]


@pytest.mark.parametrize("body", BAD_ANSWERS)
def test_anything_but_the_documented_answer_is_an_error(body):
    with pytest.raises(BrokenStreamError):
        read(body)


@given(st.binary(max_size=100))
def test_no_bytes_crash_the_reader(body):
    with pytest.raises(BrokenStreamError):
        read(body)


def test_an_item_over_the_bound_is_an_error_before_it_is_complete():
    reader = Reader(max_item_bytes=1000)
    with pytest.raises(BrokenStreamError, match="over 1000 bytes"):
        list(reader.feed(b'{"status":"success","training_data":[{"id":"1","content":"' + b"x" * 2000))


def test_many_items_under_the_bound_pass():
    assert len(read(whole([{"id": str(n), "content": "x" * 500} for n in range(50)]), max_item_bytes=1000)) == 50
