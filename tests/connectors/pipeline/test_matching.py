"""How our pages are recognised among items that have an id and a text and nothing else."""

from __future__ import annotations

import random
import sys

import pytest

from connectors.extractors.tidy import normal
from connectors.models import Item
from connectors.pipeline.matching import Reading, id_order, in_pieces, key_in, key_of

TEXT = normal("Source: https://x.example/a\n\n# A\n\n" + " ".join(f"word{number}" for number in range(200)))
WORDS = TEXT.split(" ")


def read(*contents):
    reading = Reading(wanted=set())
    for number, content in enumerate(contents):
        reading.take(Item(id=f"i{number}", content=content))
    reading.close()
    return reading


def cut(words, size, overlap=0):
    return [" ".join(words[start : start + size]) for start in range(0, len(words), size - overlap)]


def test_white_space_makes_no_difference():
    reading = Reading(wanted={key_of("a b c")})
    reading.take(Item(id="1", content=" a\n\n b\tc "))
    assert list(reading.copies[key_of("a b c")]) == ["1"]


SPACES = [sign for sign in map(chr, range(sys.maxunicode + 1)) if sign.isspace()]
OTHERS = ["a", "word", "é", "—", "\u200b", "日本", "\ud800", "\x00", "😀", "\x85", "\xc2", "\u2000", "\u3000"]


@pytest.mark.parametrize("space", SPACES, ids=ascii)
def test_the_key_in_a_text_is_that_of_its_normal_form_whatever_its_white_space(space):
    rng = random.Random(space)
    for _ in range(50):
        text = "".join(rng.choices([space, " ", "\n", *OTHERS], k=rng.randint(0, 30)))
        assert key_in(text) == key_of(normal(text)), ascii(text)


@pytest.mark.parametrize(("size", "overlap"), [(10, 0), (37, 0), (50, 5), (199, 0), (3, 0), (1, 0)])
def test_a_page_is_found_in_pieces_whatever_their_size_and_overlap(size, overlap):
    pieces = cut(WORDS, size, overlap)
    found = in_pieces(TEXT, read(*pieces).loose)
    assert found is not None
    assert not found.surplus
    if not overlap:
        assert len(found.items) == len(pieces)


def test_pieces_cut_within_words_are_found():
    pieces = [TEXT[start : start + 77] for start in range(0, len(TEXT), 77)]
    assert in_pieces(TEXT, read(*pieces).loose) is not None


def test_pieces_may_come_in_any_order():
    found = in_pieces(TEXT, read(*reversed(cut(WORDS, 30))).loose)
    assert found.items == tuple(f"i{number}" for number in reversed(range(len(cut(WORDS, 30)))))


@pytest.mark.parametrize("missing", [0, 3, -1])
def test_a_page_with_a_piece_missing_is_not_there(missing):
    pieces = cut(WORDS, 30)
    del pieces[missing]
    assert in_pieces(TEXT, read(*pieces).loose) is None


def test_of_a_page_that_is_there_twice_one_copy_is_surplus():
    pieces = cut(WORDS, 30)
    found = in_pieces(TEXT, read(*pieces, *pieces).loose)
    assert found.items == tuple(f"i{number}" for number in range(len(pieces)))
    assert set(found.surplus) == {f"i{number}" for number in range(len(pieces), 2 * len(pieces))}


def test_a_copy_of_a_piece_without_its_first_line_may_be_somebody_elses():
    pieces = cut(WORDS, 30)
    found = in_pieces(TEXT, read(*pieces, pieces[2]).loose)
    assert not found.surplus


def test_a_page_that_repeats_itself_needs_every_repetition():
    text = normal("Source: https://x.example/r " + "again and again " * 40)
    pieces = cut(text.split(" "), 14)
    assert in_pieces(text, read(*pieces).loose) is not None
    assert in_pieces(text, read(*pieces[:-1]).loose) is None


def test_pieces_of_another_page_are_not_taken():
    pieces = cut(WORDS, 30)
    assert in_pieces(TEXT, read(*pieces).loose, taken={"i2"}) is None


def test_the_lowest_id_is_the_oldest_one():
    assert sorted(["item10", "item9", "item1"], key=id_order) == ["item1", "item9", "item10"]
