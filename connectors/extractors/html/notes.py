"""Footnotes, and the references to them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from connectors.extractors.html.inline import indented

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

    from connectors.extractors.html.writer import Flow, Writer


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
