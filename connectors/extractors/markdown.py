"""Markdown as it is found: its front matter read, what a reader does not see left out, its links made absolute."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

from connectors.web.urls import normalise

if TYPE_CHECKING:
    from collections.abc import Callable

_FRONT = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_LANGUAGES = ("lang", "language")
_CODE = re.compile(
    r"^ {0,3}(?P<mark>`{3,}|~{3,})[^\n]*\n.*?(?:^ {0,3}(?P=mark)[`~]*[ \t]*$|\Z)"
    r"|(?P<tick>`+)(?:(?!`).|\n(?!\n))+?(?P=tick)(?!`)",
    re.DOTALL | re.MULTILINE,
)
_UNSEEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|svg|template|noscript)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE
)
_ANCHOR = re.compile(r"<a\b[^>]{0,2000}?\bhref=[\"']([^\"'>]*)[\"'][^>]*>([^<\n]*)</a\s*>", re.IGNORECASE)
_IMAGE = re.compile(r"<img\b([^>]*)>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9-]*(?:\s[^<>]{0,2000})?/?>")
_LINK = re.compile(r"(!?\[[^\]\n]*\]\()<?([^)\s>]+)>?((?:\s+[\"'(][^\n]*?)?\))")


def read(text: str) -> dict[str, Any]:
    """Return the parts of a Markdown file by the names of `paper.Text`."""
    front = _FRONT.match(text)
    told = _front_matter(front[1]) if front else {}
    body = outside_code(text[front.end() :] if front else text, _without_html)
    return {"markdown": _atx(body), "strategy": "markdown", **told}


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Apply ``change`` to what stands outside of fences and code spans."""
    out: list[str] = []
    at = 0
    for found in _CODE.finditer(text):
        out += [change(text[at : found.start()]), found[0]]
        at = found.end()
    return "".join([*out, change(text[at:])])


def with_absolute_links(text: str, base: str) -> tuple[str, tuple[str, ...]]:
    """Return the text with its links absolute, and the addresses that it links to, once each."""
    links: dict[str, None] = {}

    def absolute(found: re.Match[str]) -> str:
        target = normalise(found[2], base)
        if not target or found[2].startswith("#"):
            return found[0]
        if not found[1].startswith("!"):
            links.setdefault(target)
        fragment = found[2].partition("#")[2]
        return f"{found[1]}{target}{'#' if fragment else ''}{fragment}{found[3]}"

    return outside_code(text, lambda part: _LINK.sub(absolute, part)), tuple(links)


def _without_html(text: str) -> str:
    """Write the HTML between Markdown as Markdown; comments, scripts and drawings are no text."""
    if "<" not in text:
        return text
    text = _UNSEEN.sub("", text)
    text = _ANCHOR.sub(lambda found: f"[{found[2].strip()}]({unescape(found[1])})" if found[2].strip() else "", text)
    text = _IMAGE.sub(_alternative, text)
    return _TAG.sub("", _BREAK.sub("\n", text))


def _alternative(found: re.Match[str]) -> str:
    told = {
        name.lower(): unescape(value)
        for name, value in re.findall(r"\b(alt|src)=[\"']([^\"']*)[\"']", found[1], re.IGNORECASE)
    }
    return f"![{told['alt']}]({told.get('src', '')})" if told.get("alt") else ""


def _front_matter(text: str) -> dict[str, str]:
    import yaml

    try:
        found = yaml.safe_load(text) if len(text) < 20_000 and "&" not in text else None  # noqa: PLR2004 - no novel
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    told = {str(key).lower(): value for key, value in found.items() if isinstance(value, str | int) or value}

    def one(*names: str) -> str:
        value = next((told[name] for name in names if name in told), "")
        return ", ".join(map(str, value)) if isinstance(value, list) else "" if isinstance(value, dict) else str(value)

    return {
        "title": one("title"),
        "author": one("author", "authors"),
        "date": one("date", "published"),
        "modified": one("modified", "updated", "last_updated", "lastmod"),
        "language": one(*_LANGUAGES),
        "description": one("description", "summary"),
    }


def _atx(text: str) -> str:
    """Write underlined headings with ``#``, so that there is one kind of heading; code is left alone."""
    lines = text.split("\n")
    out: list[str] = []
    fenced = False
    for line in lines:
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        rule = re.fullmatch(r" {0,3}(=+|-{2,})[ \t]*", line)
        if rule and not fenced and _may_be_heading(out):
            out[-1] = ("# " if rule[1][0] == "=" else "## ") + out[-1].strip()
        else:
            out.append(line)
    return "\n".join(out)


def _may_be_heading(out: list[str]) -> bool:
    """Say whether the last line is a paragraph of one line."""
    return bool(out and out[-1].strip() and out[-1][0] not in "#>-*|` \t" and not "".join(out[-2:-1]).strip())
