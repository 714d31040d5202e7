"""What all documents share: a text with properties becomes one page, or a page a chapter."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote, unquote, urlsplit

from connectors.models import Extracted, Page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.models import CleaningRules, Resource

LONG = 30_000  # characters: a text up to here is one page; longer ones are cut where their outline says
_SHORT = 1_500  # characters: chapters that would be shorter on average stay together
DIFFERENCE = 0.05
"""How far two readings of one document may be apart in words before a person should look."""

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*")
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u2060\ufeff\U000e0000-\U000e007f]")
_LINE = 2_000  # characters of a line that are looked at for a title
_MARKS = re.compile(r"[*_`\\]+")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_NUMBER = re.compile(
    r"(?:(?:chapter|section|part|appendix|kapitel)\s+[\divxlca-h]+(?:\.\d+)*[.:)]?|\d+(?:\.\d+)*[.:)]?|[a-z](?:\.\d+)*[.:)])\s+",
    re.IGNORECASE,
)
_NO_TITLE = re.compile(
    r"untitled|document\d*|slide \d+|presentation\d*|microsoft (?:word|powerpoint)\b.*|.*\.\w{2,4}", re.IGNORECASE
)
_WHERE = " › "  # noqa: RUF001 - the sign between the steps of a path


class Properties(TypedDict):
    """What a document's properties may say, by the names of `Text`."""

    title: str
    author: str
    date: str
    modified: str
    language: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A document's text as Markdown, and what its properties say; dates are ISO 8601."""

    markdown: str
    title: str = ""
    author: str = ""
    date: str = ""
    modified: str = ""
    language: str = ""
    description: str = ""
    generator: str = ""
    media_type: str = ""
    strategy: str = ""
    flags: tuple[str, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of a text: the titles from the outermost to its own (none for what stands before the first)."""

    path: tuple[str, ...]
    lines: tuple[str, ...]


def extracted(text: Text, *, resource: Resource, rules: CleaningRules) -> Extracted:
    """Make the pages of a document."""
    markdown = _CONTROL.sub("", text.markdown.replace("\r\n", "\n").replace("\r", "\n")).strip("\n")
    if not markdown.strip():
        return Extracted(problem="empty", detail="It has no text.", report=text.report)
    title = _title(text, markdown, resource)
    found = _parts(_without_title(markdown.split("\n"), title), title)
    metadata = _metadata(text, resource, rules)
    taken: dict[str, int] = {}
    made = (_page(chapter, title, resource=resource, metadata=metadata, taken=taken) for chapter in found)
    pages = [replace(page, flags=text.flags) for page in made if page]
    if not pages:  # a title and nothing below it is still what the document says
        pages = [Page(uri=resource.uri, title=title, content=markdown.strip(), metadata=metadata, flags=text.flags)]
    return Extracted(pages=tuple(pages), report={"strategy": text.strategy, "chapters": len(pages), **text.report})


def _page(
    chapter: Chapter, title: str, *, resource: Resource, metadata: dict[str, Any], taken: dict[str, int]
) -> Page | None:
    content = _levelled("\n".join(chapter.lines).strip("\n"))
    if not content.strip():
        return None
    uri = resource.uri
    if chapter.path:
        key = "/".join(_slug(step) for step in chapter.path)
        taken[key] = taken.get(key, 0) + 1
        key += f"~{taken[key]}" if taken[key] > 1 else ""
        uri += f"{'&' if '#' in uri else '#'}chapter={quote(key, safe='/~')}"
    whole = {
        "url": resource.uri,
        "title": title,
        **metadata,
        "word_count": len(content.split()),
        **({"section": list(chapter.path)} if chapter.path else {}),
    }
    return Page(uri=uri, title=_WHERE.join((title, *chapter.path)), content=content, metadata=whole)


def _metadata(text: Text, resource: Resource, rules: CleaningRules) -> dict[str, Any]:
    hints = resource.hints
    told = {
        "author": text.author or hints.author,
        "date": (text.date or hints.published)[:10],
        "modified": (text.modified or hints.modified)[:10],
        "language": text.language or hints.language or rules.language,
        "description": text.description,
        "generator": text.generator,
        "section": list(hints.section),
        "strategy": text.strategy,
        "media_type": text.media_type or resource.media_type,
    }
    return {key: value for key, value in told.items() if value}


def _title(text: Text, markdown: str, resource: Resource) -> str:
    first = next((found for line in markdown.split("\n")[:40] if (found := heading(line))), (0, ""))[1]
    declared = plain(text.title)
    if not declared or _NO_TITLE.fullmatch(declared):
        declared = ""
    path = unquote(urlsplit(resource.uri).path)
    name = PurePosixPath(unquote(urlsplit(resource.uri).fragment.partition("file=")[2]) or path).stem
    spoken = re.sub(r"[-_\s]+", " ", name).strip()
    return (declared or plain(resource.hints.title) or plain(first) or spoken or "Untitled")[:300]


def words(text: str) -> int:
    """Count words as two readings of one document both see them: runs of letters and digits."""
    return len(re.findall(r"\w+", re.sub(r"\]\([^)\s]*\)|</?\w+>", " ", text)))


def plain(markdown: str) -> str:
    """Return one line without Markdown's marks."""
    return " ".join(_MARKS.sub("", _LINK.sub(r"\1", _CONTROL.sub("", markdown[:_LINE]))).split())


def heading(line: str) -> tuple[int, str] | None:
    """Return level and text of an ATX heading; None for any other line."""
    found = _HEADING.fullmatch(line)
    return (len(found[1]), plain(found[2])) if found and plain(found[2]) else None


def headings(lines: list[str]) -> list[tuple[int, int, str]]:
    """Return line number, level and text of every heading outside of code."""
    found: list[tuple[int, int, str]] = []
    fence = ""
    for number, line in enumerate(lines):
        if mark := _FENCE.match(line):
            if not fence:
                fence = mark[1]
            elif mark[1].startswith(fence) and not line.strip(" `~"):
                fence = ""
        elif not fence and (told := heading(line)):
            found.append((number, *told))
    return found


def _without_title(lines: list[str], title: str) -> list[str]:
    for number, line in enumerate(lines[:10]):
        if not line.strip():
            continue
        told = heading(line)
        same = (told[1] if told else plain(line)).casefold() == title.casefold()
        return lines[number + 1 :] if same else lines
    return lines


def _parts(lines: list[str], title: str) -> list[Chapter]:
    """Cut a long text at its outline, as deep as chapters stay long and have an outline of their own."""
    return _cut(Chapter((), tuple(lines)), title)


def _cut(chapter: Chapter, title: str) -> list[Chapter]:
    lines = list(chapter.lines)
    length = sum(map(len, lines))
    if length <= LONG:
        return [chapter]
    marks = headings(lines)
    level = _cutting_level(marks, length)
    if not level:
        return [chapter]
    starts = [(number, text) for number, found, text in marks if found == level]
    cuts = [0, *(number for number, _ in starts), len(lines)]
    parts = [Chapter(chapter.path, tuple(lines[: cuts[1]]))] if cuts[1] else []
    # The first heading may say the title again: what stands under it is the document's own beginning.
    begins = not chapter.path and not any(line.strip() for line in lines[: cuts[1]])
    for number, ((start, text), end) in enumerate(zip(starts, cuts[2:], strict=True)):
        own = begins and number == 0 and text.casefold() == title.casefold()
        steps = () if own else (*chapter.path, text[:120])
        parts.extend(_cut(Chapter(steps, tuple(lines[start + 1 : end])), title))
    return parts


def _cutting_level(marks: list[tuple[int, int, str]], length: int) -> int:
    """Return the highest level that has at least two headings; 0 when no level has, or they stand too close."""
    counts = [sum(level == wanted for _, level, _ in marks) for wanted in range(1, 7)]
    level = next((level for level, count in enumerate(counts, 1) if count > 1), 0)
    return level if level and length >= _SHORT * counts[level - 1] else 0


def _levelled(markdown: str) -> str:
    """Move the headings so that the highest is of level 2: the page's title is the only one above it."""
    lines = markdown.split("\n")
    marks = headings(lines)
    shift = 2 - min((level for _, level, _ in marks), default=2)
    if shift:
        for number, level, _ in marks:
            lines[number] = "#" * min(6, level + shift) + lines[number][level:]
    return "\n".join(lines)


def _slug(text: str) -> str:
    bare = text[found.end() :] if (found := _NUMBER.match(text)) else text  # a chapter that moves keeps its identity
    return re.sub(r"[\W_]+", "-", bare.casefold()).strip("-")[:80] or "part"
