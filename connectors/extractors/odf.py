"""OpenDocument texts and presentations as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.extractors.archive import Archive, parse_xml
from connectors.extractors.markup import Marks, Writer, is_code

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_FO = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_REPEATS = 1_000  # a cell or row may claim to be repeated a million times
_SKIPPED = frozenset({"tracked-changes", "annotation", "annotation-end", "sequence-decls", "forms", "notes"})
_INDEXES = frozenset({"table-of-content", "illustration-index", "table-index", "alphabetical-index"})


def to_html(body: bytes) -> str:
    """Return the document's text as HTML; deleted text, comments and printed indexes are left out."""
    archive = Archive(body)
    parts = [parse_xml(archive.read(name)) for name in ("content.xml", "styles.xml") if name in archive.names]
    return _Document(parts).html()


class _Document:
    def __init__(self, parts: list[Any]) -> None:
        self._content = parts[0] if parts else None
        self._styles = {node.get(f"{_STYLE}name"): node for part in parts for node in part.iter(f"{_STYLE}style")}
        self._ordered = {
            (style.get(f"{_STYLE}name"), level.get(f"{_TEXT}level")): _name(level) == "list-level-style-number"
            for part in parts
            for style in part.iter(f"{_TEXT}list-style")
            for level in style
        }
        self._notes: dict[tuple[str, str], str] = {}
        self.writer = Writer()

    def html(self) -> str:
        body = next(self._content.iter("{*}body"), None) if self._content is not None else None
        if body is not None:
            self._blocks(body)
        for number, key in self.writer.notes():
            self.writer.paragraph(f"[{number}] {self._notes[key]}")
        return self.writer.html()

    def _blocks(self, parent: Any) -> None:
        for node in parent:
            name = _name(node)
            if name == "h":
                level = node.get(f"{_TEXT}outline-level", "1")
                self.writer.heading(self._inline(node), min(6, max(1, int(level) if level.isdigit() else 1)))
            elif name == "p":
                self._paragraph(node)
            elif name == "list":
                self._list(node, 0, node.get(f"{_TEXT}style-name", ""))
            elif name == "table":
                self.writer.table(list(self._rows(node)))
            elif name == "page":  # of a presentation
                self._slide(node)
            elif name not in _SKIPPED | _INDEXES:
                self._blocks(node)

    def _slide(self, page: Any) -> None:
        presentation = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}class"
        for frame in page:
            if frame.get(presentation) == "title":
                self.writer.heading(" ".join(self._inline(node) for node in frame.iter(f"{_TEXT}p")), 2)
            else:
                self._blocks([frame])

    def _paragraph(self, node: Any) -> None:
        names = [name.lower() for name in self._chain(node.get(f"{_TEXT}style-name", ""))]
        inline = self._inline(node)
        if any(is_code(name) for name in names):
            self.writer.code(self._marks(node).plain())
        elif "title" in names:
            self.writer.heading(inline, 1)
        elif any("quot" in name for name in names):
            self.writer.quote(inline)
        else:
            self.writer.paragraph(inline)
        for frame in node.iter("{*}frame"):
            for box in frame.iter("{*}text-box"):
                self._blocks(box)

    def _chain(self, style: str) -> Iterator[str]:
        for _ in range(12):
            if not style:
                return
            yield style
            node = self._styles.get(style)
            style = node.get(f"{_STYLE}parent-style-name", "") if node is not None else ""

    def _list(self, node: Any, depth: int, style: str) -> None:
        ordered = self._ordered.get((style, str(depth + 1)), False)
        for item in node:
            first = True
            for child in item:
                name = _name(child)
                if name == "list":
                    self._list(child, depth + 1, child.get(f"{_TEXT}style-name", style))
                elif name in {"p", "h"} and (inline := self._inline(child)):
                    self.writer.item(inline, depth=depth, ordered=ordered) if first else self.writer.more(inline)
                    first = False

    def _rows(self, table: Any) -> Iterator[list[str]]:
        for row in table.iter(f"{_TABLE}table-row"):
            if next(row.iterancestors(f"{_TABLE}table")) is not table:
                continue
            cells: list[str] = []
            for cell in row:
                if _name(cell) not in {"table-cell", "covered-table-cell"}:
                    continue
                inner = "<br>".join(filter(None, (self._inline(node) for node in cell.iter(f"{_TEXT}p"))))
                times = cell.get(f"{_TABLE}number-columns-repeated", "1")
                cells += [inner] * (min(int(times), _REPEATS) if inner and times.isdigit() else 1)
            yield cells

    def _inline(self, node: Any) -> str:
        return self._marks(node).html()

    def _marks(self, node: Any) -> Marks:
        marks = Marks()
        self._runs(node, marks, (), "")
        return marks

    def _runs(self, parent: Any, marks: Marks, tags: tuple[str, ...], link: str) -> None:
        marks.add(_folded(parent.text), tags, link)
        for node in parent:
            name = _name(node)
            if name == "a":
                self._runs(node, marks, tags, node.get(_HREF, ""))
            elif name == "span":
                self._runs(node, marks, self._tags(node, tags), link)
            elif name in {"line-break", "tab", "s"}:
                count = node.get(f"{_TEXT}c", "1")
                told = {"line-break": "\n", "tab": "\t"}.get(name)
                marks.add(told or " " * min(int(count) if count.isdigit() else 1, 200), tags, link)
            elif name == "note":
                self._note(node, marks)
            elif name == "frame":
                words = next(("".join(one.itertext()) for one in node if _name(one) in {"desc", "title"}), "")
                marks.add(f"[{' '.join(words.split())}]" if words.strip() else "", (), "")
            elif name not in _SKIPPED:
                self._runs(node, marks, tags, link)
            marks.add(_folded(node.tail), tags, link)

    def _note(self, node: Any, marks: Marks) -> None:
        key = (node.get(f"{_TEXT}note-class", "note"), node.get(f"{_TEXT}id") or str(len(self._notes)))
        body = node.find(f"{_TEXT}note-body")
        self._notes[key] = " ".join(self._inline(p) for p in body.iter(f"{_TEXT}p")) if body is not None else ""
        marks.add(f"[{self.writer.note(key)}]", (), "")

    def _tags(self, node: Any, tags: tuple[str, ...]) -> tuple[str, ...]:
        name = node.get(f"{_TEXT}style-name", "")
        style = self._styles.get(name)
        properties = style.find(f"{_STYLE}text-properties") if style is not None else None
        found = set(tags)
        chain = " ".join(self._chain(name))
        if properties is not None:
            face = f"{properties.get(f'{_STYLE}font-name', '')} {properties.get(f'{_FO}font-family', '')}"
            chain = f"{chain} {face}"
            found |= {"b"} if properties.get(f"{_FO}font-weight") == "bold" else set()
            found |= {"i"} if properties.get(f"{_FO}font-style") == "italic" else set()
        if is_code(chain):
            found.add("code")
        return tuple(sorted(found))


def _folded(text: str | None) -> str:
    return " ".join(text.replace("\n", " ").split(" ")) if text else ""


def _name(node: Any) -> str:
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""
