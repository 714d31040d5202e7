"""Elements that mean more than their tag says: admonitions, tabs, footnotes, formulas, images, definitions."""

# ruff: noqa: E501 - tables of selectors are read by their rows

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from connectors.extractors.html import code
from connectors.extractors.html.inline import destination
from connectors.extractors.html.suspicion import hidden_by_sheet
from connectors.extractors.html.tree import outermost, together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from selectolax.lexbor import LexborNode

    from connectors.extractors.html.markdown import Flow, Writer
    from connectors.extractors.html.tree import Tree

DROP = "drop"

# What a node is beyond its tag. Later rows win; the table is data, so that a row is all a new system needs.
KINDS: tuple[tuple[str, str], ...] = (
    (
        "admonition",
        (
            ".admonition, .admonitionblock, .theme-admonition, .custom-block, .alert[role=alert], .alert-info, .alert-warning, "
            ".alert-danger, .alert-success, .markdown-alert, .starlight-aside, .callout, .nextra-callout, .hint, "
            "div.note, div.warning, div.tip, div.caution, div.important, div.seealso, blockquote.note, aside.note, "
            ".confluence-information-macro, .ak-editor-panel, .panel-info, .notecard, .docutils.note, .md-callout, .intercom-interblocks-callout, "
            "section.callout-blue, section.callout-green, section.callout-yellow, section.callout-red, [data-callout-type]"
        ),
    ),
    (
        "tabs",
        ".tabbed-set, .sd-tab-set, .vp-code-group, starlight-tabs, .tabs-container, .sphinx-tabs, .tab-set, .tabset, .tabpanel",
    ),
    ("task", "li input[type=checkbox][disabled], .task-list-item input[type=checkbox]"),
    ("tablist", "[role=tablist]"),
    ("panel", "[role=tabpanel]"),
    ("heading", "[role=heading]"),
    ("code", "[data-ds--code--code-block], .notion-code-block"),
    ("title", "div.headertitle > div.title, main > .header > .title, body > .header > .title"),
    (
        "plain",
        "h1 button, h2 button, h3 button, h4 button, h5 button, summary button, button[aria-expanded], button[aria-controls], [data-node-type=expand] > button",
    ),
    (
        "noteref",
        "a.footnote-reference, a.footnote-ref, a.footnoteref, a[role=doc-noteref], a[data-footnote-ref], a.footnote[href^='#'], sup.reference > a",
    ),
    (
        "note",
        "aside.footnote, dl.footnote, .footnotes li, [data-footnotes] li, ol.references > li, .footnote-definition, section[role=doc-endnotes] li, div.footnote[id], div.footnote > ol > li, table.footnote",
    ),
    (
        "math",
        "span.math, div.math, script[type^='math/tex'], .katex, .MathJax_Preview, mjx-container, .mwe-math-element, img.math, .arithmatex",
    ),
    (
        DROP,
        (
            "template, [aria-hidden=true]:not([role=tabpanel]), "
            "a.headerlink, a.permalink, a.anchor:empty, a.anchor-link, a.header-anchor, a.hash-link, a.heading-link, a.anchorjs-link, a.self-link, "
            "a.toclink-permalink, a.anchorlink, a.footnote-backref, a.footnote-back, a[role=doc-backlink]:not(.toc-backref), a.fn-backref, a.fn-backlink, a[data-footnote-backref], "
            ".sr-only, .visually-hidden, .screen-reader-text, .visuallyhidden, .screenreader-only, .assistive, .cdk-visually-hidden, "
            ".linenos, .linenodiv, .lineno, .linenumber, .line-numbers-rows, .line-numbers-wrapper, .gutter, .rouge-gutter, .hljs-ln-numbers, "
            ".react-syntax-highlighter-line-number, td.lntd:first-child, td.listing_lines, .highlight .ln, "
            ".copybtn, .copy-button, .btn-copy, .clipboard-copy, button.copy, #copy-path, .vp-code-group .tabs, .MathJax, "
            "div[class*=language-] > span.lang, .mw-editsection, .skip-link, .skiplink, .noprint, .navbox, .print-only"
        ),
    ),
)

_SELECTORS = tuple(selector for _, selector in KINDS)
_SIGNS = frozenset(
    {
        "",
        "¶",
        "#",
        "§",
        "🔗",
        "\uf0c1",
        "\ue157",
        "∞",
        "⚓",
        "permalink",
        "link",
        "anchor",
        "\u200b",
        "[link]",
        "direct link",
        "❡",
    }
)
_SOURCES = frozenset({"[src]", "src", "[source]", "[edit]"})  # beside a heading's words
_TITLES = (
    ".admonition-title, .admonition-heading, .custom-block-title, .title, .callout-title, .markdown-alert-title, "
    ".starlight-aside__title, .alert-title, .admonitionTitle, [class*=admonitionHeading], .alert-heading"
)
_NAMES = ("note", "tip", "warning", "caution", "important", "danger", "info", "seealso", "hint", "attention", "error", "example", "success", "versionadded", "deprecated")  # fmt: skip


def kinds_of(tree: Tree, drop: tuple[str, ...]) -> dict[int, str]:
    """Return what each node of note is, by `mem_id`; a selector of ``drop`` that the parser does not know drops nothing."""
    kinds: dict[int, str] = {}
    for place, nodes in tree.each(_SELECTORS):
        kinds.update([(node.mem_id, KINDS[place][0]) for node in nodes])
    for node in tree.css("h1 a, h2 a, h3 a, h4 a, h5 a, h6 a, dt a"):
        href = node.attributes.get("href")
        said = (node.text() or "").strip().lower()
        is_sign = (href is None or "#" in href) and said in _SIGNS and not node.css_first("img[alt]")
        if is_sign or (said in _SOURCES and _text_beside(node)):
            kinds[node.mem_id] = DROP
    for node in unseen(tree):
        kinds[node.mem_id] = DROP
    for node in _any_of(tree, drop):
        kinds[node.mem_id] = DROP
    return kinds


def _any_of(tree: Tree, selectors: tuple[str, ...]) -> list[LexborNode]:
    """Return what any of the selectors matches, without those that the parser does not know."""
    with contextlib.suppress(Exception):  # it has no error class of its own
        return tree.css(together(selectors)) if selectors else []
    return [node for selector in selectors for node in _any_of(tree, (selector,))] if len(selectors) > 1 else []


def _text_beside(node: LexborNode) -> bool:
    """Say whether a heading, or a part of one, says more than this link in it."""
    above = node.parent
    if above is None or (above.tag not in _HEADS and (above.parent is None or above.parent.tag not in _HEADS)):
        return False  # the source of what a term defines is part of its entry
    return len((above.text() or "").strip()) > len((node.text() or "").strip())


_HEADS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})


def unseen(tree: Tree, within: LexborNode | None = None) -> list[LexborNode]:
    """Return the nodes that styles and attributes hide, without what holds much of the page: scripts show that later."""
    candidates = [node for node in tree.css("[style]", within) if _unseen(node.attributes.get("style") or "")]
    candidates.extend(tree.css("[hidden]:not([role=tabpanel]):not([hidden=until-found]):not([class*=tab])", within))
    whole = 0
    out = []
    for node in candidates:
        if node.tag in {"body", "html"} or node.attributes.get("role") == "tabpanel":
            continue
        if len(node.text() or "") > _SHOWN_LATER:
            whole = whole or _text_chars(tree.root if within is None else within)
            if _text_chars(node) > whole // 5:
                continue
        out.append(node)
    return out + hidden_by_sheet(tree, within)


def _text_chars(node: LexborNode) -> int:
    return sum(len(part.text() or "") for part in node.css("p, li, td, pre"))


_SHOWN_LATER = 500
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:px|em|%|pt)?\s*(?:;|!|$)|^(?!.*(?:transform|transition|animation|will-change)).*opacity\s*:\s*0(?:\.0+)?\s*(?:;|!|$)"
    r"|(?:left|top|text-indent)\s*:\s*-\d{4,}|clip\s*:\s*rect\(\s*0|(?:^|;)\s*(?:width|height)\s*:\s*0(?:px)?\s*;.*overflow\s*:\s*hidden",
    re.IGNORECASE,
)


def _unseen(style: str) -> bool:
    return _UNSEEN.search(style) is not None


class dropped:  # noqa: N801 - reads as a set
    """The nodes that are left out, as a container of `mem_id`."""

    __slots__ = ("_kinds",)

    def __init__(self, kinds: Mapping[int, str]) -> None:
        self._kinds = kinds

    def __contains__(self, mem_id: object) -> bool:
        return isinstance(mem_id, int) and self._kinds.get(mem_id) == DROP


def number(text: str | None, default: int) -> int:
    """Return a whole number from an attribute, ``default`` where it is none."""
    try:
        return max(0, min(int(text or default), 999_999_999))
    except ValueError:
        return default


def indented(text: str, width: int) -> str:
    """Indent every line that is not empty."""
    space = " " * width
    return "\n".join(space + row if row else row for row in text.split("\n"))


def quoted(blocks: list[str]) -> str:
    """Return the blocks as a quotation."""
    return "\n".join(f"> {row}" if row else ">" for row in "\n\n".join(blocks).split("\n"))


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


def _labels_and_panels(node: LexborNode) -> tuple[list[LexborNode], list[LexborNode]]:
    panels = outermost(node.css(".tabbed-block, [role=tabpanel], .blocks > div"))
    labels = outermost(node.css(".tabbed-labels > label, .tabs > label, [role=tab]"), panels)
    if labels and len(labels) == len(panels):
        return labels, panels
    own = [child for child in node.iter() if child.tag == "label"]
    contents = [child for child in node.iter() if "content" in (child.attributes.get("class") or "")]
    return (own, contents) if own and len(own) == len(contents) else ([], [])


def tabs(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """A set of tabs: every panel, each under its label in bold."""
    labels, panels = _labels_and_panels(node)
    if not labels:
        return False
    for label, panel in zip(labels, panels, strict=True):
        blocks = writer.blocks(panel)
        if blocks:
            name = writer.line(label)
            flow.add(f"**{name}**" if name else "")
            flow.blocks.extend(blocks)
    flow.flush()
    return True


def task(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """The box of a task in a list: done or open."""
    writer.raw("[x] " if "checked" in node.attributes else "[ ] ", flow)
    return True


def tab_list(writer: Writer, node: LexborNode, _flow: Flow) -> bool:
    """The handles of tabs: left out where they name the panels that they open, which then bear their names."""
    if node.css_first(_PANEL):  # an accordion: the panels stand among their handles
        return False
    return node.css_first("[role=tab][aria-controls], [role=tab][id]") is not None or bool(
        _places(writer, node, _PANEL)
    )


def tab_panel(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """What one tab shows, under the tab's label in bold, wherever the two stand."""
    blocks = writer.blocks(node)
    tab = _tab_of(writer, node)
    if tab is not None and blocks and not _is_written(tab):
        name = writer.line(tab)
        flow.add(f"**{name}**" if name else "")
    flow.flush()
    flow.blocks.extend(blocks)
    return True


_PANEL = "[role=tabpanel]"
_HANDLE = "[role=tab]"


def _is_written(tab: LexborNode) -> bool:
    """Say whether a tab is written where it stands: it, or the list that it is in, holds panels."""
    if tab.css_first(_PANEL):
        return True
    above = tab.parent
    while above is not None and above.tag and above.attributes.get("role") != "tablist":
        above = above.parent
    return above is not None and bool(above.tag) and above.css_first(_PANEL) is not None


def _tab_of(writer: Writer, panel: LexborNode) -> LexborNode | None:
    if writer.tab_names is None:
        writer.tab_names = {}
        for tab in _outermost_of(panel).css("[role=tab]"):
            for key in ("id", "aria-controls"):
                if name := tab.attributes.get(key):
                    writer.tab_names.setdefault(f"{key} {name}", tab)
    attributes = panel.attributes
    named = writer.tab_names.get(f"id {attributes.get('aria-labelledby')}")
    return named or writer.tab_names.get(f"aria-controls {attributes.get('id')}") or _tab_by_place(writer, panel)


def _tab_by_place(writer: Writer, panel: LexborNode) -> LexborNode | None:
    """Return the handle of a panel that names none: the first handle beside the panels is the first panel's."""
    return _places(writer, panel, _HANDLE).get(panel.mem_id)


def _places(writer: Writer, node: LexborNode, wanted: str) -> dict[int, LexborNode]:
    """Return the panels and their handles in the nearest element around ``node`` that holds what is ``wanted``."""
    above = node.parent
    while above is not None and above.tag and not above.css_first(wanted):
        above = above.parent
    if above is None or not above.tag:
        return {}
    places = writer.tab_places.get(above.mem_id)
    if places is None:
        panels = outermost(above.css(_PANEL))
        handles = outermost(above.css(_HANDLE), panels)
        pairs = zip(panels, handles, strict=True) if len(handles) == len(panels) else ()
        places = writer.tab_places[above.mem_id] = {panel.mem_id: handle for panel, handle in pairs}
    return places


def _outermost_of(node: LexborNode) -> LexborNode:
    while (above := node.parent) is not None and above.tag:
        node = above
    return node


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
    text = code.text_of(node, dropped(writer.kinds))
    flow.add(code.fence(text, code.language(node)) if text.strip() else "")
    return True


def plain(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """A button that is the handle of a folded part: its text counts."""
    flow.runs.append((writer.line(node), 0, ""))
    return True


def note_reference(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """A reference to a footnote."""
    text = re.sub(r"[^\w.-]", "", node.text() or "")
    if text:
        writer.raw(f"[^{text}]", flow)
    return True


def note(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """A footnote."""
    label = node.css_first(
        ".label:not(col), dt, .footnote-definition-label, .fn-label, a.para > sup, a[href^='#'] > sup.simpara"
    )
    name = re.sub(r"[^\w.-]", "", label.text() or "") if label is not None else ""
    if not name:
        found = re.search(r"(\w+)$", (node.attributes.get("id") or "").removeprefix("user-content-"))
        name = re.sub(r"^(?:fn|note|footnote|ftn)[-_:.]?", "", found.group(1)) if found else ""
    if label is not None:
        writer.hide(label)
    blocks = writer.blocks(node)
    if not name or not blocks:
        flow.flush()
        flow.blocks.extend(blocks)
        return True
    flow.add(indented(f"[^{name}]: " + "\n\n".join(blocks), 4).lstrip(" "))
    return True


def _tex(text: str, *, block: bool) -> str:
    text = " ".join(text.split()).replace("\\displaystyle ", "")
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    return f"$${text}$$" if block else f"${text}$"


def formula(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """A formula in TeX, wherever the page keeps its source."""
    kind = node.attributes.get("type") or ""
    parent = node.parent
    block = node.tag == "div" or "mode=display" in kind or "block" in (node.attributes.get("class") or "")
    block = block or (parent is not None and "katex-display" in (parent.attributes.get("class") or ""))
    source = node.css_first("annotation[encoding*=tex], annotation[encoding*=TeX]")
    inner = node.css_first("math")
    picture = node.css_first("img[alt]")
    if source is not None:
        text = source.text() or ""
    elif inner is not None:
        return mathml(writer, inner, flow)
    elif picture is not None:
        text = picture.attributes.get("alt") or ""
    else:
        text = node.text() or ""
        found = _DELIMITED.search(text)  # numbers of equations and permalinks stand outside
        text = found.group(1) if found else text
    if "MathJax_Preview" in (node.attributes.get("class") or "") or not text.strip():
        return True
    if block:
        flow.add(_tex(text, block=True))
    else:
        writer.raw(_tex(text, block=False), flow)
    return True


_DELIMITED = re.compile(r"\\[(\[](.*)\\[)\]]", re.DOTALL)


def _presentation(node: LexborNode) -> str:
    parts = [_presentation(child) for child in node.iter() if child.tag not in {"annotation", "annotation-xml"}]
    tag = node.tag
    if not parts:
        return " ".join((node.text() or "").split()) if tag not in {"annotation", "annotation-xml"} else ""
    joiner = {"mfrac": "/", "msup": "^", "msub": "_", "mover": "^", "munder": "_"}.get(tag or "")
    if joiner and len(parts) == 2:  # noqa: PLR2004 - a base and its script
        return joiner.join(part if len(part) < 2 or part.isalnum() else f"({part})" for part in parts)  # noqa: PLR2004
    if tag in {"msubsup", "munderover"} and len(parts) == 3:  # noqa: PLR2004
        return f"{parts[0]}_({parts[1]})^({parts[2]})"
    if tag == "msqrt":
        return f"√({' '.join(parts)})"
    if tag == "mtr":
        return ", ".join(parts) + ";"
    return " ".join(parts)


def mathml(writer: Writer, node: LexborNode, flow: Flow) -> bool:
    """A formula in MathML: its TeX where it carries it, else written on one line."""
    source = node.css_first("annotation[encoding*=tex], annotation[encoding*=TeX]")
    block = node.attributes.get("display") == "block"
    if source is not None:
        text = _tex(source.text() or "", block=block)
    else:
        alt = node.attributes.get("alttext") or ""
        text = _tex(alt, block=block) if alt else _presentation(node)
    if block:
        flow.add(text)
    else:
        writer.raw(text, flow)
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
            if child.css_first("h1,h2,h3,h4,h5,h6"):
                flow.blocks.extend(writer.blocks(child))
            else:
                flow.add(writer.bold(child))
            writer.hide(child)
            break
    flow.blocks.extend(writer.blocks(node))


WRITERS: dict[str, Callable[[Writer, LexborNode, Flow], bool]] = {
    "admonition": admonition,
    "tabs": tabs,
    "heading": role_heading,
    "title": title,
    "code": code_block,
    "task": task,
    "tablist": tab_list,
    "panel": tab_panel,
    "plain": plain,
    "noteref": note_reference,
    "note": note,
    "math": formula,
}
