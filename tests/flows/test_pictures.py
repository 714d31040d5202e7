"""The picture of the last nights: bars that stand for their numbers, and nothing else in it."""

from __future__ import annotations

import base64
import itertools
from xml.etree import ElementTree as ET

import pytest

from flows.pictures import as_address, nights_svg

SVG = "{http://www.w3.org/2000/svg}"


def nights(count, **changed):
    return [
        {"day": f"2026-11-{n + 1:02d}", "pages": 100, "changes": 0, "failures": 0}
        | {column: values[n] for column, values in changed.items()}
        for n in range(count)
    ]


def bars(svg, colour):
    return [float(bar.get("height")) for bar in ET.fromstring(svg).iter(f"{SVG}rect") if bar.get("fill") == colour]


def test_a_bar_is_as_tall_as_its_number():
    tall = bars(nights_svg(nights(4, failures=[4, 2, 1, 0])), "#b91c1c")
    assert tall == [64.0, 32.0, 16.0, 0.0]


def test_one_number_is_never_taken_for_none():
    tall = bars(nights_svg(nights(3, pages=[1000, 1000, 1])), "#1d4ed8")
    assert tall[-1] >= 2


def test_a_first_import_does_not_flatten_the_nights_after_it():
    svg = nights_svg(nights(4, changes=[1000, 10, 5, 0]))
    assert bars(svg, "#b45309")[1] > 40
    assert "<path" in svg, "the bar that is cut shows it"
    assert "<path" not in nights_svg(nights(4, changes=[20, 10, 5, 0]))


@pytest.mark.parametrize("count", [1, 2, 3, 30])
def test_everything_stands_inside_the_picture_and_no_day_on_another(count):
    picture = ET.fromstring(nights_svg(nights(count)))
    width = float(picture.get("width"))
    for bar in picture.iter(f"{SVG}rect"):
        assert float(bar.get("x", 0)) + float(bar.get("width")) <= width
    days = sorted(float(text.get("x")) for text in picture.iter(f"{SVG}text") if text.text.startswith("2026"))
    assert days
    assert all(later - earlier > 80 for earlier, later in itertools.pairwise(days))


def test_its_address_holds_it():
    head, _, body = as_address(nights_svg(nights(2))).partition(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(body).decode() == nights_svg(nights(2))
