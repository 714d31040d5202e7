# ruff: noqa: RUF001, E501 - texts as they are written
"""Texts whose encoding nobody says."""

import zlib
from pathlib import Path

import pytest

from connectors.extractors.charset import guessed, without_mark
from connectors.extractors.html.charset import decode as decode_page
from connectors.extractors.plain import decode
from connectors.extractors.work import extract
from connectors.models import CleaningRules, Resource

# The first article of the Universal Declaration of Human Rights.
SAID = {
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、"
    "互いに同胞の精神をもって行動しなければならない。\nインターネットのホームページ 2024年",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 서로 "
    "형제애의 정신으로 행동하여야 한다.\n",
    "zh": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。\n",
    "tw": "人人生而自由,在尊嚴和權利上一律平等。他們賦有理性和良心,並應以兄弟關係的精神相對待。\n",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны "
    "поступать в отношении друг друга в духе братства.\n",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. Είναι προικισμένοι με λογική "
    "και συνείδηση.\n",
}
WESTERN = {
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. L’été à Noël, c’est « déjà » fini.\n",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Größe, Maße, Öl – „übrig“.\n",
    "is": "Hver maður er borinn frjáls og jafn öðrum að virðingu og réttindum. Menn eru gæddir vitsmunum og samvizku.\n",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos. ¿Cuánto cuesta el año?\n",
    "pt": "Dotados de razão e de consciência, devem agir uns para com os outros em espírito de fraternidade. ÀÉÎÕÜ ções\n",
    "en": "“All human beings are born free – and equal’ in dignity”\n",
}
IN_WHAT = [
    ("ja", "shift_jis"), ("ja", "euc_jp"), ("ko", "euc_kr"), ("zh", "gb18030"), ("tw", "big5"), ("ru", "koi8_r"), ("ru", "cp1251"),
    ("el", "cp1253"), *((name, f"utf-16-{way}") for name in (*SAID, *WESTERN) for way in ("le", "be")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "codec"), IN_WHAT)
@pytest.mark.parametrize("times", [1, 300])
def test_a_text_in_an_old_encoding_is_read_as_it_was_written(name, codec, times):
    text = (SAID | WESTERN)[name] * times
    found, flags = decode(text.encode(codec))
    assert found == text
    assert flags[0].startswith("guessed-encoding: ")


@pytest.mark.parametrize(("name", "codec"), [pair for pair in IN_WHAT if "utf" not in pair[1]])
def test_a_page_that_declares_nothing_is_read_by_the_same_rule_whatever_its_markup(name, codec):
    head = '<!doctype html><title>x</title><script>var words = "of a script, many";</script><a href="/a">Home</a><p>'
    found = decode_page(head.encode() + SAID[name].encode(codec) + b"</p>")
    assert SAID[name] in found.text


@pytest.mark.parametrize("name", WESTERN)
@pytest.mark.parametrize("times", [1, 300])
def test_a_western_text_stays_windows_1252_and_utf_8_stays_itself(name, times):
    text = WESTERN[name] * times
    assert guessed(text.encode("cp1252")) == "cp1252"
    assert decode(text.encode("cp1252"))[0] == decode_page(text.encode("cp1252")).text == text
    assert decode(text.encode()) == (text, ())


@pytest.mark.parametrize("name", SAID)
def test_utf_8_is_never_guessed(name):
    assert decode(SAID[name].encode()) == (SAID[name], ())
    assert decode_page(SAID[name].encode()).source == "valid"


def test_what_was_declared_is_believed():
    assert decode(SAID["ru"].encode("cp1251"), "windows-1251") == (SAID["ru"], ())


def test_the_last_bytes_of_a_text_that_was_cut_cost_no_more_than_themselves():
    text = SAID["ja"] * 50
    assert decode((text + "人").encode("shift_jis")[:-1])[0].startswith(text)


def test_bytes_with_zeros_that_are_no_text_are_no_utf_16():
    noise = b"".join(zlib.compress(bytes([number]) * 400) for number in range(200))
    for body in (noise, noise + b"\0", bytes(range(256)) * 8, b"\0" * 4096, Path("/bin/true").read_bytes()):
        assert without_mark(body) == ""


@pytest.mark.parametrize(("name", "media_type"), [("a.txt", ""), ("a", ""), ("a.html", "text/html")])
def test_a_file_in_utf_16_without_a_mark_is_a_page(name, media_type):
    text = SAID["ru"] if media_type == "" else f"<!doctype html><title>T</title><main><p>{SAID['ru']}</p></main>"
    resource = Resource(
        uri=f"file:///{name}", requested_uri=f"file:///{name}", media_type=media_type, body=text.encode("utf-16-le")
    )
    (page,) = extract(resource, CleaningRules()).pages
    assert SAID["ru"].strip() in page.content
