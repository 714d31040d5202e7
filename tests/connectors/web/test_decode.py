from __future__ import annotations

import contextlib
import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from connectors.web.decode import BoundedDecoder, DecodeError, TooLargeError, layers_of

PACK = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "": lambda data: data,
}


def decode(raw: bytes, coding: str, step: int = 7, max_bytes: int = 10_000_000) -> bytes:
    decoder = BoundedDecoder(coding, max_bytes=max_bytes)
    pieces = [piece for at in range(0, len(raw), step) for piece in decoder.feed(raw[at : at + step])]
    decoder.finish()
    return b"".join(pieces)


@given(st.binary(max_size=3000), st.sampled_from(list(PACK)), st.sampled_from(list(PACK)), st.integers(1, 500))
def test_whatever_was_packed_comes_back_however_it_is_cut(data, inner, outer, step):
    coding = ", ".join(name for name in (inner, outer) if name)
    assert decode(PACK[outer](PACK[inner](data)), coding, step) == data


@given(st.binary(max_size=300), st.sampled_from([name for name in PACK if name]))
def test_any_bytes_decode_or_are_refused(data, coding):
    with contextlib.suppress(DecodeError, TooLargeError):
        decode(data, coding)


def test_zeros_after_a_gzip_member_are_padding():
    assert decode(gzip.compress(b"x") + bytes(100), "gzip") == b"x"


def test_the_cap_counts_exactly():
    assert decode(b"x" * 100, "", max_bytes=100) == b"x" * 100
    with pytest.raises(TooLargeError) as caught:
        decode(b"x" * 101, "", max_bytes=100)
    assert caught.value.rule == "too-large"


@pytest.mark.parametrize("coding", ["gzip, gzip, gzip", "lzma", "gzip, x"])
def test_what_we_do_not_undo_is_refused(coding):
    with pytest.raises(DecodeError):
        layers_of(coding)


def test_layers_are_undone_from_the_outside():
    assert layers_of("gzip, identity, BR") == ("br", "gzip")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_ratio_over_the_cap_is_a_bomb_before_the_cap_is_reached(coding):
    with pytest.raises(TooLargeError) as caught:
        decode(PACK[coding](bytes(8_000_000)), coding, 100, max_bytes=100_000_000)
    assert caught.value.rule == "decompression-bomb"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_decoded_bytes_over_the_cap_are_too_large_whatever_the_ratio(coding):
    import random

    text = random.Random(1).randbytes(300_000).hex().encode()
    assert decode(PACK[coding](text), coding, 5000, max_bytes=600_000) == text
    with pytest.raises(TooLargeError) as caught:
        decode(PACK[coding](text), coding, 5000, max_bytes=599_999)
    assert caught.value.rule == "too-large"
