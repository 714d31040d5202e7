"""A small HTML of office documents' parts, which the cleaner of HTML then writes as Markdown."""

from __future__ import annotations

import re
from html import escape
from itertools import groupby

_CODE = re.compile(
    r"\b(?:source ?code|code|preformatted|verbatim|courier|consolas|menlo|monaco|monospace|typewriter|teletype)"
    r"|\bmono\b",
    re.IGNORECASE,
)
_DEEPEST = 8


def is_code(style: str) -> bool:
    """Say whether a style's or a typeface's name means code."""
    return bool(_CODE.search(style.replace("_20_", " ").replace("_", " ")))


class Marks:
    """The runs of one paragraph: text, the tags it stands in, and the link it is of."""

    def __init__(self) -> None:
        self._runs: list[tuple[str, tuple[str, ...], str]] = []

    def add(self, text: str, tags: tuple[str, ...], link: str) -> None:
        """Add a run."""
        if text:
            self._runs.append((text, tags, link))

    def plain(self) -> str:
        """Return the text alone, lines and spaces as they are."""
        return "".join(text for text, _, _ in self._runs)

    def html(self) -> str:
        """Return the paragraph's inner HTML; neighbours of one kind are one run."""
        out: list[str] = []
        for (tags, link), runs in groupby(self._runs, key=lambda run: (run[1], run[2])):
            text = escape("".join(text for text, _, _ in runs)).replace("\n", "<br>").replace("\t", " ")
            if text.strip():
                text = "".join(f"<{tag}>" for tag in tags) + text + "".join(f"</{tag}>" for tag in reversed(tags))
            safe = link.startswith(("http://", "https://", "mailto:"))
            out.append(f'<a href="{escape(link)}">{text}</a>' if safe and text.strip() else text)
        return "".join(out).strip()


class Writer:
    """Collects blocks; list items nest by their depth, lines of code run together."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._lists: list[str] = []
        self._code: list[str] = []
        self._notes: dict[tuple[str, str], int] = {}

    def note(self, key: tuple[str, str]) -> int:
        """Return the number of a note that the text refers to."""
        return self._notes.setdefault(key, len(self._notes) + 1)

    def notes(self) -> list[tuple[int, tuple[str, str]]]:
        """Return the notes referred to so far."""
        return [(number, key) for key, number in self._notes.items()]

    def paragraph(self, inner: str) -> None:
        """Add a paragraph."""
        self._block(f"<p>{inner}</p>" if inner else "")

    def heading(self, inner: str, level: int) -> None:
        """Add a heading."""
        self._block(f"<h{level}>{inner}</h{level}>" if inner else "")

    def quote(self, inner: str) -> None:
        """Add a quotation."""
        self._block(f"<blockquote><p>{inner}</p></blockquote>" if inner else "")

    def code(self, text: str) -> None:
        """Add a line (or lines) of code."""
        self._close_lists(0)
        self._code.append(text)

    def item(self, inner: str, *, depth: int, ordered: bool) -> None:
        """Add a list's item, ``depth`` 0 being the outermost list."""
        self._close_code()
        depth = min(depth, _DEEPEST)
        self._close_lists(depth + 1)
        tag = "ol" if ordered else "ul"
        if len(self._lists) == depth + 1 and self._lists[-1] != tag:
            self._close_lists(depth)
        if len(self._lists) == depth + 1:
            self._out.append("</li>")
        while len(self._lists) <= depth:
            self._lists.append(tag)
            self._out.append(f"<{tag}>" if len(self._lists) > depth else f"<{tag}><li>")
        self._out.append(f"<li>{inner}")

    def more(self, inner: str) -> None:
        """Add a further paragraph to the last item."""
        self._out.append(f"<p>{inner}</p>" if inner else "")

    def table(self, rows: list[list[str]]) -> None:
        """Add a table; its first row is the head."""
        rows = [row for row in rows if any(row)]
        if not rows:
            return
        written = ["".join(f"<{'td' if number else 'th'}>{cell}</{'td' if number else 'th'}>" for cell in row)
                   for number, row in enumerate(rows)]  # fmt: skip
        self._block("<table>" + "".join(f"<tr>{row}</tr>" for row in written) + "</table>")

    def html(self) -> str:
        """Return the whole document."""
        self._close_code()
        self._close_lists(0)
        head = '<!doctype html><html><head><meta charset="utf-8"></head>'
        return f"{head}<body>{''.join(self._out)}</body></html>"

    def _block(self, written: str) -> None:
        if written:
            self._close_code()
            self._close_lists(0)
            self._out.append(written)
        elif self._code:  # an empty paragraph between two lines of code
            self._code.append("")

    def _close_lists(self, depth: int) -> None:
        while len(self._lists) > depth:
            self._out.append(f"</li></{self._lists.pop()}>")

    def _close_code(self) -> None:
        if self._code:
            self._out.append(f"<pre><code>{escape(chr(10).join(self._code).rstrip())}\n</code></pre>")
            self._code = []
