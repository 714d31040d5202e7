"""The lines of a PDF's pages as Markdown: paragraphs, headings, lists and code, by where and how they are set. Pure."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connectors.extractors import pdf_furniture, pdf_tables
from connectors.extractors.pdf_outline import Outline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from connectors.extractors.pdf_lines import Line
    from connectors.extractors.pdf_outline import Bookmark

_BULLET = re.compile(r"^(?:[•◦▪▸‣∗■●○➢✓–—-]|\uf0b7|\uf0a7)\s+(?=\S)")  # noqa: RUF001 - what books draw
_NUMBER = re.compile(r"^(\(?(?:\d{1,3}|[a-z])[.)])\s+(?=\S)")
_HYPHEN = "\x02"
_LARGER = 1.13
_LONGEST_HEADING = 160
_LETTERS = 4  # fewer may be a formula
_SPECIAL = re.compile(r"^(\s*)([#>+]|\d+\.(?=\s))")
_ENDS = re.compile(r"[.:;?!)\"”’]\s*$")  # noqa: RUF001 - as printed


@dataclass(slots=True)
class _Block:
    kind: str  # paragraph, item, code, heading, table
    lines: list[Line] = field(default_factory=list)
    level: int = 0
    text: str = ""


def to_markdown(pages: Sequence[Sequence[Line]], outline: Sequence[Bookmark], *, whole: bool = False) -> str:
    """Write the lines of all pages, without their furniture unless ``whole``."""
    if not whole:
        pages = pdf_furniture.without([list(page) for page in pages], contents=len(outline) > 3)  # noqa: PLR2004
    body = _body_size(pages)
    sizes = _heading_sizes(pages, body)
    reader = _Reader(body, sizes, Outline(outline), _vocabulary(pages))
    for number, page in enumerate(pages):
        reader.page(number, page)
    return reader.markdown()


def _body_size(pages: Iterable[Sequence[Line]]) -> float:
    found: Counter[float] = Counter()
    for page in pages:
        for line in page:
            found[round(line.size * 2) / 2] += 0 if line.mono else len(line.text)
    return found.most_common(1)[0][0] if found else 10.0


def _heading_sizes(pages: Iterable[Sequence[Line]], body: float) -> list[float]:
    """Return the sizes that headings are set in, largest first."""
    sizes = {
        round(line.size * 2) / 2
        for page in pages
        for line in page
        if not line.mono and line.size > body * _LARGER and _reads_like_heading(line.text)
    }
    return sorted(sizes, reverse=True)[:12]


def _reads_like_heading(text: str) -> bool:
    """Say whether a large line is words, and no formula."""
    letters = len(re.findall(r"[^\W\d_]", text))
    plain = len(re.findall(r"[\w\s.,:;'’?!&/()-]", text))  # noqa: RUF001 - as printed
    return letters >= _LETTERS and plain >= len(text) * 0.95 and "(x)" not in text and not text[0].islower()


class _Reader:
    """Puts lines together: what belongs to one paragraph, one item, one piece of code."""

    def __init__(self, body: float, sizes: list[float], outline: Outline, vocabulary: set[str]) -> None:
        self._body = body
        self._sizes = sizes
        self._outline = outline
        self._vocabulary = vocabulary
        self._blocks: list[_Block] = []
        self._page = 0

    def page(self, number: int, lines: Sequence[Line]) -> None:
        """Read a page; its first line may go on with the last paragraph of the page before."""
        self._page = number
        before: Line | None = None
        width = max((line.right for line in lines), default=0.0)
        tables = {start: (end, written) for start, end, written in pdf_tables.found(lines)}
        end = 0
        for place, line in enumerate(lines):
            if place in tables:
                end, written = tables[place]
                self._blocks.append(_Block("table", [line], 0, written))
            if place >= end:
                self._line(line, before, width)
            before = line

    def _line(self, line: Line, before: Line | None, width: float) -> None:
        last = self._blocks[-1] if self._blocks else None
        kind, level = self._kind(line)
        same = last is not None and last.kind == kind and last.level == level
        if last is None:
            goes_on = False
        elif kind == "code":
            goes_on = same and (before is None or before.mono)
        elif kind == "heading":
            goes_on = same and before is not None and self._heading_goes_on(last, line, before)
        else:
            goes_on = last.kind in {"paragraph", "item"} and self._goes_on(last, line, before, width)
        if last is not None and goes_on:
            last.lines.append(line)
            last.text = _joined(last.text, line.text, self._vocabulary) if kind != "code" else ""
        else:
            self._start(kind, level, line)

    def _heading_goes_on(self, last: _Block, line: Line, before: Line) -> bool:
        """Say whether a line is the second one of a heading."""
        return _near(before, line) and not self._outline.has(last.text) and not self._outline.has(line.text)

    def _start(self, kind: str, level: int, line: Line) -> None:
        text = line.text.strip()
        if kind == "paragraph" and (_BULLET.match(text) or _NUMBER.match(text)):
            kind = "item"
        self._blocks.append(_Block(kind, [line], level, text))

    def _kind(self, line: Line) -> tuple[str, int]:
        text = line.text.strip()
        if (told := self._outline.next(text, self._page)) is not None:
            return "heading", told + 1
        if line.mono:
            return "code", 0
        size = round(line.size * 2) / 2
        if (
            size in self._sizes
            and len(text) < _LONGEST_HEADING
            and _reads_like_heading(text)
            and not self._outline.rules
        ):
            return "heading", min(4, self._sizes.index(size) + 1)
        return "paragraph", 0

    def _goes_on(self, last: _Block, line: Line, before: Line | None, width: float) -> bool:
        """Say whether a line belongs to the paragraph (or item) above it."""
        text = line.text.strip()
        if _BULLET.match(text) or (_NUMBER.match(text) and (last.kind == "item" or _ENDS.search(last.text))):
            return False
        previous = last.lines[-1]
        if before is None:  # a page's end does not end a paragraph, a full stop may
            return not _ENDS.search(last.text) and text[:1].islower() and abs(previous.size - line.size) < 1
        if abs(previous.size - line.size) > max(1.0, self._body * 0.12) and len(text) > 3:  # noqa: PLR2004
            return False
        if not _near(previous, line):
            return False
        indent = line.left - min(one.left for one in last.lines[-2:])
        short = previous.right < width - 6 * max(previous.char, 4.0)
        if last.kind == "item":
            return indent > -1.0 or not _ENDS.search(last.text)
        return not (_ENDS.search(last.text) and (indent > 0.8 * line.size or (short and text[:1].isupper())))

    def markdown(self) -> str:
        """Return what was read."""
        out: list[str] = []
        kinds: list[str] = []
        for block in self._blocks:
            written = _written(block)
            if not written:
                continue
            if out and kinds[-1] == block.kind == "item":
                out[-1] += "\n" + written
            else:
                out.append(written)
                kinds.append(block.kind)
        return "\n\n".join(out)


def _near(above: Line, line: Line) -> bool:
    """Say whether a line stands on the next line of print, or on the same one."""
    gap = above.bottom - line.top
    return -6 * line.size < gap < 0.62 * max(above.size, line.size)


def _vocabulary(pages: Iterable[Sequence[Line]]) -> set[str]:
    """Return the words that stand whole on a line, those with a hyphen among them."""
    found: set[str] = set()
    for page in pages:
        for line in page:
            found.update(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*(?!\w|-$)", line.text.lower()))
    return found


def _joined(text: str, more: str, vocabulary: set[str]) -> str:
    """Put two lines of a paragraph together; a hyphen that only breaks the line goes."""
    more = more.strip()
    if text.endswith(_HYPHEN):
        return text[:-1] + more
    before, after = re.search(r"([^\W\d_]+)-$", text), re.match(r"[^\W\d_]+", more)
    if not before or not after or not after[0].islower():
        return f"{text} {more}"
    kept = f"{before[1]}-{after[0]}".lower() in vocabulary
    return (text if kept else text[:-1]) + more


def _written(block: _Block) -> str:
    if block.kind == "code":
        return _code(block.lines)
    if block.kind == "table":
        return block.text.replace(_HYPHEN, "-")
    text = " ".join(block.text.replace(_HYPHEN, "-").split())
    if block.kind == "heading":
        return f"{'#' * min(6, block.level)} {text}" if text else ""
    if block.kind == "item":
        bullet = _BULLET.match(text)
        number = _NUMBER.match(text)
        if bullet:
            return f"- {text[bullet.end() :]}"
        return (
            f"{number[1].strip('()').rstrip('.')}. {text[number.end() :]}"
            if number and number[1][:-1].strip("(").isdigit()
            else text
        )
    return _SPECIAL.sub(r"\1\\\2", text) if text else ""


def _code(lines: list[Line]) -> str:
    """Write typewriter lines with the indent and the blank lines that they are set with."""
    widths = sorted(line.char for line in lines if line.text.strip())
    width = widths[len(widths) // 2] if widths else 5.0
    margin = min(line.left for line in lines)
    told: list[str] = []
    for place, line in enumerate(lines):
        if place and line.top < lines[place - 1].bottom:
            height = max(1.0, lines[place - 1].top - lines[place - 1].bottom)
            told.extend([""] * min(3, round((lines[place - 1].bottom - line.top) / height)))
        told.append(
            " " * max(0, round((line.left - margin) / max(width, 1.0))) + line.text.strip().replace(_HYPHEN, "-")
        )
    fence = "`" * max(3, *(len(ticks) + 1 for ticks in re.findall(r"`+", "\n".join(told)) or [""]))
    return "\n".join([fence, *told, fence])
