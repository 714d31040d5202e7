"""A part of the parsed tree, written as Markdown that keeps its meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.extractors.html import code, formulas, special, tables
from connectors.extractors.html.inline import BOLD, BREAK, CODE, ITALIC, RAW, STRIKE, indented, line, quoted, render
from connectors.extractors.html.kinds import DROP
from connectors.extractors.html.tree import KNOWN_TAGS, TEXT, number

if TYPE_CHECKING:
    from collections.abc import Callable

    from selectolax.lexbor import LexborNode

    from connectors.extractors.html.inline import Run

MAX_DEPTH = 1000  # browsers flatten what is nested deeper than 512


class TooDeepError(Exception):
    """The tree is nested deeper than any page that a person wrote."""


NEVER_WRITTEN = frozenset({
    "script", "style", "template", "noscript", "head", "link", "meta", "input", "select", "textarea", "canvas", "svg",
    "iframe", "embed", "audio", "video", "source", "track", "param", "map", "area", "dialog", "datalist", "progress",
    "meter", "frame", "frameset", "noframes", "title", "-comment", "!doctype", "hr", "wbr", "rp", "button", "nav",
    "col", "colgroup", "base",
})  # fmt: skip
_BLOCK = frozenset({
    "div", "p", "section", "article", "main", "header", "footer", "body", "html", "aside", "center", "form", "fieldset",
    "figure", "figcaption", "address", "hgroup", "legend", "caption", "search", "optgroup", "dd", "dt",
    "tr", "td", "th", "tbody", "thead", "tfoot", "menuitem", "summary",
})  # fmt: skip
_LISTS = ("ul", "ol", "menu", "dir")
_STYLES = {
    "b": BOLD, "strong": BOLD, "i": ITALIC, "em": ITALIC, "cite": ITALIC, "var": ITALIC, "dfn": ITALIC,
    "code": CODE, "tt": CODE, "kbd": CODE, "samp": CODE, "del": STRIKE, "s": STRIKE, "strike": STRIKE,
}  # fmt: skip


class Flow:
    """Blocks written so far, and the runs of the paragraph that is open."""

    __slots__ = ("blocks", "runs")

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.runs: list[Run] = []

    def flush(self) -> None:
        """Close the open paragraph."""
        if self.runs:
            self.blocks.extend(render(self.runs))
            self.runs.clear()

    def add(self, block: str) -> None:
        """Close the open paragraph and add a block."""
        self.flush()
        if block:
            self.blocks.append(block)


class Writer:
    """Writes nodes as Markdown.

    Attributes:
        kinds: by `mem_id` what a node is beyond its tag (`kinds.KINDS`); `DROP` leaves it out.
        resolve: makes a link's target absolute; empty when it is no target.
        headed: by `mem_id` what holds a heading in a summary; gathered by the first folded part.
        tab_names: the handles of tabs by their own id and by the panel's that they open; gathered by the first panel.
        tab_places: by `mem_id` of an element that holds tabs, each panel in it and its handle, where there are as many.
    """

    def __init__(self, *, kinds: dict[int, str], resolve: Callable[[str], str]) -> None:
        self.kinds = kinds
        self.resolve = resolve
        self.headed: set[int] | None = None
        self.tab_names: dict[str, LexborNode] | None = None
        self.tab_places: dict[int, dict[int, LexborNode]] = {}
        self._style = 0
        self._link = ""
        self._depth = 0

    def blocks(self, node: LexborNode) -> list[str]:
        """Return the Markdown blocks of what is inside ``node``."""
        text = self._only_text(node)
        if text is not None:
            return render([(text, self._style, self._link)])
        flow = Flow()
        self._children(node, flow)
        flow.flush()
        return flow.blocks

    def line(self, node: LexborNode) -> str:
        """Return what is inside ``node`` on one line (headings, cells, terms)."""
        flow = Flow()
        self._children(node, flow)
        if not flow.blocks:
            return line(flow.runs)
        flow.flush()
        return " ".join(" ".join(block.split()) for block in flow.blocks)

    def blocks_of(self, node: LexborNode) -> list[str]:
        """Return the Markdown blocks of ``node``, itself included."""
        flow = Flow()
        self._node(node, flow)
        flow.flush()
        return flow.blocks

    def hide(self, node: LexborNode) -> None:
        """Leave ``node`` out from now on: it has been written elsewhere."""
        self.kinds[node.mem_id] = DROP

    def _children(self, node: LexborNode, flow: Flow) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooDeepError
        kinds, style, link, runs = self.kinds, self._style, self._link, flow.runs
        child = node.first_child
        while child is not None:
            tag = child.tag_id
            if child.mem_id in kinds:
                self._node(child, flow)
            elif tag == TEXT:
                text = child.text_content or ""
                if runs or not text.isspace():  # white space before a paragraph is nobody's
                    runs.append((text, style, link))
            else:
                (_BY_TAG.get(tag) or _writer(child))(self, child, flow)
            child = child.next
        self._depth -= 1

    def _only_text(self, node: LexborNode) -> str | None:
        """Return the text of an element that holds one text and nothing else: most that stand in a line do."""
        only = node.first_child
        if only is None or only.tag_id != TEXT or only.next is not None or only.mem_id in self.kinds:
            return None
        return only.text_content or ""

    def _node(self, node: LexborNode, flow: Flow) -> None:
        kind = self.kinds.get(node.mem_id)
        if kind is not None and (kind == DROP or special.WRITERS[kind](self, node, flow)):
            return
        (_BY_TAG.get(node.tag_id) or _writer(node))(self, node, flow)

    def _leave_out(self, _node: LexborNode, _flow: Flow) -> None:
        pass

    def _block(self, node: LexborNode, flow: Flow) -> None:
        if flow.runs:
            flow.flush()
        self._children(node, flow)
        if flow.runs:
            flow.flush()

    def styled(self, node: LexborNode, flow: Flow, style: int) -> None:
        """Add what is inside ``node`` to the open paragraph in another style."""
        text = self._only_text(node)
        if text is not None:
            flow.runs.append((text, self._style | style, self._link))
            return
        before = self._style
        self._style |= style
        self._children(node, flow)
        self._style = before

    def bold(self, node: LexborNode) -> str:
        """Return what is inside ``node`` on one bold line."""
        flow = Flow()
        self.styled(node, flow, BOLD)
        if not flow.blocks:
            return line([(text, style & ~ITALIC, link) for text, style, link in flow.runs])
        flow.flush()
        return " ".join(" ".join(block.split()) for block in flow.blocks)

    def raw(self, text: str, flow: Flow) -> None:
        """Add a piece that is Markdown already to the open paragraph."""
        flow.runs.append((text, RAW, self._link))

    def _anchor(self, node: LexborNode, flow: Flow) -> None:
        href = node.attributes.get("href")
        if href is None or self._link:
            self._children(node, flow)
            return
        target = self.resolve(href)
        text = self._only_text(node)
        if text is not None:
            if flow.runs or not text.isspace():
                flow.runs.append((text, self._style, target))
            return
        before = self._link
        self._link = target
        self._children(node, flow)
        self._link = before

    def _break(self, _node: LexborNode, flow: Flow) -> None:
        flow.runs.append((BREAK, 0, self._link))

    def _heading(self, node: LexborNode, flow: Flow) -> None:
        self.heading(node, flow, int((node.tag or "h2")[1]))

    def heading(self, node: LexborNode, flow: Flow, level: int) -> None:
        """Add ``node`` as a heading; one without words is left out."""
        before, self._style = self._style, 0
        text = self.line(node)
        self._style = before
        flow.add(f"{'#' * level} {text}" if text else "")

    def _pre(self, node: LexborNode, flow: Flow) -> None:
        text = code.text_of(node, self.kinds)
        flow.add(code.fence(text, code.language(node)) if text.strip() else "")

    def _quote(self, node: LexborNode, flow: Flow) -> None:
        blocks = self.blocks(node)
        flow.add(quoted(blocks))

    def _list(self, node: LexborNode, flow: Flow) -> None:
        if (node.tag != "ol" and _lays_out(node)) or self._notes(node):
            flow.flush()
            self._children(node, flow)
            flow.flush()
        else:
            flow.add(self._list_text(node))

    def _notes(self, node: LexborNode) -> bool:
        """Say whether a list is that of the footnotes: each carries its own mark."""
        first = next((child for child in node.iter() if child.tag == "li"), None)
        return first is not None and self.kinds.get(first.mem_id) == "note"

    def _list_text(self, node: LexborNode) -> str:
        place = number(node.attributes.get("start"), 1) if node.tag == "ol" else 0
        items: list[str] = []
        loose = False
        child = node.first_child
        while child is not None:
            own = Flow()
            if child.tag == "li" and not self.kinds.get(child.mem_id):
                self._children(child, own)
            elif child.tag == "-text" and child.mem_id not in self.kinds:
                own.runs.append((child.text_content or "", self._style, self._link))
            else:
                self._node(child, own)
            own.flush()
            if own.blocks:
                if child.tag != "li" and items and child.tag in {"ul", "ol"}:
                    items[-1] += "\n" + indented("\n\n".join(own.blocks), 3 if place else 2)
                else:
                    marker = f"{place}. " if place else "- "
                    tight = _tight(own.blocks)
                    loose = loose or not tight
                    body = ("\n" if tight else "\n\n").join(own.blocks)
                    items.append(marker + indented(body, len(marker)).lstrip(" "))
                    place += bool(place)
            child = child.next
        return ("\n\n" if loose else "\n").join(items)

    def _item(self, node: LexborNode, flow: Flow) -> None:
        """An item: a bullet where no list holds it, as a browser shows it; lists that only lay out are read through."""
        above = node.parent
        if above is not None and above.tag in _LISTS:
            self._block(node, flow)
            return
        text = "\n\n".join(self.blocks(node))
        flow.add(f"- {indented(text, 2).lstrip(' ')}" if text else "")

    def _image(self, node: LexborNode, flow: Flow) -> None:
        special.image(self, node, flow)

    def _table(self, node: LexborNode, flow: Flow) -> None:
        flow.flush()
        flow.blocks.extend(tables.written(self, node))

    def _terms(self, node: LexborNode, flow: Flow) -> None:
        special.definitions(self, node, flow)

    def _details(self, node: LexborNode, flow: Flow) -> None:
        special.details(self, node, flow)

    def _math(self, node: LexborNode, flow: Flow) -> None:
        formulas.mathml(self, node, flow)

    def _raised(self, node: LexborNode, flow: Flow) -> None:
        text = (node.text() or "").strip()
        if text.isascii() and text.replace("-", "").replace("+", "").isalnum() and not node.css_first("a"):
            self.raw("^", flow)
        self._children(node, flow)

    def _ruby(self, node: LexborNode, flow: Flow) -> None:
        flow.runs.append(("(", self._style, self._link))
        self._children(node, flow)
        flow.runs.append((")", self._style, self._link))

    def _q(self, node: LexborNode, flow: Flow) -> None:
        flow.runs.append(("“", self._style, self._link))
        self._children(node, flow)
        flow.runs.append(("”", self._style, self._link))


def _lays_out(node: LexborNode) -> bool:
    """Say whether a list only arranges parts of a page: its items are sections or begin with headings."""
    for item in node.iter():
        if item.tag == "li":
            first = next(iter(item.iter()), None)
            return first is not None and first.tag in _PARTS
    return False


_PARTS = frozenset({"section", "article", "h1", "h2", "h3", "h4", "table", "header"})


def _tight(blocks: list[str]) -> bool:
    """Say whether a list item is its text and nested lists, so that it needs no blank lines."""
    if len(blocks) == 1:
        return True
    return all(block.startswith(("- ", "1. ")) for block in blocks[1:]) and not blocks[0].startswith(("#", "`", "|"))


def _styling(style: int) -> Callable[[Writer, LexborNode, Flow], None]:
    def write(writer: Writer, node: LexborNode, flow: Flow) -> None:
        writer.styled(node, flow, style)

    return write


_WRITERS: dict[str | None, Callable[[Writer, LexborNode, Flow], None]] = {
    **dict.fromkeys(NEVER_WRITTEN, Writer._leave_out),  # noqa: SLF001 - the table is part of the class
    **dict.fromkeys(_BLOCK, Writer._block),  # noqa: SLF001
    **{tag: _styling(style) for tag, style in _STYLES.items()},
    "a": Writer._anchor,  # noqa: SLF001
    "br": Writer._break,  # noqa: SLF001
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), Writer._heading),  # noqa: SLF001
    **dict.fromkeys(("pre", "listing", "xmp", "plaintext"), Writer._pre),  # noqa: SLF001
    "blockquote": Writer._quote,  # noqa: SLF001
    **dict.fromkeys(_LISTS, Writer._list),  # noqa: SLF001
    "li": Writer._item,  # noqa: SLF001
    "img": Writer._image,  # noqa: SLF001
    "table": Writer._table,  # noqa: SLF001
    "dl": Writer._terms,  # noqa: SLF001
    "details": Writer._details,  # noqa: SLF001
    "math": Writer._math,  # noqa: SLF001
    "sup": Writer._raised,  # noqa: SLF001
    "rt": Writer._ruby,  # noqa: SLF001
    "q": Writer._q,  # noqa: SLF001
}

_BY_TAG: dict[int, Callable[[Writer, LexborNode, Flow], None]] = {}
"""`_WRITERS` by the parser's number of a tag, which is had for a third of what its name costs."""


def _writer(node: LexborNode) -> Callable[[Writer, LexborNode, Flow], None]:
    """Return what writes a node, by its tag, and remember it where the number stands for one tag in all documents."""
    write = _WRITERS.get(node.tag, Writer._children)  # noqa: SLF001
    if node.tag_id < KNOWN_TAGS:
        _BY_TAG[node.tag_id] = write
    return write
