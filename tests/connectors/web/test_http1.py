"""HTTP/1.1 by its standard (RFC 9112), and what strangers make of it."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.web.http1 import (
    MAX_FIELDS,
    MAX_FRAMING,
    MAX_HEAD,
    MAX_INTERIM,
    MAX_LINE,
    Fields,
    ProtocolError,
    Reader,
    request_head,
)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(data: bytes, *, step: int = 0, ended: bool = False, **options) -> tuple[Reader, bytes]:
    reader = Reader(**options)
    for at in range(0, len(data), step or len(data)):
        reader.feed(data[at : at + (step or len(data))])
    if ended:
        reader.end()
    return reader, b"".join(reader.take())


@pytest.mark.parametrize("step", [0, 1, 2, 7])
@pytest.mark.parametrize(
    ("data", "body", "keeps"),
    [
        (OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
        (OK + b"Content-Length: 0\r\n\r\n", b"", True),
        (OK + b"Content-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
        (OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello", b"hello", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nno", b"no", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nlf", b"lf", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", b"", True),
        (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", b"", True),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", b"hello", True),
        (CHUNKED + b"3;a=b\r\nhel\r\n2 \r\nlo\r\n000\r\nX-Trailer: 1\r\n\r\n", b"hello", True),
        (CHUNKED + b"A\n0123456789\n0\n\n", b"0123456789", True),
        (
            OK + b"Transfer-Encoding: Chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"hello",
            False,
        ),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nyo", b"yo", True),
        (OK + b"Content-Length: 2\r\n\r\nyoHTTP/1.1 200 OK\r\n", b"yo", False),
        (CHUNKED + b"0\r\n\r\nHTTP/1.1 200 OK\r\n", b"", False),
    ],
)
def test_an_answer_is_read_to_its_end_however_it_comes(data, body, keeps, step):
    reader, found = read(data, step=step)
    assert (reader.complete, found, reader.keeps) == (True, body, keeps)


def test_a_body_without_a_length_ends_with_the_connection():
    reader, found = read(OK + b"\r\nall of", step=3)
    assert (reader.complete, found) == (False, b"all of")
    reader.end()
    assert (reader.complete, reader.keeps) == (True, False)


def test_an_answer_to_head_has_no_body():
    reader, _ = read(OK + b"Content-Length: 500\r\n\r\n", bodyless=True)
    assert (reader.complete, reader.keeps) == (True, True)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200", OK + b"Content-Length: 9\r\n\r\nhalf", CHUNKED + b"5\r\nhel"])
def test_a_connection_that_ends_too_early_is_told(data):
    reader = Reader()
    if data:
        reader.feed(data)
    with pytest.raises(ProtocolError):
        reader.end()


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 99 X\r\n\r\n",
        b"HTTP/1.1 1000 X\r\n\r\n",
        b"<html>\n\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INTERIM + 1),
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 0x5\r\n\r\nhello",
        OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
        OK + b"Content-Length: \xc2\xb2\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        CHUNKED + b"x\r\n",
        CHUNKED + b"-5\r\n",
        CHUNKED + b"\r\n",
        CHUNKED + b"3\r\nhello\r\n",
        CHUNKED + b"f" * 16 + b"\r\n",
        CHUNKED + b"5;" + b"x" * MAX_LINE,
        OK + b"X: " + b"x" * MAX_LINE + b"\r\n\r\n",
        OK + b"X: x\r\n" * (MAX_FIELDS + 1) + b"\r\n",
        OK + b"X: x" * MAX_HEAD,
        OK + b"X: a\0b\r\n\r\n",
    ],
)
def test_what_is_no_answer_or_beyond_the_bounds_is_refused(data):
    with pytest.raises(ProtocolError):
        read(data)


def test_a_head_without_end_is_refused_before_it_is_large():
    with pytest.raises(ProtocolError):
        read(b"x" * 2 * MAX_HEAD, step=1000)


def test_more_framing_than_body_is_refused():
    with pytest.raises(ProtocolError, match="too many chunks"):
        read(CHUNKED + b"1\r\nx\r\n" * (2 * MAX_FRAMING // 6), step=65_536)


def test_lines_of_a_sensible_length_as_chunks_are_read():
    line = b"x" * 60
    reader, found = read(CHUNKED + (b"3c\r\n" + line + b"\r\n") * 30_000 + b"0\r\n\r\n", step=65_536)
    assert reader.complete
    assert len(found) == 60 * 30_000


def test_fields_are_found_by_any_case_and_kept_in_order():
    reader, _ = read(
        OK
        + b'ETag: "1"\r\nLink: </a>\r\nlink:</b>\r\nX-Long: a\r\n  b\r\nno field\r\n: empty\r\nX-Utf: \xc3\xbc\r\n\r\n'
    )
    fields = reader.fields
    assert (fields.get("etag"), fields.get("x-long"), fields.get("x-utf")) == (
        '"1"',
        "a b",
        "\N{LATIN SMALL LETTER U WITH DIAERESIS}",
    )
    assert (list(fields.getall("link")), "link" in fields, fields.get("nothing")) == (["</a>", "</b>"], True, "")
    assert [name for name, _ in fields.pairs] == ["ETag", "Link", "link", "X-Long", "X-Utf"]
    assert list(Fields(()).getall("link")) == []


LINE = st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), max_size=30).map(str.encode)


@given(st.lists(LINE, max_size=9))
def test_one_folded_line_changes_nothing_about_the_others(lines):
    lines = [line for line in lines if line.strip() and line[:1] not in {b" ", b"\t"}]
    head = OK + b"".join(line + b"\r\n" for line in lines) + b"Content-Length: 0\r\n"
    try:
        plainly, _ = read(head + b"\r\n")
    except ProtocolError:
        with pytest.raises(ProtocolError):
            read(head + b"X-Last: a\r\n b\r\n\r\n")
        return
    folded, _ = read(head + b"X-Last: a\r\n b\r\n\r\n")
    assert folded.fields.pairs == [*plainly.fields.pairs, ("X-Last", "a b")]


def test_what_was_taken_waits_no_more():
    reader = Reader()
    reader.feed(OK + b"Content-Length: 10\r\n\r\nhello")
    assert (reader.waiting, reader.take(), reader.waiting, reader.take()) == (5, [b"hello"], 0, [])


@given(
    st.binary(max_size=300), st.sampled_from([b"", OK, CHUNKED, OK + b"Content-Length: 9\r\n\r\n"]), st.integers(1, 40)
)
def test_any_bytes_are_an_answer_or_refused(data, before, step):
    reader = Reader()
    try:
        for at in range(0, len(before + data), step):
            reader.feed((before + data)[at : at + step])
        reader.end()
    except ProtocolError:
        return
    assert reader.complete


@given(st.binary(max_size=2000), st.lists(st.integers(1, 300), min_size=1), st.integers(1, 500))
def test_a_body_in_chunks_is_the_body(body, sizes, step):
    data, at, turn = CHUNKED, 0, 0
    while at < len(body):
        piece = body[at : at + sizes[turn % len(sizes)]]
        data += b"%x\r\n%s\r\n" % (len(piece), piece)
        at, turn = at + len(piece), turn + 1
    reader, found = read(data + b"0\r\n\r\n", step=step)
    assert (reader.complete, found, reader.keeps) == (True, body, True)


def test_an_answer_is_freed_without_the_cycle_collector():
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            read(OK + b"Content-Length: 5\r\n\r\nhello")
        assert not [found for found in gc.get_objects() if isinstance(found, Reader)]
    finally:
        gc.enable()


def test_a_request_is_written_as_the_standard_says():
    head = request_head("GET", "/a?b=1", [("Host", "x.test"), ("Accept", "*/*")])
    assert head == b"GET /a?b=1 HTTP/1.1\r\nHost: x.test\r\nAccept: */*\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("/", "a\r\nX: b"),
        ("/", "a\nb"),
        ("/", "a\rb"),
        ("/", "a\0b"),
        ("/", "\N{SNOWMAN}"),
        ("/a b", "x"),
        ("/a\r\nX: b", "x"),
        ("/\N{LATIN SMALL LETTER U WITH DIAERESIS}", "x"),
    ],
)
def test_a_request_that_would_say_something_else_is_not_written(target, value):
    with pytest.raises((ValueError, UnicodeEncodeError)):
        request_head("GET", target, [("Host", "x.test"), ("X", value)])
