"""Runs of text with a style and a link, and the Markdown they become."""

from __future__ import annotations

import re
from functools import lru_cache

BOLD, ITALIC, CODE, STRIKE, RAW = 1, 2, 4, 8, 16
BREAK = "\x00"  # a line break among the runs; NUL cannot come out of the parser

Run = tuple[str, int, str]
"""A piece of text as the tree has it (white space not yet folded), its style, and the link that it stands in."""

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
    if "\\" in text:
        text = _BACKSLASH.sub(r"\\\\", text)
    if "<" in text:
        text = _TAG.sub(r"\\<", text)
    if "[" in text:
        text = _BRACKET.sub(r"\\[", text)
    if "`" in text and text.count("`") > 1:
        text = text.replace("`", r"\`")
    if ("*" in text and text.count("*") > 1) or ("_" in text and text.count("_") > 1):
        text = _EMPHASIS.sub(_escape_emphasis, text)
    return text


def _escape_start(match: re.Match[str]) -> str:
    if match.group(3):
        return f"{match.group(3)}\\{match.group(4)}"
    return "\\" + match.group()


def guard_lines(text: str) -> str:
    """Escape what would turn a line of a paragraph into a heading, a list item, a quote or a fence."""
    start = text[:1]
    if start not in _STARTERS and not start.isdecimal() and "\n" not in text:
        return text
    return _LINE_START.sub(_escape_start, text)


_STARTERS = frozenset("#-+*>~`=")


def code_span(text: str) -> str:
    """Return ``text`` as a code span, whatever backticks are in it."""
    if "`" not in text:
        return f"`{text}`"
    fence = "`" * (max(map(len, re.findall(r"`+", text))) + 1)
    return f"{fence} {text} {fence}"


def destination(url: str) -> str:
    """Return ``url`` as a link destination."""
    if "<" in url or ">" in url:
        url = url.replace("<", "%3C").replace(">", "%3E")
    if " " in url or (("(" in url or ")" in url) and url.count("(") != url.count(")")):
        return f"<{url}>"
    return url


def _leaf(text: str, style: int) -> str:
    if not style:
        return escape(text)
    if style & CODE:
        if text[0] != " " != text[-1]:
            return code_span(text)
        before, core, after = _apart(text)
        return f"{before}{code_span(core)}{after}" if core else text
    return text if style & RAW else escape(text)


_MARKERS = ((BOLD, "**"), (ITALIC, "*"), (STRIKE, "~~"))
_NESTED = BOLD | ITALIC | STRIKE


def _styled(runs: list[Run]) -> str:
    """Write runs of one link without breaks: bold around italic around code, each marker once around all it covers."""
    if len(runs) == 1:
        return _alone(runs[0], 0)
    parts: list[str] = []
    marked: list[Run] = []
    for run in runs:
        if run[1] & _NESTED:
            marked.append(run)
            continue
        if marked:
            parts.append(_nested(marked, 0))
            marked = []
        parts.append(_leaf(run[0], run[1]))
    if marked:
        parts.append(_nested(marked, 0))
    return "".join(parts)


def _nested(runs: list[Run], level: int) -> str:
    if len(runs) == 1:
        return _alone(runs[0], level)
    if level == len(_MARKERS):
        return "".join([_leaf(text, style) for text, style, _ in runs])
    bit, marker = _MARKERS[level]
    parts: list[str] = []
    group: list[Run] = []
    marked = runs[0][1] & bit
    for run in runs:
        if run[1] & bit != marked:
            parts.append(_marked(_nested(group, level + 1), marker if marked else ""))
            group, marked = [], run[1] & bit
        group.append(run)
    parts.append(_marked(_nested(group, level + 1), marker if marked else ""))
    return "".join(parts)


def _alone(run: Run, level: int) -> str:
    """Write one run with its markers, those from ``level`` on."""
    text, style, _ = run
    written = _leaf(text, style)
    if style & _NESTED:
        for bit, marker in reversed(_MARKERS[level:]):
            if style & bit:
                written = _marked(written, marker)
    return written


def _marked(text: str, marker: str) -> str:
    """Put a marker around a text; around punctuation alone it is no markup that anybody reads."""
    if not marker:
        return text
    before, core, after = _apart(text)
    return f"{before}{marker}{core}{marker}{after}" if any(map(str.isalnum, core)) else text


def _folded(runs: list[Run], *, broken: bool = True) -> list[Run]:
    """Fold white space over the borders of runs; breaks eat the space around them; neighbours that are alike join.

    Args:
        runs: as the tree has them.
        broken: else a break is a space.
    """
    out: list[Run] = []
    space = True
    last_style, last_link = -1, ""
    for text, style, link in runs:
        if text == BREAK:
            if broken:
                if out and out[-1][0].endswith(" "):
                    out[-1] = (out[-1][0].rstrip(" "), out[-1][1], out[-1][2])
                out.append((BREAK, 0, link))
                space, last_style = True, -1
                continue
            text = " "  # noqa: PLW2901
        if words := text.split():
            folded = " ".join(words)
            if len(folded) == len(text):  # nothing stands around the words
                space = False
            else:
                folded, space = _spaced(text, folded, at_space=space)
        elif space or not text:
            continue
        else:
            folded, style, space = " ", 0, True  # noqa: PLW2901 - space has no style
        if style == last_style and link == last_link:
            out[-1] = (out[-1][0] + folded, style, link)
        else:
            out.append((folded, style, link))
            last_style, last_link = style, link
    return out


def _spaced(text: str, folded: str, *, at_space: bool) -> tuple[str, bool]:
    """Return a folded text with the space that stood around it, unless one stands before, and whether it ends so."""
    if not at_space and text[0].isspace():
        folded = " " + folded
    ends = text[-1].isspace()
    return (folded + " " if ends else folded), ends


def _apart(text: str) -> tuple[str, str, str]:
    """Split off the white space at both ends, which must stand outside of markers."""
    core = text.strip(" ")
    if len(core) == len(text):
        return "", core, ""
    if not core:
        return text, "", ""
    start = text.index(core)
    return text[:start], core, text[start + len(core) :]


def _linked(link: str, runs: list[Run]) -> str:
    if len(runs) == 1 and runs[0][0] != BREAK:
        text, style, _ = runs[0]
        short = len(text) + len(link) < _SHORT
        return _link_around(text, style, link) if short else _around(_alone(runs[0], 0), link)
    return _around(_broken(runs) if (BREAK, 0, link) in runs else _styled(runs), link)


_SHORT = 256  # letters: so that what is remembered takes a few megabytes at most


@lru_cache(maxsize=4096)  # the same names lead to the same places all over a site
def _link_around(text: str, style: int, link: str) -> str:
    return _around(_alone((text, style, link), 0), link)


def _around(written: str, link: str) -> str:
    """Put a link around a text."""
    before, core, after = _apart(written)
    return f"{before}[{core}]({destination(link)}){after}" if core else before


def _broken(runs: list[Run]) -> str:
    """Write the runs of a link with line breaks among them: it has none."""
    parts: list[str] = []
    group: list[Run] = []
    broken = False
    for run in runs:
        if run[0] != BREAK:
            group.append(run)
            broken = False
            continue
        if group:
            parts.append(_styled(group))
            group = []
        if not broken:
            parts.append(" ")
        broken = True
    if group:
        parts.append(_styled(group))
    return "".join(parts)


def _joined(runs: list[Run]) -> str:
    """Write folded runs, each link and each marker once around all that it covers."""
    parts: list[str] = []
    group: list[Run] = []  # of one link, or marked and of none
    open_link = ""
    for run in runs:
        text, style, link = run
        whole = link or style & _NESTED
        if group and (link != open_link or not whole):
            parts.append(_linked(open_link, group) if open_link else _nested(group, 0))
            group = []
        if whole:
            group.append(run)
            open_link = link
        elif style == CODE and "`" not in text and text[0] != " " != text[-1]:
            parts.append(f"`{text}`")  # most that is styled
        elif style:
            parts.append(_leaf(text, style))
        else:
            parts.append(BREAK if text == BREAK else escape(text))
    if group:
        parts.append(_linked(open_link, group) if open_link else _nested(group, 0))
    return "".join(parts)


def _written(runs: list[Run]) -> str:
    if len(runs) == 1:
        text, style, link = runs[0]
        if not style and not link and text != BREAK:  # most paragraphs, headings and cells
            return escape(" ".join(text.split()))
    return _joined(_folded(runs))


def line(runs: list[Run]) -> str:
    """Return the Markdown of the runs on one line."""
    if len(runs) == 1 and runs[0][0] != BREAK:
        return _written(runs).strip()
    return _joined(_folded(runs, broken=False)).strip()


def render(runs: list[Run]) -> list[str]:
    """Return the Markdown of the runs: one string a paragraph (two line breaks part paragraphs)."""
    text = _written(runs)
    if BREAK not in text:
        text = text.strip()
        if text.endswith("·"):  # it parted the text from a button
            text = text.rstrip(" ·")
        return [guard_lines(text)] if text else []
    paragraphs = []
    for part in re.split(rf"{BREAK}(?: *{BREAK})+", text):
        joined = "  \n".join(row.strip() for row in part.split(BREAK) if row.strip())
        if joined:
            paragraphs.append(guard_lines(joined))
    return paragraphs


_MOST_QUOTED = "> " * 50
_MOST_INDENTED = " " * 200
"""Nobody reads on beyond these; a page of 30 KB with 900 levels became one of 4 MB and took eight seconds."""


def indented(text: str, width: int) -> str:
    """Indent every line that is not empty, up to `_MOST_INDENTED`."""
    space = " " * width
    return "\n".join(space + row if row and not row.startswith(_MOST_INDENTED) else row for row in text.split("\n"))


def quoted(blocks: list[str]) -> str:
    """Return the blocks as a quotation; what is quoted `_MOST_QUOTED` times already stays as it is."""
    rows = "\n\n".join(blocks).split("\n")
    return "\n".join(">" if not row else row if row.startswith(_MOST_QUOTED) else f"> {row}" for row in rows)
