"""Formulas: their TeX where the page has it, else what MathML shows, on one line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

    from connectors.extractors.html.writer import Flow, Writer


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
        mathml(writer, inner, flow)
        return True
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


def mathml(writer: Writer, node: LexborNode, flow: Flow) -> None:
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
