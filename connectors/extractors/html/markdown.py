"""What each element of HTML is in Markdown, so that its meaning is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.extractors.html import code, formulas, special, tables
from connectors.extractors.html.inline import BOLD, BREAK, CODE, ITALIC, STRIKE, indented, quoted
from connectors.extractors.html.tree import number
from connectors.extractors.html.writer import Flow, Grammar, Writer

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

    from connectors.extractors.html.writer import Write

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


def _nothing(_writer: Writer, _node: LexborNode, _flow: Flow) -> None:
    pass


def _block(writer: Writer, node: LexborNode, flow: Flow) -> None:
    if flow.runs:
        flow.flush()
    writer.children(node, flow)
    if flow.runs:
        flow.flush()


def _styling(style: int) -> Write:
    def write(writer: Writer, node: LexborNode, flow: Flow) -> None:
        writer.styled(node, flow, style)

    return write


def _anchor(writer: Writer, node: LexborNode, flow: Flow) -> None:
    href = node.attributes.get("href")
    if href is None or writer.link:
        writer.children(node, flow)
        return
    target = writer.resolve(href)
    text = writer.only_text(node)
    if text is not None:
        if flow.runs or not text.isspace():
            flow.runs.append((text, writer.style, target))
        return
    before = writer.link
    writer.link = target
    writer.children(node, flow)
    writer.link = before


def _break(writer: Writer, _node: LexborNode, flow: Flow) -> None:
    flow.runs.append((BREAK, 0, writer.link))


def _heading(writer: Writer, node: LexborNode, flow: Flow) -> None:
    writer.heading(node, flow, int((node.tag or "h2")[1]))


def _pre(writer: Writer, node: LexborNode, flow: Flow) -> None:
    text = code.text_of(node, writer.kinds)
    flow.add(code.fence(text, code.language(node)) if text.strip() else "")


def _quote(writer: Writer, node: LexborNode, flow: Flow) -> None:
    flow.add(quoted(writer.blocks(node)))


def _list(writer: Writer, node: LexborNode, flow: Flow) -> None:
    if (node.tag != "ol" and _lays_out(node)) or _holds_notes(writer, node):
        flow.flush()
        writer.children(node, flow)
        flow.flush()
    else:
        flow.add(_list_text(writer, node))


def _lays_out(node: LexborNode) -> bool:
    """Say whether a list only arranges parts of a page: its items are sections or begin with headings."""
    for item in node.iter():
        if item.tag == "li":
            first = next(iter(item.iter()), None)
            return first is not None and first.tag in _PARTS
    return False


_PARTS = frozenset({"section", "article", "h1", "h2", "h3", "h4", "table", "header"})


def _holds_notes(writer: Writer, node: LexborNode) -> bool:
    """Say whether a list is that of the footnotes: each carries its own mark."""
    first = next((child for child in node.iter() if child.tag == "li"), None)
    return first is not None and writer.kinds.get(first.mem_id) == "note"


def _list_text(writer: Writer, node: LexborNode) -> str:
    place = number(node.attributes.get("start"), 1) if node.tag == "ol" else 0
    items: list[str] = []
    loose = False
    child = node.first_child
    while child is not None:
        own = Flow()
        if child.tag == "li" and not writer.kinds.get(child.mem_id):
            writer.children(child, own)
        elif child.tag == "-text" and child.mem_id not in writer.kinds:
            own.runs.append((child.text_content or "", writer.style, writer.link))
        else:
            writer.node(child, own)
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


def _tight(blocks: list[str]) -> bool:
    """Say whether a list item is its text and nested lists, so that it needs no blank lines."""
    if len(blocks) == 1:
        return True
    return all(block.startswith(("- ", "1. ")) for block in blocks[1:]) and not blocks[0].startswith(("#", "`", "|"))


def _item(writer: Writer, node: LexborNode, flow: Flow) -> None:
    """An item: a bullet where no list holds it, as a browser shows it; lists that only lay out are read through."""
    above = node.parent
    if above is not None and above.tag in _LISTS:
        _block(writer, node, flow)
        return
    text = "\n\n".join(writer.blocks(node))
    flow.add(f"- {indented(text, 2).lstrip(' ')}" if text else "")


def _raised(writer: Writer, node: LexborNode, flow: Flow) -> None:
    text = (node.text() or "").strip()
    if text.isascii() and text.replace("-", "").replace("+", "").isalnum() and not node.css_first("a"):
        writer.raw("^", flow)
    writer.children(node, flow)


def _between(opening: str, closing: str) -> Write:
    def write(writer: Writer, node: LexborNode, flow: Flow) -> None:
        flow.runs.append((opening, writer.style, writer.link))
        writer.children(node, flow)
        flow.runs.append((closing, writer.style, writer.link))

    return write


MARKDOWN = Grammar(
    by_tag={
        **dict.fromkeys(NEVER_WRITTEN, _nothing),
        **dict.fromkeys(_BLOCK, _block),
        **{tag: _styling(style) for tag, style in _STYLES.items()},
        "a": _anchor,
        "br": _break,
        **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), _heading),
        **dict.fromkeys(("pre", "listing", "xmp", "plaintext"), _pre),
        "blockquote": _quote,
        **dict.fromkeys(_LISTS, _list),
        "li": _item,
        "img": special.image,
        "table": tables.table,
        "dl": special.definitions,
        "details": special.details,
        "math": formulas.mathml,
        "sup": _raised,
        "rt": _between("(", ")"),
        "q": _between("“", "”"),
    },
    by_kind=special.WRITERS,
)
