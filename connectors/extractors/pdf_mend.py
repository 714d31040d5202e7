"""Mends a PDF's Markdown by its pages' lines: running heads, code, headings and ligatures that never were. Pure."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from connectors.extractors.paper import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MARKS = re.compile(r"[\s\\#*`_|>~-]+")
_ROMAN = re.compile(r"\b[ivxlc]+\b")
_LEADERS = re.compile(r"(?:\. ?){4,}|(?:\| ?)?(?:\. ){3,}")
_TOKEN = re.compile(r"[\w/.:?=&%+~-]*[#!$%][A-Za-z]\w*")
# kreuzberg takes these characters for the ligatures that some TeX fonts keep in their place.
_LIGATURES = {"#": ("fi",), "!": ("ff",), "$": ("fl",), "%": ("ffi", "fl")}
_EDGE = 2
_NUMBERED = re.compile(r"^(?:[Cc]hapter\s+|[Ss]ection\s+|[Pp]art\s+|[Aa]ppendix\s+)?(?:\d+|[A-Z])(?:\.\d+)*[.:)]?\s+")
_LEAST_REPEATS = 3
_WINDOW = 12


def missing(markdown: str, pages: Iterable[str]) -> int:
    """Count the words of the pages' first and last lines that a conversion left out as running heads."""
    squeezed = _MARKS.sub("", markdown)
    edges = [lines[place] for page in pages if (lines := page.strip().split("\n")) for place in {0, len(lines) - 1}]
    return sum(words(line) for line in edges if _MARKS.sub("", line) not in squeezed)


def from_lines(pages: Iterable[str]) -> str:
    """Make plain paragraphs of the pages' lines, for a document whose conversion lost too much."""
    return "\n\n".join(re.sub(r"([#*_`<\\])", r"\\\1", page.strip()) for page in pages)


def mend(
    markdown: str, *, pages: Sequence[str], code: Sequence[str] = (), outline: Sequence[tuple[int, str]] = ()
) -> str:
    """Return the Markdown as its pages say it should be."""
    markdown = ligatures(markdown, "\n".join(pages))
    markdown = without_running(markdown, running(pages) | numbered(pages), contents=len(outline) > _LEAST_REPEATS)
    markdown = with_headings(markdown, outline) if outline else markdown
    return joined(with_code(markdown, code))


def ligatures(markdown: str, plain: str) -> str:
    """Put back ``#`` (and its kin) where the conversion took it for a ligature: ``#include`` became ``fiinclude``."""
    for token in sorted(set(_TOKEN.findall(plain)), key=len, reverse=True):
        for mark, wrongs in _LIGATURES.items():
            for wrong in wrongs if mark in token else ():
                garbled = token.replace(mark, wrong)
                if garbled not in plain:
                    pattern = r"\\?".join(map(re.escape, garbled))
                    markdown = re.sub(rf"(?<!\w){pattern}(?!\w)", lambda _, right=token: right, markdown)  # type: ignore[misc]
    return markdown


def running(pages: Sequence[str]) -> frozenset[str]:
    """Return the lines that stand at the top or bottom of many pages, numbers left out of account."""
    found: Counter[str] = Counter()
    for page in pages:
        lines = [line for line in page.split("\n") if line.strip()]
        edges = {_numberless(line) for line in (*lines[:_EDGE], *lines[-_EDGE:]) if len(line) < 120}  # noqa: PLR2004
        found.update(edges)
    return frozenset(line for line, count in found.items() if count >= _LEAST_REPEATS)


def numbered(pages: Sequence[str]) -> frozenset[str]:
    """Return the first and last lines that carry the page's own number: it counts up by one a page."""
    carried: dict[int, list[str]] = {}
    for place, page in enumerate(pages):
        lines = [line for line in page.split("\n") if line.strip()]
        for line in {*lines[:1], *lines[-1:]}:
            for number in {*re.findall(r"^\s*(\d{1,4})\b", line), *re.findall(r"\b(\d{1,4})\s*$", line)}:
                carried.setdefault(int(number) - place, []).append(line)
    most = max(carried.values(), key=len, default=[])
    return frozenset(map(_squeezed, most)) if len(most) >= max(_LEAST_REPEATS, len(pages) // 3) else frozenset()


def _squeezed(line: str) -> str:
    return _MARKS.sub("", line.lower())


def _numberless(line: str) -> str:
    return re.sub(r"\d+", "0", _squeezed(_ROMAN.sub("0", line.lower())))


def without_running(markdown: str, repeated: frozenset[str], *, contents: bool) -> str:
    """Drop running heads and feet, and a printed table of contents when the outline says the same."""
    kept = []
    for block in markdown.split("\n\n"):
        lines = block.split("\n")
        if len(lines) == 1 and (_numberless(block) in repeated or _squeezed(block) in repeated):
            continue
        leading = sum(bool(_LEADERS.search(line)) for line in lines)
        if contents and leading:
            lines = [line for line in lines if not _LEADERS.search(line)] if leading * 2 < len(lines) else []
        kept.append("\n".join(lines))
    return "\n\n".join(block for block in kept if block.strip())


def with_headings(markdown: str, outline: Sequence[tuple[int, str]]) -> str:
    """Let the outline say what is a heading and of which level, when it is the outline of this text."""
    blocks = markdown.split("\n\n")
    told: list[str] = []
    at = 0
    matched = 0
    for block in blocks:
        found = _matching(block, outline, at)
        if found is None:
            told.append(block)
            continue
        at, rest = found
        level, title = outline[at - 1]
        matched += 1
        told.append(f"{'#' * min(6, level + 1)} {title}")
        if rest:
            told.append(rest)
    if matched * 2 < len(outline):
        return markdown
    named = {title for _, title in outline}
    return "\n\n".join(_demoted(block, named) for block in told)


def _matching(block: str, outline: Sequence[tuple[int, str]], at: int) -> tuple[int, str] | None:
    """Find the bookmark that a block is the heading of: the place after it, and what follows in the same block."""
    first, _, below = block.partition("\n")
    line = " ".join(re.sub(r"^#+\s+|[\\*`]", "", first).split())
    numberless = _NUMBERED.sub("", line)
    for place in range(at, min(at + _WINDOW, len(outline))):
        title = outline[place][1].replace("\xa0", " ")
        bare = _NUMBERED.sub("", title)
        if _folded(line) == _folded(title) or (bare and _folded(numberless) == _folded(bare)):
            return place + 1, below
        if numberless != line and len(bare) > 2 and numberless.startswith(f"{bare} "):  # noqa: PLR2004
            return place + 1, "\n".join(filter(None, (numberless[len(bare) :].strip(), below)))
    return None


def _folded(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()


def _demoted(block: str, named: set[str]) -> str:
    found = re.fullmatch(r"#{1,6} (.*)", block)
    return block if not found or found[1] in named else found[1]


def with_code(markdown: str, code: Sequence[str]) -> str:
    """Write the runs of typewriter lines as fenced code, where the conversion made one line of them."""
    places = [place for place, char in enumerate(markdown) if not _MARKS.match(char)]
    squeezed = "".join(markdown[place] for place in places)
    out: list[str] = []
    done = at = 0
    for run in code:
        bare = _MARKS.sub("", run)
        found = squeezed.find(bare, at) if len(bare) > 3 else -1  # noqa: PLR2004 - too short to be found for sure
        if found < 0:
            continue
        start, end = places[found], places[found + len(bare) - 1] + 1
        while start > done and markdown[start - 1] in "\\#*`_|>~-":
            start -= 1
        while end < len(markdown) and markdown[end] in "\\*`_|":
            end += 1
        if "\n#" in markdown[start:end] and "\n\n## " in markdown[start:end]:
            continue
        fence = "`" * max(3, *(len(ticks) + 1 for ticks in re.findall(r"`+", run) or [""]))
        out += [markdown[done:start].rstrip(), f"{fence}\n{run}\n{fence}"]
        done, at = end, found + len(bare)
    out.append(markdown[done:].lstrip("\n"))
    return "\n\n".join(part for part in out if part.strip())


def joined(markdown: str) -> str:
    """Join a paragraph that a page's end had cut in two, and neighbouring fences that it had parted."""
    blocks = re.split(r"\n{2,}(?=[^\n])", markdown)
    out = blocks[:1]
    for before, block in pairwise(blocks):
        cut = re.search(r"[a-z,;]$", before) and re.match(r"[a-z]", block)
        if cut and "\n" not in before and not before.startswith(("#", "|", "-", "```")):
            out[-1] += " " + block
        else:
            out.append(block)
    return "\n\n".join(out)
