"""What the embedded server knows about text: sections of a page, words of a question, languages."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

SECTION_CHARS = 2400
MAX_HEADING = 1000
UNDER = " › "  # noqa: RUF001 - the sign is meant
"""Between the headings under which a section stands."""
_SOURCE = re.compile(r"Source: (\S+)[ \t]*(?:\r?\n|$)")
# The lines of Markdown that matter here: headings, and fences, in which nothing is a heading. Each with the break
# before it: a pattern that begins with a letter is looked for four times as fast as one that begins with a place.
_LINE = re.compile(r"\n(?:(#{1,6})[ \t]+(\S.*)|[ ]{0,3}(`{3,}|~{3,})(.*))")
_MARKS = re.compile(r"[\[\\`*]")
_MARKUP = re.compile(
    r"!\[[^\]]*\]\([^)]*\)|\[((?:[^\[\]\\]++|\\.|\[[^\[\]]*+\])*+)\]\([^)]*\)"
    r"|`+|\*{1,3}(?=\S)|(?<=\S)\*{1,3}|\\(?=[_*<>\[\]`])"
)
_TARGET = re.compile(r"\]\((?:https?:|mailto:|#|/)[^)\s]*\)", re.IGNORECASE)
_HOST = re.compile(r"\]\(https?://[^)\s/]*+")
_COMBINING = re.compile(r"[\u0300-\u036f]")
_WORD = re.compile(r"\w+(?:[.\-:/]+\w+)*")
# Scripts without spaces between words: each character is a word of its own in the index.
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f])")
_UNSPACED_LEADS = [bytes([lead]) for lead in range(0xE3, 0xEA)] + [b"\xe0\xb8", b"\xe0\xb9", b"\xef"]


class Section(NamedTuple):
    """A part of an item that an answer may quote: where it stands, and under which headings."""

    starts: int
    ends: int
    heading: str


def source_of(content: str, metadata: Mapping[str, Any]) -> str:
    """Return the address a page names as its source: its first line, else ``metadata.url``; empty without one."""
    found = _SOURCE.match(content)
    if found:
        return found[1]
    url = metadata.get("url")
    return url if isinstance(url, str) else ""


def body_start(content: str) -> int:
    """Return where the text begins, after the ``Source:`` line."""
    found = _SOURCE.match(content)
    return found.end() if found else 0


def sections(content: str) -> list[Section]:
    """Cut an item at its headings, and long stretches at paragraphs; together they cover the whole text."""
    found: list[Section] = []
    path: list[tuple[int, str]] = []
    starts, at, heading = body_start(content), 0, ""
    for at, line in _headings(content):
        _cut(found, content, starts, at, heading)
        level, name = line
        path = [pair for pair in path if pair[0] < level]
        path.append((level, name))
        # The h1 is the page's title, which has a column of its own.
        heading = UNDER.join([name for depth, name in path if depth > 1])
        starts = at
    _cut(found, content, starts, len(content), heading)
    return found


def _headings(content: str) -> Iterator[tuple[int, tuple[int, str]]]:
    fence = ""
    for line in _LINE.finditer("\n" + content):  # so that where the break before a line was is where the line is
        level, name, mark, info = line.groups()
        if mark is None:
            if not fence:
                yield line.start(), (len(level), plain(name[0] + name[1:].removesuffix("\r").rstrip(" \t#")))
        elif not fence:
            fence = mark
        elif mark.startswith(fence) and not info.strip():
            fence = ""


def _cut(found: list[Section], content: str, starts: int, ends: int, heading: str) -> None:
    while ends - starts > SECTION_CHARS * 3 // 2:
        at = content.rfind("\n\n", starts + SECTION_CHARS // 2, starts + SECTION_CHARS)
        at = at if at > 0 else content.rfind("\n", starts + SECTION_CHARS // 2, starts + SECTION_CHARS)
        at = at + 1 if at > 0 else starts + SECTION_CHARS
        found.append(Section(starts=starts, ends=at, heading=heading))
        starts = at
    if content[starts:ends].strip():
        found.append(Section(starts=starts, ends=ends, heading=heading))


def plain(text: str) -> str:
    """Return a heading or title without Markdown's marks."""
    text = text[:MAX_HEADING]
    if _MARKS.search(text):
        text = _MARKUP.sub(lambda found: found[1] or "", text)  # a template is looked up for each text
    return " ".join(text.split())


def indexed(text: str) -> str:
    """Return text as the index takes it: scripts without spaces get one around each character."""
    if text.isascii():
        return text
    raw = text.encode("utf-8", "surrogatepass")  # in which it is found fastest that there is none of them
    return _UNSPACED.sub(r" \1 ", text) if any(lead in raw for lead in _UNSPACED_LEADS) else text


def without_addresses(text: str) -> str:
    """Return Markdown without the targets of its links: they are not what it says."""
    return _TARGET.sub("]", text) if "](" in text else text


def without_hosts(text: str) -> str:
    """Return Markdown whose links lead to paths: a path is often a name, and its site stands in every link."""
    return _HOST.sub("](", text) if "](" in text else text


def folded(text: str) -> str:
    """Return text in lower case without accents, as words are compared."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", text.lower())
    raw = text.encode("utf-8", "surrogatepass")  # in which the marks are found faster: they begin with these two bytes
    return _COMBINING.sub("", text) if b"\xcc" in raw or b"\xcd" in raw else text


def words(text: str) -> list[str]:
    """Return the words of a text in order, lower case; a dotted or hyphenated name is one."""
    return _WORD.findall(indexed(text).lower())


def quoted(word: str) -> str:
    """Return a word as a phrase of the full-text query language, in which nothing is special."""
    return '"' + word.replace('"', " ").replace("\x00", " ") + '"'


def cut_items(content: str, max_chars: int | None) -> list[str]:
    """Cut content into items of at most ``max_chars`` characters; joined they are the content exactly."""
    if max_chars is None or len(content) <= max_chars:
        return [content]
    parts, starts = [], 0
    while len(content) - starts > max_chars:
        at = -1
        for mark in ("\n\n", "\n", " "):
            found = content.rfind(mark, starts + max_chars // 2, starts + max_chars)
            if found >= 0:
                at = found + len(mark)
                break
        at = min(at, starts + max_chars) if at > starts else starts + max_chars
        parts.append(content[starts:at])
        starts = at
    parts.append(content[starts:])
    return parts
