"""Runs of text with a style and a link, and the Markdown they become."""

from __future__ import annotations

import re
from itertools import groupby
from typing import NamedTuple

BOLD, ITALIC, CODE, STRIKE, RAW = 1, 2, 4, 8, 16
BREAK = "\x00"  # a line break among the runs; NUL cannot come out of the parser


class Run(NamedTuple):
    """A piece of text as the tree has it: white space not yet folded."""

    text: str
    style: int
    link: str


_SPECIAL = re.compile(r"[\\*_`<\[]")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_EMPHASIS = re.compile(
    r"(?<![\w*\\])(\*{1,3})(?=[^\s*])([^*\n]*[^\s*])(\*{1,3})(?!\*)|(?<![\w_\\])(_{1,2})(?=[^\s_])([^\n]*?[^\s_])(_{1,2})(?![\w_])"
)
_BACKSLASH = re.compile(r"\\(?=[!-/:-@\[-`{-~])")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_BRACKET = re.compile(r"\[(?=[^\]\n]*\]\()")
_LINE_START = re.compile(
    r"^(?:(#{1,6})(?=\s|$)|([-+*>])(?=\s|$)|(\d{1,9})([.)])(?=\s|$)|(~{3,}|`{3,}|={3,}$|-{3,}$))", re.MULTILINE
)


def _escape_emphasis(match: re.Match[str]) -> str:
    if match.group(1):
        return match.group().replace("*", r"\*")
    return match.group().replace("_", r"\_") if match.group(4) else match.group()


def escape(text: str) -> str:
    """Escape only what Markdown would take for markup, so that the text reads as it was written."""
    if "&" in text:
        text = _ENTITY.sub("&amp;", text)
    if not _SPECIAL.search(text):
        return text
    if "\\" in text:
        text = _BACKSLASH.sub(r"\\\\", text)
    if "<" in text:
        text = _TAG.sub(r"\\<", text)
    if "[" in text:
        text = _BRACKET.sub(r"\\[", text)
    if text.count("`") > 1:
        text = text.replace("`", r"\`")
    if text.count("*") > 1 or text.count("_") > 1:
        text = _EMPHASIS.sub(_escape_emphasis, text)
    return text


def _escape_start(match: re.Match[str]) -> str:
    if match.group(3):
        return f"{match.group(3)}\\{match.group(4)}"
    return "\\" + match.group()


def guard_lines(text: str) -> str:
    """Escape what would turn a line of a paragraph into a heading, a list item, a quote or a fence."""
    return _LINE_START.sub(_escape_start, text)


def code_span(text: str) -> str:
    """Return ``text`` as a code span, whatever backticks are in it."""
    if "`" not in text:
        return f"`{text}`"
    fence = "`" * (max(map(len, re.findall(r"`+", text))) + 1)
    return f"{fence} {text} {fence}"


def destination(url: str) -> str:
    """Return ``url`` as a link destination."""
    if url.count("(") != url.count(")") or " " in url:
        return f"<{url}>"
    return url


def _leaf(text: str, style: int) -> str:
    before, core, after = _apart(text)
    if not core:
        return text
    if style & CODE:
        core = code_span(core)
    elif not style & RAW:
        core = escape(core)
    return before + core + after


_MARKERS = ((BOLD, "**"), (ITALIC, "*"), (STRIKE, "~~"))


def _styled(runs: list[Run], level: int = 0) -> str:
    """Nest the markers: bold around italic around code, each once around all that it covers."""
    if level == len(_MARKERS):
        groups = groupby(runs, key=lambda run: run.style & (CODE | RAW))
        return "".join(_leaf("".join(run.text for run in group), style) for style, group in groups)
    bit, marker = _MARKERS[level]
    parts = []
    for marked, group in groupby(runs, key=lambda run: bool(run.style & bit)):
        text = _styled(list(group), level + 1)
        before, core, after = _apart(text)
        # A marker around punctuation alone is no markup that anybody reads.
        parts.append(f"{before}{marker}{core}{marker}{after}" if marked and any(map(str.isalnum, core)) else text)
    return "".join(parts)


def _folded(runs: list[Run]) -> list[Run]:
    """Fold white space over the borders of runs; breaks eat the space around them."""
    out: list[Run] = []
    space = True
    for text, style, link in runs:
        if text == BREAK:
            if out and out[-1].text.endswith(" "):
                out[-1] = Run(out[-1].text.rstrip(" "), out[-1].style, out[-1].link)
            out.append(Run(BREAK, 0, link))
            space = True
            continue
        words = text.split()
        if not words:
            if not space and text:
                out.append(Run(" ", 0, link))
                space = True
            continue
        folded = " ".join(words)
        if not space and text[0].isspace():
            folded = " " + folded
        space = text[-1].isspace()
        out.append(Run(folded + " " if space else folded, style, link))
    return out


def _apart(text: str) -> tuple[str, str, str]:
    """Split off the white space at both ends, which must stand outside of markers."""
    core = text.strip(" ")
    if not core:
        return text, "", ""
    start = text.index(core)
    return text[:start], core, text[start + len(core) :]


def _linked(link: str, runs: list[Run]) -> str:
    parts = []
    for is_break, group in groupby(runs, key=lambda run: run.text == BREAK):
        if is_break:
            parts.append(" " if link else "".join(run.text for run in group))
        else:
            parts.append(_styled(list(group)))
    whole = "".join(parts)
    if not link:
        return whole
    before, core, after = _apart(whole)
    if not core:
        return whole
    return f"{before}[{core}]({destination(link)}){after}"


def line(runs: list[Run]) -> str:
    """Return the Markdown of the runs on one line."""
    folded = _folded([Run(" ", 0, run.link) if run.text == BREAK else run for run in runs])
    return "".join(_linked(link, list(group)) for link, group in groupby(folded, key=lambda run: run.link)).strip()


def render(runs: list[Run]) -> list[str]:
    """Return the Markdown of the runs: one string a paragraph (two line breaks part paragraphs)."""
    if len(runs) == 1 and not runs[0].style and not runs[0].link and runs[0].text != BREAK:
        text = escape(" ".join(runs[0].text.split()))
        return [guard_lines(text)] if text else []
    folded = _folded(runs)
    text = "".join(_linked(link, list(group)) for link, group in groupby(folded, key=lambda run: run.link))
    if BREAK not in text:
        text = text.strip()
        return [guard_lines(text)] if text else []
    paragraphs = []
    for part in re.split(rf"{BREAK}(?: *{BREAK})+", text):
        joined = "  \n".join(row.strip() for row in part.split(BREAK) if row.strip())
        if joined:
            paragraphs.append(guard_lines(joined))
    return paragraphs
