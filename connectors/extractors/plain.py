"""Texts: plain, Markdown, reStructuredText, and tables as CSV."""

from __future__ import annotations

import csv
import re
from io import StringIO
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Any

from connectors.extractors import rst
from connectors.extractors.paper import Text, UnreadableError, extracted
from connectors.media_types import CSV, MARKDOWN, RST, TSV

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from connectors.models import CleaningRules, Extracted, Resource

_FRONT = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_LANGUAGES = ("lang", "language")


def extract(resource: Resource, rules: CleaningRules, *, kind: str) -> Extracted:
    """Make pages of a text."""
    decoded, flags = decode(resource.body or b"", resource.charset)
    made = _READERS.get(kind, _as_it_is)(decoded)
    described = {**made, "media_type": kind, "strategy": made.get("strategy", "text"), "flags": flags}
    return extracted(Text(**described), resource=resource, rules=rules)


def decode(body: bytes, charset: str = "") -> tuple[str, tuple[str, ...]]:
    """Return the text of some bytes, and a flag when its encoding had to be guessed.

    Order: a byte order mark, UTF-8, the declared charset, Windows-1252 (every byte has a meaning in it).
    """
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if body.startswith(mark):
            return body.decode(name, "replace"), ()
    for name in dict.fromkeys(("utf-8", charset)):
        try:
            return body.decode(name or "utf-8"), ()
        except (UnicodeDecodeError, LookupError):
            continue
    return body.decode("cp1252", "replace"), ("guessed-encoding: windows-1252",)


def _as_it_is(text: str) -> dict[str, Any]:
    """Keep the lines of a plain text, whose layout may carry its meaning, as paragraphs."""
    return {"markdown": text, "strategy": "text"}


def _markdown(text: str) -> dict[str, Any]:
    front = _FRONT.match(text)
    told = _front_matter(front[1]) if front else {}
    return {"markdown": _atx(text[front.end() :] if front else text), "strategy": "markdown", **told}


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


def _rst(text: str) -> dict[str, Any]:
    return {"markdown": rst.to_markdown(text), "strategy": "rst"}


def _csv(text: str) -> dict[str, Any]:
    return _table(text, "")


def _tsv(text: str) -> dict[str, Any]:
    return _table(text, "\t")


def _table(text: str, delimiter: str) -> dict[str, Any]:
    """Write a table row for row; the first row is the head."""
    delimiter = delimiter or _delimiter(text)
    try:
        rows = [row for row in csv.reader(StringIO(text, newline=""), delimiter=delimiter) if any(map(str.strip, row))]
    except csv.Error as error:
        raise UnreadableError("broken", f"The table cannot be read: {error}.") from error
    if not rows:
        return {"markdown": ""}
    width = max(map(len, rows))
    lines = [_row(row, width) for row in rows]
    return {"markdown": "\n".join(chain(lines[:1], [_row(["---"] * width, width)], lines[1:])), "strategy": "table"}


def _delimiter(text: str) -> str:
    head = list(takewhile(bool, text.splitlines()[:1]))
    return max(",;\t|", key=head[0].count) if head else ","


def _row(cells: Iterable[str], width: int) -> str:
    told = [" ".join(cell.replace("|", "\\|").split()) for cell in cells]
    return f"| {' | '.join([*told, *[''] * (width - len(told))])} |"


_READERS: dict[str, Callable[[str], dict[str, Any]]] = {MARKDOWN: _markdown, RST: _rst, CSV: _csv, TSV: _tsv}
