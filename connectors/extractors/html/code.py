"""Code blocks: the text of a `pre`, byte for byte, and its language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

    from selectolax.lexbor import LexborNode

_LANGUAGE = re.compile(
    r"(?:^|\s)(?:language|lang|highlight-source|highlight|brush:?|sourceCode|src|code)[-_: ]([A-Za-z0-9+#._-]+)"
)
_NOT_A_LANGUAGE = frozenset({
    "none", "default", "text", "plaintext", "plain", "notranslate", "block", "highlight", "wrapper", "container",
    "toolbar", "nohighlight", "box", "example", "snippet", "literal-block", "source", "code", "guess", "txt",
    "shiki", "group", "copy", "body", "line", "lines", "tabs", "area", "wrap", "view", "content", "hljs",
})  # fmt: skip
_SAME = {"python3": "python", "pycon3": "pycon", "ipython3": "python", "shell-session": "console"}
_BARE = re.compile(
    r"^(?:hljs\s+|prettyprint\s+|sourceCode\s+)([A-Za-z0-9+#]+)|^(rust|sh|bash|python|json|yaml|java|c|cpp|go|sql)(?:\s|$)"
)
_TICKS = re.compile("`+")
_BLOCK = frozenset({"div", "p", "li", "tr", "figure", "ol", "ul", "table", "tbody"})
_DROP = frozenset({"button", "script", "style", "svg", "template"})


def _named(node: LexborNode) -> str:
    attributes = node.attributes
    if not attributes:
        return ""
    for key in ("data-lang", "data-language", "data-code-lang", "lang-code", "language"):
        if attributes.get(key):
            return attributes[key] or ""
    brush = attributes.get("data-syntaxhighlighter-params")
    if brush and (found := _LANGUAGE.search(brush)):
        return found.group(1)
    classes = attributes.get("class") or ""
    for found in _LANGUAGE.findall(classes):
        if found.lower() not in _NOT_A_LANGUAGE:
            return str(found)
    bare = _BARE.match(classes)
    if bare and node.tag in {"pre", "code"}:
        return bare.group(1) or bare.group(2)
    return ""


def language(pre: LexborNode) -> str:
    """Return the language that the block, its `code` or one of three ancestors names; empty when none does."""
    inner = pre.css_first("code")
    nodes = [pre] if inner is None else [inner, pre]
    parent = pre.parent
    for _ in range(3):
        if parent is None or parent.tag in {"body", "html", "section", "article", "main", "li"}:
            break
        nodes.append(parent)
        parent = parent.parent
    for node in nodes:
        name = _named(node).lower()
        if name and name not in _NOT_A_LANGUAGE:
            return _SAME.get(name, name)
    return ""


def _collect(node: LexborNode, skip: Container[int], out: list[str]) -> None:
    child = node.first_child
    while child is not None:
        tag = child.tag
        if tag == "-text":
            out.append(child.text_content or "")
        elif tag == "br":
            out.append("\n")
        elif tag not in _DROP and child.mem_id not in skip:
            if tag in _BLOCK:
                if out and not out[-1].endswith("\n"):
                    out.append("\n")
                mark = len(out)
                _collect(child, skip, out)
                if len(out) > mark and not out[-1].endswith("\n"):
                    out.append("\n")
                elif len(out) == mark and tag == "div" and child.css_first("button") is None:
                    out.append("\n")  # an empty line of a block whose lines are elements
            else:
                _collect(child, skip, out)
        child = child.next


def text_of(pre: LexborNode, skip: Container[int]) -> str:
    """Return the block's text as written, without line numbers and buttons, without line breaks at its end."""
    out: list[str] = []
    _collect(pre, skip, out)
    return "".join(out).rstrip("\n")


def fence(text: str, lang: str) -> str:
    """Return the fenced block."""
    longest = max(map(len, _TICKS.findall(text)), default=0) if "```" in text else 0
    ticks = "`" * max(longest + 1, 3)
    return f"{ticks}{lang}\n{text}\n{ticks}"
