"""Texts: plain, Markdown, reStructuredText, and tables as CSV."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Any

from connectors.extractors import charset as charsets
from connectors.extractors import markdown, rst
from connectors.extractors.paper import Text, extracted
from connectors.extractors.unreadable import UnreadableError
from connectors.media_types import CSV, MARKDOWN, RST, TSV

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from connectors.models import CleaningRules, Extracted, Resource

COLUMNS = 16_384  # of the widest sheet that spreadsheets have


def extract(resource: Resource, rules: CleaningRules, *, kind: str) -> Extracted:
    """Make pages of a text."""
    decoded, flags = decode(resource.body or b"", resource.charset)
    made = _READERS.get(kind, _as_it_is)(decoded)
    described = {**made, "media_type": kind, "strategy": made.get("strategy", "text"), "flags": flags}
    links: tuple[str, ...] = ()
    if kind == MARKDOWN and resource.uri.startswith(("http://", "https://")):
        described["markdown"], links = markdown.with_absolute_links(described["markdown"], resource.uri)
    return replace(extracted(Text(**described), resource=resource, rules=rules), links=links)


def decode(body: bytes, charset: str = "") -> tuple[str, tuple[str, ...]]:
    """Return the text of some bytes, and a flag when its encoding had to be guessed.

    Order: a byte order mark, UTF-8, the declared charset, then what they look most like. UTF-16 without a mark comes
    before UTF-8, whose bytes its ASCII are too.
    """
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if body.startswith(mark):
            return body.decode(name, "replace"), ()
    for name in dict.fromkeys(() if charsets.without_mark(body) else ("utf-8", charset)):
        try:
            return body.decode(name or "utf-8"), ()
        except (UnicodeDecodeError, LookupError):
            continue
    name = charsets.guessed(body)
    return body.decode(name, "replace"), (f"guessed-encoding: {charsets.shown(name)}",)


def _as_it_is(text: str) -> dict[str, Any]:
    """Keep the lines of a plain text, whose layout may carry its meaning, as paragraphs."""
    return {"markdown": text, "strategy": "text"}


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
    if width > COLUMNS:
        raise UnreadableError("too-large", f"The table has {width:,} columns; the limit is {COLUMNS:,}.")
    lines = [_row(row, width) for row in rows]
    return {"markdown": "\n".join(chain(lines[:1], [_row(["---"] * width, width)], lines[1:])), "strategy": "table"}


def _delimiter(text: str) -> str:
    head = list(takewhile(bool, text.splitlines()[:1]))
    return max(",;\t|", key=head[0].count) if head else ","


def _row(cells: Iterable[str], width: int) -> str:
    told = [" ".join(cell.replace("|", "\\|").split()) for cell in cells]
    return f"| {' | '.join([*told, *[''] * (width - len(told))])} |"


_READERS: dict[str, Callable[[str], dict[str, Any]]] = {MARKDOWN: markdown.read, RST: _rst, CSV: _csv, TSV: _tsv}
