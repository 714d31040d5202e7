"""PPTX as HTML: a heading a slide, its lists, tables and links, and the speaker's notes."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from connectors.extractors.archive import Archive, parse_xml
from connectors.extractors.markup import Marks, Writer, is_code

if TYPE_CHECKING:
    from collections.abc import Iterator

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_PRESENTATION = "ppt/presentation.xml"
_FURNITURE = frozenset({"dt", "ftr", "sldNum", "hdr", "sldImg"})


def to_html(body: bytes) -> str:
    """Return the slides' text as HTML, in their order; hidden slides, footers and numbers are left out."""
    archive = Archive(body)
    writer = Writer()
    relations = _relations(archive, _PRESENTATION)
    for node in _part(archive, _PRESENTATION).iter(f"{_P}sldId"):
        path = relations.get(node.get(f"{_R}id"), ("", ""))[1]
        slide = _part(archive, path)
        if slide.get("show", "1") not in {"0", "false"}:
            _Slide(archive, path, writer).write(slide)
    return writer.html()


class _Slide:
    def __init__(self, archive: Archive, path: str, writer: Writer) -> None:
        self._archive = archive
        self._relations = _relations(archive, path)
        self._writer = writer

    def write(self, slide: Any) -> None:
        shapes = list(_shapes(slide))
        shapes.sort(key=lambda shape: _placeholder(shape) not in {"title", "ctrTitle"})
        for shape in shapes:
            self._shape(shape)
        for kind, path in self._relations.values():
            if kind == "notesSlide":
                self._notes(_part(self._archive, path))

    def _notes(self, notes: Any) -> None:
        paragraphs = [
            text
            for shape in _shapes(notes)
            if _placeholder(shape) == "body"
            for paragraph in shape.iter(f"{_A}p")
            if (text := self._marks(paragraph).html())
        ]
        if paragraphs:
            self._writer.paragraph("<b>Notes</b>")
        for text in paragraphs:
            self._writer.paragraph(text)

    def _shape(self, shape: Any) -> None:
        kind = _placeholder(shape)
        if kind in _FURNITURE:
            return
        for table in shape.iter(f"{_A}tbl"):
            rows = [[self._cell(cell) for cell in row.iter(f"{_A}tc")] for row in table.iter(f"{_A}tr")]
            self._writer.table(rows)
            return
        paragraphs = list(shape.iter(f"{_A}p"))
        if kind in {"title", "ctrTitle"}:
            self._writer.heading(" ".join(filter(None, (self._marks(node).html() for node in paragraphs))), 2)
            return
        for node in paragraphs:
            self._paragraph(node, listed=kind in {"body", "obj"})

    def _paragraph(self, node: Any, *, listed: bool) -> None:
        marks = self._marks(node)
        properties = node.find(f"{_A}pPr")
        level = properties.get("lvl", "0") if properties is not None else "0"
        kinds = {child.tag.rpartition("}")[2] for child in properties} if properties is not None else set()
        faces = [one.get("typeface", "") for one in node.iter(f"{_A}latin")]
        if faces and all(map(is_code, faces)) and "\n" in marks.plain():
            self._writer.code(marks.plain())
        elif kinds & {"buChar", "buAutoNum"} or (listed and "buNone" not in kinds):
            if text := marks.html():
                depth = int(level) if level.isdigit() else 0
                self._writer.item(text, depth=depth, ordered="buAutoNum" in kinds)
        else:
            self._writer.paragraph(marks.html())

    def _cell(self, cell: Any) -> str:
        return "<br>".join(filter(None, (self._marks(node).html() for node in cell.iter(f"{_A}p"))))

    def _marks(self, paragraph: Any) -> Marks:
        marks = Marks()
        for run in paragraph:
            name = run.tag.rpartition("}")[2] if isinstance(run.tag, str) else ""
            if name == "br":
                marks.add("\n", (), "")
            if name not in {"r", "fld"}:
                continue
            properties = run.find(f"{_A}rPr")
            tags = [tag for tag in ("b", "i") if properties is not None and properties.get(tag) in {"1", "true"}]
            face = run.find(f"{_A}rPr/{_A}latin")
            tags += ["code"] if face is not None and is_code(face.get("typeface", "")) else []
            link = run.find(f"{_A}rPr/{_A}hlinkClick")
            target = self._relations.get(link.get(f"{_R}id"), ("", ""))[1] if link is not None else ""
            marks.add("".join(node.text or "" for node in run.iter(f"{_A}t")), tuple(tags), target)
        return marks


def _shapes(slide: Any) -> Iterator[Any]:
    for node in slide.iter(f"{_P}sp", f"{_P}graphicFrame"):
        if not any(isinstance(up.tag, str) and up.tag.endswith("}Fallback") for up in node.iterancestors()):
            yield node


def _placeholder(shape: Any) -> str:
    found = next(shape.iter(f"{_P}ph"), None)
    return str(found.get("type", "body")) if found is not None else ""


def _part(archive: Archive, path: str) -> Any:
    return parse_xml(archive.read(path) if path in archive.names else b"<none/>")


def _relations(archive: Archive, path: str) -> dict[str, tuple[str, str]]:
    """Return kind and target of a part's relations: a path in the archive, or an address outside of it."""
    folder, name = posixpath.split(path)
    found: dict[str, tuple[str, str]] = {}
    for node in _part(archive, f"{folder}/_rels/{name}.rels").iter("{*}Relationship"):
        target = node.get("Target", "")
        if node.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
        found[node.get("Id", "")] = (node.get("Type", "").rpartition("/")[2], target)
    return found
