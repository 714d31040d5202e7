"""What stands on a PDF's pages and is not its text: running heads, page numbers, a printed table of contents. Pure."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from connectors.extractors.pdf_lines import Line

_MARKS = re.compile(r"[\s\\#*`_|>~-]+")
_ROMAN = re.compile(r"\b[ivxlc]+\b")
_LEADERS = re.compile(r"(?:\. ?){4,}\s*\w*\s*$")
_EDGE = 2
_LEAST = 3
_ENTRIES = 8
_LARGE = 1.4  # times the common size: what is set so is a heading, even where it repeats
_PRINTED = re.compile(r"(?:file|https?)://\S+\s+\d+/\d+|\d{1,2}/\d{1,2}/\d{2,4}, \d{1,2}:\d{2}(?: [AP]M)?(?: .*)?")


def without(pages: list[list[Line]], *, contents: bool) -> list[list[Line]]:
    """Return the pages without their furniture; a printed table of contents goes when the outline says the same."""
    texts = [[line.text for line in page] for page in pages]
    repeated = running(texts) | numbered(texts)
    contents = contents or _is_contents(line for lines in texts for line in lines)
    sizes = sorted(line.size for page in pages for line in page)
    large = sizes[len(sizes) // 2] * _LARGE if sizes else 0.0
    return [_kept(page, repeated, large, contents=contents) for page in pages]


def _kept(page: list[Line], repeated: frozenset[str], large: float, *, contents: bool) -> list[Line]:
    leading = sum(bool(_LEADERS.search(line.text)) for line in page)
    if contents and leading * 2 > len(page):
        return []
    out = []
    for place, line in enumerate(page):
        edge = (place < _EDGE or place >= len(page) - _EDGE) and line.size < large
        if edge and (
            _numberless(line.text) in repeated
            or squeezed(line.text) in repeated
            or _PRINTED.fullmatch(line.text.strip())
        ):
            continue
        if contents and _LEADERS.search(line.text):
            continue
        out.append(line)
    return out


def _is_contents(lines: Iterable[str]) -> bool:
    """Say whether lines with leaders are a table of contents: the numbers at their ends hardly ever fall."""
    ends = [int(found[1]) for line in lines if (found := re.search(r"(?:\. ?){4,}\s*(\d{1,4})\s*$", line))]
    return len(ends) >= _ENTRIES and sum(b < a for a, b in pairwise(ends)) <= len(ends) // 10


def running(pages: Sequence[Sequence[str]]) -> frozenset[str]:
    """Return the lines that stand at the top or bottom of many pages, numbers left out of account."""
    found: Counter[str] = Counter()
    for lines in pages:
        edges = {_numberless(line) for line in (*lines[:_EDGE], *lines[-_EDGE:]) if len(line) < 120}  # noqa: PLR2004
        found.update(edges)
    least = max(_LEAST, len(pages) // 20)
    return frozenset(line for line, count in found.items() if count >= least and line)


def numbered(pages: Sequence[Sequence[str]]) -> frozenset[str]:
    """Return the first and last lines that carry the page's own number: it counts up by one a page."""
    carried: dict[int, list[str]] = {}
    for place, lines in enumerate(pages):
        for line in {*lines[:1], *lines[-1:]}:
            for number in {*re.findall(r"^\s*(\d{1,4})\b", line), *re.findall(r"\b(\d{1,4})\s*$", line)}:
                carried.setdefault(int(number) - place, []).append(line)
    most = max(carried.values(), key=len, default=[])
    return frozenset(map(squeezed, most)) if len(most) >= max(_LEAST, len(pages) // 3) else frozenset()


def squeezed(line: str) -> str:
    """Return a line without white space and marks."""
    return _MARKS.sub("", line.lower())


def _numberless(line: str) -> str:
    return re.sub(r"\d+", "0", squeezed(_ROMAN.sub("0", line.lower())))
