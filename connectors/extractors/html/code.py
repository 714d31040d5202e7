"""Code blocks: the text of a `pre`, byte for byte, and its language."""

from __future__ import annotations

import re
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING

from connectors.extractors.html.kinds import DROP
from connectors.extractors.html.tree import TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping

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
_TELLING = ("data-lang", "data-language", "data-code-lang", "lang-code", "language")
_SAYING = frozenset({*_TELLING, "data-syntaxhighlighter-params", "class"})
_TICKS = re.compile("`+")
_BLOCK = frozenset({"div", "p", "li", "tr", "figure", "ol", "ul", "table", "tbody"})
_LEFT_OUT = frozenset({"button", "script", "style", "svg", "template"})
_SHAPING = _BLOCK | _LEFT_OUT | {"br"}
_MEM_ID = attrgetter("mem_id")
_NUMBER = attrgetter("tag_id")


def _named(node: LexborNode) -> str:
    attributes = node.attributes
    if _SAYING.isdisjoint(attributes):
        return ""
    for key in _TELLING:
        if attributes.get(key):
            return attributes[key] or ""
    brush = attributes.get("data-syntaxhighlighter-params")
    if brush and (found := _LANGUAGE.search(brush)):
        return found.group(1)
    named, bare = _of_classes(attributes.get("class") or "")
    return named or (bare if bare and node.tag in {"pre", "code"} else "")


@lru_cache(maxsize=2048)  # a site has few of them
def _of_classes(classes: str) -> tuple[str, str]:
    """Return the language that classes name, and the one that they name on a block of code alone."""
    named = (str(found) for found in _LANGUAGE.findall(classes) if found.lower() not in _NOT_A_LANGUAGE)
    bare = _BARE.match(classes)
    return next(named, ""), (bare.group(1) or bare.group(2)) if bare else ""


def language(pre: LexborNode) -> str:
    """Return the language that the block, its `code` or one of three ancestors names; empty when none does."""
    first = pre.first_child
    inner = None if first is None or (first.next is None and first.tag_id == TEXT) else pre.css_first("code")
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


def _collect(node: LexborNode, kinds: Mapping[int, str], out: list[str]) -> None:
    child = node.first_child
    while child is not None:
        tag = child.tag
        if tag == "-text":
            out.append(child.text_content or "")
        elif tag == "br":
            out.append("\n")
        elif tag not in _LEFT_OUT and kinds.get(child.mem_id) != DROP:
            if tag in _BLOCK:
                if out and not out[-1].endswith("\n"):
                    out.append("\n")
                mark = len(out)
                _collect(child, kinds, out)
                if len(out) > mark and not out[-1].endswith("\n"):
                    out.append("\n")
                elif len(out) == mark and tag == "div" and child.css_first("button") is None:
                    out.append("\n")  # an empty line of a block whose lines are elements
            else:
                _collect(child, kinds, out)
        child = child.next


def text_of(pre: LexborNode, kinds: Mapping[int, str]) -> str:
    """Return the block's text as written, without line numbers and buttons, without line breaks at its end.

    Args:
        pre: the block.
        kinds: by `mem_id` what a node is (`kinds.KINDS`).
    """
    only = pre.first_child
    if only is not None and only.next is None and only.tag_id == TEXT:
        return (only.text_content or "").rstrip("\n") if only.mem_id not in kinds else ""
    inside = pre.css("*")[1:]  # the first is the block
    tags = {node.tag for node in dict(zip(map(_NUMBER, inside), inside, strict=True)).values()}
    if _SHAPING.isdisjoint(tags) and kinds.keys().isdisjoint(map(_MEM_ID, inside)):
        return (pre.text() or "").rstrip("\n")  # most blocks: plain, or with the colours of a highlighter
    out: list[str] = []
    _collect(pre, kinds, out)
    return "".join(out).rstrip("\n")


def fence(text: str, lang: str) -> str:
    """Return the fenced block."""
    longest = max(map(len, _TICKS.findall(text)), default=0) if "```" in text else 0
    ticks = "`" * max(longest + 1, 3)
    return f"{ticks}{lang}\n{text}\n{ticks}"
