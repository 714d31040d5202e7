"""Tables: every cell in its row, spans filled in; tables that only lay a page out are written as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.extractors.html.inline import code_span
from connectors.extractors.html.kinds import DROP
from connectors.extractors.html.tree import number

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

    from connectors.extractors.html.writer import Flow, Writer

_MAX_SPAN = 200
_MAX_COLUMNS = 1000  # what spans beyond that stands once: such tables would fill the memory
_MAX_REPEATED = 50_000  # letters
_BLOCKS_OF_LAYOUT = "h1, h2, h3, h4, article, section, iframe, form"


def _rows(table: LexborNode) -> tuple[list[tuple[LexborNode, bool]], list[LexborNode]]:
    """Return the table's own rows, each with whether it stands in the head, and its captions."""
    rows: list[tuple[LexborNode, bool]] = []
    captions: list[LexborNode] = []
    for child in table.iter():
        if child.tag == "tr":
            rows.append((child, False))
        elif child.tag in {"thead", "tbody", "tfoot"}:
            rows.extend((row, child.tag == "thead") for row in child.iter() if row.tag == "tr")
        elif child.tag == "caption":
            captions.append(child)
    return rows, captions


def _cells(row: LexborNode, writer: Writer) -> list[LexborNode]:
    kinds = writer.kinds
    return [cell for cell in row.iter() if cell.tag in {"td", "th"} and kinds.get(cell.mem_id) != DROP]


_CODE_WITH_NUMBERS = frozenset({
    "highlighttable", "rouge-table", "lntable", "codehilitetable", "hljs-ln", "listing_frame",
})  # fmt: skip


def _is_code_with_numbers(table: LexborNode) -> bool:
    return not _CODE_WITH_NUMBERS.isdisjoint((table.attributes.get("class") or "").split())


def _is_layout(table: LexborNode, grid: list[list[LexborNode]]) -> bool:
    if table.attributes.get("role") in {"presentation", "none"}:
        return True
    if not grid or max(map(len, grid)) < 2:  # noqa: PLR2004 - one column is no table
        return not table.css_first("th")
    if len(table.css("table")) > 1 or table.css_first(_BLOCKS_OF_LAYOUT):  # a node matches itself
        return True
    headed = len(grid) > 2 and all(cell.tag == "th" for cell in grid[0])  # noqa: PLR2004 - a head and rows: code stays in its cells
    return _stands_side_by_side(table, grid) or (
        not headed and any("\n" in (pre.text() or "").strip() for pre in table.css("pre"))
    )


def _stands_side_by_side(table: LexborNode, grid: list[list[LexborNode]]) -> bool:
    """Say whether a row or two hold columns of prose, or lists."""
    if len(grid) == 1 and not table.css_first("th") and len(table.css("p")) > 2:  # noqa: PLR2004 - prose, no values
        return True
    return len(grid) < 3 and any(len(cell.css("li")) > 1 for row in grid for cell in row)  # noqa: PLR2004


def _cell_text(cell: LexborNode, writer: Writer) -> str:
    pieces: list[str] = []
    for block in writer.blocks(cell):
        if "\n" not in block and not block.startswith(("```", "- ", " ")):
            pieces.append(block.strip())
            continue
        code: list[str] | None = None
        for row in block.split("\n"):
            text = row.strip()
            if text.startswith("```"):
                if code:
                    pieces.append("<br>".join(code))
                code = [] if code is None else None
            elif code is not None:
                code.append(code_span(row) if text else "")
            elif text:
                pieces.append("• " + text[2:] if text.startswith("- ") else text)
    return _piped(" ".join(pieces))


def _piped(text: str) -> str:
    return text.replace("|", "\\|") if "|" in text else text


def _filled(grid: list[list[LexborNode]], writer: Writer) -> list[list[str]]:
    """Return the texts of all cells, a spanning cell's text in every row that it spans."""
    out: list[list[str]] = []
    below: dict[int, tuple[int, str]] = {}
    for cells in grid:
        row: list[str] = []
        for cell in cells:
            if below:
                _take(row, below)
            text = _cell_text(cell, writer)
            attributes = cell.attributes
            if "rowspan" not in attributes and "colspan" not in attributes:
                row.append(text)
                continue
            down = min(_span(attributes.get("rowspan")), 1 + _MAX_REPEATED // (len(text) + 1))
            wide = min(_span(attributes.get("colspan")), max(_MAX_COLUMNS - len(row), 1))
            for place in range(wide):
                shown = text if place == 0 or (cell.tag == "th" and len(cells) > 1) else ""
                if down > 1 and len(row) < _MAX_COLUMNS:
                    below[len(row)] = (down - 1, shown)
                row.append(shown)
        if below:
            _take(row, below)
        out.append(row)
    return out


def _span(text: str | None) -> int:
    return min(number(text, 1) or 1, _MAX_SPAN) if text else 1


def _take(row: list[str], below: dict[int, tuple[int, str]]) -> None:
    while len(row) in below:
        left, text = below.pop(len(row))
        if left > 1:
            below[len(row)] = (left - 1, text)
        row.append(text)


def _laid_out(grid: list[list[LexborNode]], writer: Writer) -> list[str]:
    """Write the cells one after another; under a row of headings each column follows its heading."""
    head = grid[0]
    if len(grid) == 2 and len(head) == len(grid[1]) and all(cell.tag == "th" for cell in head):  # noqa: PLR2004
        cells = [cell for pair in zip(*grid, strict=True) for cell in pair]
    else:
        cells = [cell for row in grid for cell in row]
    blocks: list[str] = []
    for cell in cells:
        if cell.tag == "th" and not cell.css_first("h1,h2,h3,h4,h5,h6,table,pre"):
            term = writer.bold(cell)
            blocks.extend([term] if term else [])
        else:
            blocks.extend(writer.blocks(cell))
    return blocks


def table(writer: Writer, node: LexborNode, flow: Flow) -> None:
    """A table: its caption, then its rows."""
    flow.flush()
    flow.blocks.extend(_written(writer, node))


def _written(writer: Writer, table: LexborNode) -> list[str]:
    rows, captions = _rows(table)
    rows = [(row, head) for row, head in rows if writer.kinds.get(row.mem_id) != DROP]
    grid = [_cells(row, writer) for row, _ in rows]
    heads = [head for (_, head), cells in zip(rows, grid, strict=True) if cells]
    grid = [cells for cells in grid if cells]
    out = [text for text in (writer.line(caption) for caption in captions) if text]
    if not grid:
        return out
    if _is_code_with_numbers(table) or _is_layout(table, grid):
        return out + _laid_out(grid, writer)
    texts = _filled(grid, writer)
    width = max(map(len, texts))
    if width > 1 and all(not any(row) for row in texts):
        return out
    first_is_head = heads[0] or all(cell.tag == "th" for cell in grid[0])
    lines = [texts[0] if first_is_head else [""] * width, ["---"] * width, *texts[int(first_is_head) :]]
    table_text = "\n".join(f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in lines if any(row))
    if not first_is_head:
        table_text = f"|{' |' * width}\n{table_text}"
    return [*out, table_text]
