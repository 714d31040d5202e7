# ruff: noqa: E501 - pages are read by their lines
from __future__ import annotations

import pytest

from connectors.extractors.html.charset import codec, decode, prescan

RUSSIAN = "Привет, мир"


@pytest.mark.parametrize(
    ("label", "expected"),
    [("latin1", "cp1252"), ("ISO-8859-1", "cp1252"), ("us-ascii", "cp1252"), ("utf8", "utf-8"), (" UTF-8 ", "utf-8"), ("gb2312", "gb18030"),
     ("shift_jis", "cp932"), ("x-sjis", "cp932"), ("windows-1251", "cp1251"), ("euc-kr", "cp949"), ("utf-7", ""), ("nonsense", ""), ("hex", ""), ("", "")],
)  # fmt: skip
def test_labels_mean_what_the_encoding_standard_says(label, expected):
    assert codec(label) == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"<meta charset=windows-1251>", "cp1251"),
        (b'<META CHARSET = "windows-1251" >', "cp1251"),
        (b'<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">', "cp1251"),
        (b'<meta content="text/html; charset=windows-1251" http-equiv=content-type>', "cp1251"),
        (b'<meta name="x" content="text/html; charset=windows-1251">', ""),
        (b"<!-- <meta charset=windows-1251> --><meta charset=koi8-r>", "koi8-r"),
        (b"<meta charset=utf-16>", "utf-8"),
        (b'<?xml version="1.0" encoding="windows-1251"?><html>', "cp1251"),
        (b"<p>charset=windows-1251", ""),
    ],
)
def test_the_prescan_reads_meta_elements_and_nothing_else(head, expected):
    assert prescan(head) == expected


def test_a_byte_order_mark_wins_over_everything():
    found = decode(b"\xef\xbb\xbf" + RUSSIAN.encode(), "windows-1251")
    assert (found.text, found.source, found.mixed) == (RUSSIAN, "bom", False)
    assert decode(RUSSIAN.encode("utf-16"), "").text == RUSSIAN


def test_the_transport_wins_over_the_meta():
    assert decode(b"<meta charset=utf-8>" + RUSSIAN.encode("cp1251"), "windows-1251").text.endswith(RUSSIAN)


def test_a_wrong_transport_yields_to_a_meta_that_reads_everything():
    found = decode(b"<meta charset=windows-1251>" + RUSSIAN.encode("cp1251"), "utf-8")
    assert found.text.endswith(RUSSIAN)
    assert found.mixed


def test_undeclared_text_is_utf_8_where_it_is_valid_and_windows_1252_where_not():
    assert decode("café".encode()).text == "café"
    assert decode("café €".encode("cp1252")).text == "café €"


def test_stray_bytes_in_utf_8_are_read_and_reported():
    found = decode(b"<meta charset=utf-8>caf\xe9 \xe2\x82\xac")
    assert found.text.endswith("café €")
    assert found.mixed
