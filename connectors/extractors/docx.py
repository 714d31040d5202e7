"""DOCX as HTML: paragraphs by their styles, lists by their numbering, links by their relations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from connectors.extractors.archive import Archive, parse_xml
from connectors.extractors.markup import Marks, Writer, is_code

if TYPE_CHECKING:
    from collections.abc import Iterator

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_REL = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_LINK = re.compile(r'HYPERLINK\s+"([^"]+)"')
_OFF = frozenset({"0", "false", "off", "none"})
_TOO_SMALL = frozenset({"0", "1", "2"})  # half points
_SKIPPED = frozenset({"del", "moveFrom", "commentRangeStart", "rPr", "pPr", "Fallback", "annotationRef"})


def to_html(body: bytes) -> str:
    """Return the document's text as HTML; headers, footers, comments, deleted and hidden text are left out."""
    return _Document(Archive(body)).html()


class _Document:
    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._styles = {node.get(f"{_W}styleId"): node for node in self._part("styles").iter(f"{_W}style")}
        self._links = {
            node.get("Id"): node.get("Target", "")
            for node in self._part("_rels/document.xml.rels").iter("{*}Relationship")
            if node.get("TargetMode") == "External"
        }
        self._ordered = dict(self._numberings())
        self._notes = {
            (kind, node.get(f"{_W}id")): node
            for kind in ("footnote", "endnote")
            for node in self._part(f"{kind}s").iter(f"{_W}{kind}")
        }
        self.writer = Writer()

    def html(self) -> str:
        body = self._part("document").find(f"{_W}body")
        if body is not None:
            self._blocks(body)
        for number, key in self.writer.notes():
            words = " ".join(self._inline(p) for p in self._notes[key].iter(f"{_W}p")) if key in self._notes else ""
            self.writer.paragraph(f"[{number}] {words}")
        return self.writer.html()

    def _part(self, name: str) -> Any:
        path = f"word/{name}" if name.endswith(".rels") else f"word/{name}.xml"
        return parse_xml(self._archive.read(path) if path in self._archive.names else b"<none/>")

    def _numberings(self) -> Iterator[tuple[tuple[str, str], bool]]:
        part = self._part("numbering")
        levels = {
            (node.get(f"{_W}abstractNumId"), level.get(f"{_W}ilvl")): _value(level, "numFmt") not in {"bullet", "none"}
            for node in part.iter(f"{_W}abstractNum")
            for level in node.iter(f"{_W}lvl")
        }
        for number in part.iter(f"{_W}num"):
            abstract = _value(number, "abstractNumId")
            yield from (
                ((number.get(f"{_W}numId"), lvl), on) for (owner, lvl), on in levels.items() if owner == abstract
            )

    def _blocks(self, parent: Any) -> None:
        for node in parent:
            name = _name(node)
            if name == "p":
                self._paragraph(node)
            elif name == "tbl":
                self.writer.table([[self._cell(cell) for cell in _cells(row)] for row in node.iter(f"{_W}tr")])
            elif name not in _SKIPPED and not _is_contents(node):  # a wrapper, known or not: its text is text
                self._blocks(node)

    def _cell(self, cell: Any) -> str:
        return "<br>".join(filter(None, (self._inline(p) for p in cell.iter(f"{_W}p"))))

    def _paragraph(self, node: Any) -> None:
        style = _value(node.find(f"{_W}pPr"), "pStyle")
        inline = self._inline(node)
        chain = list(self._chain(style))
        names = [(_value(one, "name") or "").lower() for one in chain]
        level = self._heading(node, chain, names)
        numbered = self._numbering(node, chain)
        if any(name.startswith("toc ") for name in names):
            return
        if any(is_code(name) for name in names):
            self.writer.code(self._plain(node))
        elif level:
            self.writer.heading(inline, level)
        elif numbered is not None and inline:
            self.writer.item(inline, depth=numbered[0], ordered=numbered[1])
        elif any("quot" in name or "block text" in name for name in names):
            self.writer.quote(inline)
        else:
            self.writer.paragraph(inline)
        for box in node.iter(f"{_W}txbxContent"):
            if not any(_name(parent) in {"Fallback", "txbxContent"} for parent in box.iterancestors()):
                self._blocks(box)

    def _chain(self, style: str) -> Iterator[Any]:
        for _ in range(12):
            if style not in self._styles:
                return
            yield self._styles[style]
            style = _value(self._styles[style], "basedOn")

    @staticmethod
    def _heading(node: Any, chain: list[Any], names: list[str]) -> int:
        if "title" in names:
            return 1
        for name in names:
            if found := re.fullmatch(r"heading (\d)", name):
                return min(6, int(found[1]))
        levels = (_value(one.find(f"{_W}pPr"), "outlineLvl") for one in (node, *chain))
        told = next((int(level) for level in levels if level.isdigit()), 9)
        return told + 1 if told < 6 else 0  # noqa: PLR2004 - HTML has six levels

    def _numbering(self, node: Any, chain: list[Any]) -> tuple[int, bool] | None:
        for one in (node, *chain):
            properties = one.find(f"{_W}pPr/{_W}numPr")
            if properties is None:
                continue
            number, depth = _value(properties, "numId"), _value(properties, "ilvl") or "0"
            if number in {"", "0"}:
                return None
            return int(depth) if depth.isdigit() else 0, self._ordered.get((number, depth), False)
        return None

    def _inline(self, node: Any) -> str:
        marks = Marks()
        self._runs(node, marks, "")
        return marks.html()

    def _plain(self, node: Any) -> str:
        marks = Marks()
        self._runs(node, marks, "")
        return marks.plain()

    def _runs(self, parent: Any, marks: Marks, link: str) -> None:
        """Write the runs below a node; a field's instruction may make links of the runs that follow it."""
        field = link
        for node in parent:
            name = _name(node)
            if name == "r":
                field = self._run(node, marks, field)
            elif name == "hyperlink":
                self._runs(node, marks, self._links.get(node.get(_REL), ""))
            elif name == "fldSimple":
                found = _LINK.search(node.get(f"{_W}instr", ""))
                self._runs(node, marks, found[1] if found else field)
            elif name not in _SKIPPED and name != "txbxContent":
                self._runs(node, marks, field)

    def _run(self, run: Any, marks: Marks, link: str) -> str:
        properties = run.find(f"{_W}rPr")
        if _on(properties, "vanish") or _value(properties, "sz") in _TOO_SMALL:
            return link
        style = self._styles.get(_value(properties, "rStyle"))
        fonts = properties.find(f"{_W}rFonts") if properties is not None else None
        face = f"{_value(style, 'name')} {fonts.get(f'{_W}ascii', '') if fonts is not None else ''}"
        kinds = [tag for tag, key in (("b", "b"), ("i", "i"), ("s", "strike")) if _on(properties, key)]
        kinds += ["code"] if is_code(face) else []
        for node in run:
            name = _name(node)
            if name == "fldChar" and node.get(f"{_W}fldCharType") == "end":
                link = ""
            elif name == "instrText":
                found = _LINK.search(node.text or "")
                link = found[1] if found else link
            elif name in {"footnoteReference", "endnoteReference"}:
                key = (name.removesuffix("Reference"), node.get(f"{_W}id"))
                marks.add(f"[{self.writer.note(key)}]", (), "")
            elif name in {"drawing", "pict"}:
                marks.add(_alternative(node), (), "")
            else:
                marks.add(_text(node, name), tuple(kinds), link)
        return link


def _text(node: Any, name: str) -> str:
    if name == "t":
        return node.text or ""
    return {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "\u2011"}.get(name, "")


def _alternative(node: Any) -> str:
    told = next((one.get("descr", "") for one in node.iter("{*}docPr")), "")
    return f"[{' '.join(told.split())}]" if told else ""


def _cells(row: Any) -> Iterator[Any]:
    return (cell for cell in row.iter(f"{_W}tc") if next(cell.iterancestors(f"{_W}tr")) is row)


def _is_contents(node: Any) -> bool:
    gallery = node.find(f"{_W}sdtPr/{_W}docPartObj/{_W}docPartGallery")
    return gallery is not None and gallery.get(f"{_W}val") == "Table of Contents"


def _name(node: Any) -> str:
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""


def _value(node: Any, name: str) -> str:
    found = node.find(f"{_W}{name}") if node is not None else None
    return str(found.get(f"{_W}val", "")) if found is not None else ""


def _on(properties: Any, name: str) -> bool:
    found = properties.find(f"{_W}{name}") if properties is not None else None
    return found is not None and found.get(f"{_W}val", "1") not in _OFF
