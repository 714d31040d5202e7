"""Tables of a PDF: rows whose cells stand under each other. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.extractors.pdf_lines import Cell, Line

_ROWS = 2
_LONG = 70  # characters: cells that are longer on average are columns of text
_NEAR = 0.62
_APART = 2.2  # times the size: rows further apart are of two tables


def found(lines: Sequence[Line]) -> list[tuple[int, int, str]]:
    """Return where tables stand among the lines of a page (first, one past the last), and their Markdown."""
    out: list[tuple[int, int, str]] = []
    at = 0
    while at < len(lines):
        end = _end(lines, at)
        written = _written(lines[at:end]) if end - at >= _ROWS else ""
        if written:
            out.append((at, end, written))
        at = end if written else at + 1
    return out


def _end(lines: Sequence[Line], start: int) -> int:
    """Return the place after the last line that may belong to a table which begins at ``start``."""
    if len(lines[start].cells) < 2 or lines[start].mono:  # noqa: PLR2004 - one cell is no row
        return start + 1
    columns = [(cell.left, cell.right) for cell in lines[start].cells]
    end = start + 1
    while end < len(lines):
        line, above = lines[end], lines[end - 1]
        gap = above.bottom - line.top
        cells = line.cells or ()
        inside = not cells and gap < _NEAR * line.size and _touched(columns, line.left, line.right) == 1
        if line.mono or gap > _APART * max(line.size, above.size) or not (len(cells) > 1 or inside):
            break
        columns = _merged([*columns, *((cell.left, cell.right) for cell in cells)])
        end += 1
    while end > start and len(lines[end - 1].cells) < 2:  # noqa: PLR2004 - the last line must be a row
        end -= 1
    return max(end, start + 1)


def _merged(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    out: list[tuple[float, float]] = []
    for left, right in sorted(spans):
        if out and left < out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], right))
        else:
            out.append((left, right))
    return out


def _touched(columns: list[tuple[float, float]], left: float, right: float) -> int:
    return sum(right > a and left < b for a, b in columns)


def _written(lines: Sequence[Line]) -> str:
    cells = [cell for line in lines for cell in line.cells]
    columns = _merged([(cell.left, cell.right) for cell in cells])
    if len(columns) < 2 or not cells or sum(len(cell.text) for cell in cells) > _LONG * len(cells):  # noqa: PLR2004
        return ""
    rows: list[list[str]] = []
    for line in lines:
        if not line.cells:
            place = _place(columns, line.left, line.right)
            rows[-1][place] = f"{rows[-1][place]} {line.text.strip()}".strip()
            continue
        row = _row(line.cells, columns)
        if row is None:
            return ""
        rows.append(row)
    if len(rows) < (_ROWS if len(columns) > 2 else _ROWS + 1):  # noqa: PLR2004 - two pairs may be a coincidence
        return ""
    told = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([told[0], f"|{' --- |' * len(columns)}", *told[1:]])


def _row(cells: Sequence[Cell], columns: list[tuple[float, float]]) -> list[str] | None:
    row = [""] * len(columns)
    for cell in cells:
        place = _place(columns, cell.left, cell.right)
        if row[place]:
            return None
        row[place] = cell.text
    return row


def _place(columns: list[tuple[float, float]], left: float, right: float) -> int:
    return max(range(len(columns)), key=lambda n: min(right, columns[n][1]) - max(left, columns[n][0]))
