"""Elements that mean more than their tag says: admonitions, headings by role, images, definitions, folded parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from connectors.extractors.html import code, formulas, notes, tabs
from connectors.extractors.html.inline import destination, quoted
from connectors.extractors.html.kinds import DROP
from connectors.extractors.html.tree import number, outermost_of

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

    from connectors.extractors.html.writer import Flow, WriteKind, Writer

_TITLES = (
    ".admonition-title, .admonition-heading, .custom-block-title, .title, .callout-title, .markdown-alert-title, "
    ".starlight-aside__title, .alert-title, .admonitionTitle, [class*=admonitionHeading], .alert-heading"
)
_NAMES = (
    "note", "tip", "warning", "caution", "important", "danger", "info", "seealso", "hint", "attention", "error",
    "example", "success", "versionadded", "deprecated",
)  # fmt: skip


def _has_code(blocks: list[str]) -> bool:
    return any("```" in block for block in blocks)


def _label(node: LexborNode) -> str:
    classes = (node.attributes.get("class") or "").lower()
    for name in _NAMES:
        if name in classes:
            return "See also" if name == "seealso" else name.capitalize()
    return ""


def admonition(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """A box with a label: a quotation that begins with the label in bold; flat where it holds code or tables."""
    cell = node.css_first("td.content")  # AsciiDoc's boxes are tables of two cells: the label, the text
    title = node.css_first(_TITLES if cell is None else "td.icon .title")
    heading = title is None or title.tag not in {"h1", "h2", "h3", "h4", "h5", "h6"}
    label = writer.line(title).strip("* ") if title is not None and heading else ""
    if title is not None and heading:
        writer.hide(title)
    blocks = writer.blocks(node if cell is None else cell)
    if not blocks and not label:
        return True
    if title is None:
        label = _label(node)
        plain = re.sub(r"[^\w ]", "", blocks[0][:60]).strip().lower() if blocks else ""
        if plain.startswith(label.lower()[:4]) or blocks[0].startswith("#"):
            label = ""
    if label:
        blocks.insert(0, f"**{label}**")
    if _has_code(blocks) or any(block.startswith(("#", "|")) for block in blocks):
        flow.flush()
        flow.blocks.extend(blocks)
    else:
        flow.add(quoted(blocks))
    return True


def task(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """The box of a task in a list: done or open."""
    writer.raw("[x] " if "checked" in node.attributes else "[ ] ", flow)
    return True


def role_heading(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """An element whose role says that it is a heading."""
    if node.tag in {"h1", "h2", "h3", "h4", "h5", "h6"}:
        return False
    writer.heading(node, flow, max(1, min(number(node.attributes.get("aria-level"), 2), 6)))
    return True


def title(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """An element that is the title of its page, whatever its tag says."""
    writer.heading(node, flow, 1)
    return True


def code_block(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """A block of code that is no `pre`: its lines are those of the text."""
    if node.css_first("pre"):
        return False
    text = code.text_of(node, writer.kinds)
    flow.add(code.fence(text, code.language(node)) if text.strip() else "")
    return True


def plain(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """A button that is the handle of a folded part: its text counts."""
    flow.runs.append((writer.line(node), 0, ""))
    return True


_DECORATION = re.compile(
    r"^(?:\[(?:note|tip|warning|caution|important)\]|logo|icon|image|img|photo|avatar|banner|spacer|pixel|arrow|bullet|\W*)$",
    re.IGNORECASE,
)


def image(writer: Writer, node: LexborNode, flow: Flow) -> None:
    """An image, when it says what it shows."""
    attributes = node.attributes
    alt = " ".join((attributes.get("alt") or "").split())
    if _DECORATION.match(alt) or attributes.get("width") == "1":
        return
    alt = alt.replace("[", "(").replace("]", ")")
    source = next((attributes[key] for key in ("data-src", "src", "data-original") if attributes.get(key)), "") or ""
    target = "" if source.startswith("data:") else writer.resolve(source)
    writer.raw(f"![{alt}]({destination(target)})" if target else f"[Image: {alt}]", flow)


def definitions(writer: Writer, node: LexborNode, flow: Flow) -> None:
    """A definition list: the terms in bold, each with what it means below it."""
    flow.flush()
    entries: list[tuple[str, list[str]]] = []
    kinds = writer.kinds
    for child in _groups(node):
        if kinds.get(child.mem_id) == DROP:
            continue
        tag = child.tag
        if tag == "dt":
            entries.append((writer.bold(child), []))
        elif tag in {"dd", "dl"}:
            if not entries:
                entries.append(("", []))
            entries[-1][1].extend(writer.blocks(child) if tag == "dd" else writer.blocks_of(child))
        else:
            flow.blocks.extend(writer.blocks_of(child))
    simple = all(
        len(blocks) < 2 and "\n" not in "".join(blocks) and not _OPENS.match("".join(blocks))  # noqa: PLR2004
        for _, blocks in entries
    )
    if simple and any(blocks for _, blocks in entries):
        rows = ["\n".join(filter(None, (term, *(f": {block}" for block in blocks)))) for term, blocks in entries]
        flow.blocks.extend(_grouped(rows, entries))
        return
    for term, blocks in entries:
        flow.add(term)
        flow.blocks.extend(blocks)


_OPENS = re.compile(r"[-#>|] |```|\d+\. ")  # a block that stands at the beginning of a line or is none


def _grouped(rows: list[str], entries: list[tuple[str, list[str]]]) -> list[str]:
    """Terms that share one definition stand together."""
    out: list[str] = []
    open_terms: list[str] = []
    for row, (_, blocks) in zip(rows, entries, strict=True):
        open_terms.append(row)
        if blocks:
            out.append("\n".join(open_terms))
            open_terms = []
    return out + open_terms


def _groups(node: LexborNode) -> list[LexborNode]:
    out: list[LexborNode] = []
    for child in node.iter():
        if child.tag == "div":
            out.extend(child.iter())
        else:
            out.append(child)
    return out


def details(writer: Writer, node: LexborNode, flow: Flow) -> None:
    """A folded part: its summary, then everything in it."""
    flow.flush()
    for child in node.iter():
        if child.tag == "summary" and writer.kinds.get(child.mem_id) != DROP:
            flow.flush()
            if child.mem_id in _headed(writer, child):
                flow.blocks.extend(writer.blocks(child))
            else:
                flow.add(writer.bold(child))
            writer.hide(child)
            break
    flow.blocks.extend(writer.blocks(node))


def _headed(writer: Writer, node: LexborNode) -> set[int]:
    """Return by `mem_id` what of the page holds headings in a summary; one question for all of them."""
    if writer.headed is None:
        writer.headed = set()
        for heading in outermost_of(node).css(_HEADINGS_OF_SUMMARIES):
            above = heading.parent
            while above is not None and above.tag and above.mem_id not in writer.headed:
                writer.headed.add(above.mem_id)
                above = above.parent
    return writer.headed


_HEADINGS_OF_SUMMARIES = ", ".join(f"summary h{level}" for level in range(1, 7))


WRITERS: dict[str, WriteKind] = {
    "admonition": admonition,
    "tabs": tabs.tabs,
    "heading": role_heading,
    "title": title,
    "code": code_block,
    "task": task,
    "tablist": tabs.tab_list,
    "panel": tabs.tab_panel,
    "plain": plain,
    "noteref": notes.note_reference,
    "note": notes.note,
    "math": formulas.formula,
}
"""What writes the nodes of each kind."""
