"""reStructuredText as Markdown: headings, lists, code, links, notes, tables; what only builds pages is left out."""

from __future__ import annotations

import re
from typing import NamedTuple

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*")
_DIRECTIVE = re.compile(r"( *)\.\. +(?:\|([^|]+)\| +)?([\w:.+-]+)::(?: +(.*))?")
_OPTION = re.compile(r" *:([\w-]+):(?: +(.*))?")
_CODE = frozenset({"code-block", "code", "sourcecode", "parsed-literal", "doctest", "testcode", "prompt"})
_NOTES = frozenset({
    "note", "warning", "tip", "hint", "important", "caution", "danger", "attention", "error", "seealso", "admonition",
    "versionadded", "versionchanged", "deprecated", "deprecated-removed", "impl-detail", "topic", "sidebar", "rubric",
})  # fmt: skip
_SILENT = frozenset({
    "toctree", "contents", "index", "highlight", "include", "literalinclude", "image", "raw", "meta", "module",
    "currentmodule", "sectionauthor", "codeauthor", "moduleauthor", "default-domain", "role",
})  # fmt: skip
_STANDARD = re.compile(r":(rfc|pep|cve|cwe):`([^`]+)`")
_ROLE = re.compile(r":[\w:.+-]+:`([^`]+)`")
_NAMED = re.compile(r"`([^`<]+?)\s*<([^`>]+)>`_{1,2}")
_PHRASE = re.compile(r"(?<![`\w])`([^`\n]+)`_{1,2}")
_WORD = re.compile(r"(?<![\w`])([A-Za-z][\w-]*)_(?=[\s.,;:)]|$)")
_INTERPRETED = re.compile(r"(?<![`\w:])`([^`\n]+)`(?![`_])")
_LITERAL = re.compile(r"``(.+?)``")
_TARGET = re.compile(r"\.\. +_(?:`([^`]+)`|([^:]+)): *(.*)")


class _Block(NamedTuple):
    """An indented block below a line: its lines without their indent, and the line after it."""

    lines: list[str]
    end: int


def to_markdown(text: str) -> str:
    """Return the Markdown of a reStructuredText file."""
    lines = text.expandtabs(8).split("\n")
    return _Writer(_targets(lines)).written(lines)


def _targets(lines: list[str]) -> dict[str, str]:
    found = (match for line in lines if (match := _TARGET.fullmatch(line.strip())))
    return {(match[1] or match[2]).lower(): match[3].strip() for match in found if match[3].strip()}


class _Writer:
    """Writes blocks; the order in which adornments come up decides the level of a heading."""

    def __init__(self, targets: dict[str, str]) -> None:
        self.targets = targets
        self.levels: list[str] = []

    def written(self, lines: list[str]) -> str:
        out: list[str] = []
        at = 0
        while at < len(lines):
            at = self._step(lines, at, out)
        return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip("\n")

    def _step(self, lines: list[str], at: int, out: list[str]) -> int:  # noqa: PLR0911 - one a kind of block
        line = lines[at]
        if end := self._heading(lines, at, out):
            return end
        if _ADORNMENT.fullmatch(line) and not "".join(lines[at + 1 : at + 2]).strip():
            out.extend(["", "---", ""])
            return at + 1
        if _is_table(lines, at):
            return self._table(lines, at, out)
        if found := _DIRECTIVE.fullmatch(line):
            return self._directive(found, lines, at, out)
        if line.lstrip().startswith(".. ") or line.strip() == "..":
            return self._comment(lines, at, out)
        if line.startswith(">>> "):
            end = next((n for n in range(at, len(lines)) if not lines[n].strip()), len(lines))
            out.extend(["", "```pycon", *lines[at:end], "```", ""])
            return end
        if line.rstrip().endswith("::"):
            return self._literal(lines, at, out)
        out.append(self.inline(re.sub(r"^(\s*)#\. ", r"\g<1>1. ", re.sub(r"^(\s*)\| ", r"\1", line))))
        return at + 1

    def _heading(self, lines: list[str], at: int, out: list[str]) -> int:
        below = lines[at + 1] if at + 1 < len(lines) else ""
        over = _ADORNMENT.fullmatch(lines[at])
        if over and below.strip() and at + 2 < len(lines) and lines[at + 2].rstrip() == lines[at].rstrip():
            return self._headed(below, over[1] * 2, at + 3, out)
        under = _ADORNMENT.fullmatch(below)
        text = lines[at]
        if (
            not under
            or not text.strip()
            or text[0] == " "
            or _ADORNMENT.fullmatch(text)
            or len(below.rstrip()) < len(text.rstrip()) - 2
        ):
            return 0
        return self._headed(text, under[1], at + 2, out)

    def _headed(self, text: str, style: str, end: int, out: list[str]) -> int:
        if style not in self.levels:
            self.levels.append(style)
        level = min(6, self.levels.index(style) + 1)
        out.extend(["", f"{'#' * level} {self.inline(text.strip())}", ""])
        return end

    def _directive(self, found: re.Match[str], lines: list[str], at: int, out: list[str]) -> int:
        indent, substituted, name, argument = found[1], found[2], found[3].split(":")[-1], found[4] or ""
        block = _block(lines, at, len(indent))
        body = _without_options(block.lines)
        if substituted or name in _SILENT:
            return block.end
        if name in _CODE:
            out.extend(["", *(indent + row for row in _fenced(body, argument)), ""])
        elif name == "math":
            out.extend(["", "$$", argument, *body, "$$", ""])
        elif name in {"figure", "csv-table", "list-table", "table"}:
            out.extend(["", self.inline(argument if name != "figure" else ""), "", self.written(body), ""])
        elif name in _NOTES:
            head = f"**{name.replace('-', ' ').capitalize()}:** {self.inline(argument)}".rstrip()
            inner = self.written(body)
            told = [head, *([""] if inner else []), *inner.split("\n")] if inner else [head]
            out.extend(["", *(f"{indent}> {row}".rstrip() for row in told), ""])
        else:  # a description such as `function:: open(file)`: the signature, and what is said of it
            signature = [f"`{argument}`", ""] if argument else []
            out.extend(["", *(indent + row for row in [*signature, *self.written(body).split("\n")]), ""])
        return block.end

    def _comment(self, lines: list[str], at: int, out: list[str]) -> int:
        note = re.match(r"\s*\.\. +\[([^\]]+)\] +(.*)", lines[at])
        block = _block(lines, at, len(lines[at]) - len(lines[at].lstrip()))
        if note:
            rest = " ".join(row.strip() for row in block.lines if row.strip())
            out.extend(["", f"[{note[1]}] {self.inline(f'{note[2]} {rest}'.strip())}", ""])
        return block.end

    def _literal(self, lines: list[str], at: int, out: list[str]) -> int:
        line = lines[at].rstrip()
        indent = len(line) - len(line.lstrip())
        block = _block(lines, at, indent)
        if not any(row.strip() for row in block.lines):
            out.append(self.inline(line))
            return at + 1
        if line.strip() != "::":
            out.append(self.inline(line[:-1] if not line.endswith(" ::") else line[:-3]))
        out.extend(["", *(" " * indent + row for row in _fenced(block.lines, "")), ""])
        return block.end

    def _table(self, lines: list[str], at: int, out: list[str]) -> int:
        end = next((n for n in range(at, len(lines)) if not lines[n].strip()), len(lines))
        rows = _grid(lines[at:end]) if lines[at].lstrip().startswith("+") else _simple(lines[at:end])
        if len(rows) > 1:
            width = max(map(len, rows))
            told = [[self.inline(cell).replace("|", "\\|") for cell in row] + [""] * (width - len(row)) for row in rows]
            written = [f"| {' | '.join(row)} |" for row in told]
            out.extend(["", written[0], f"|{' --- |' * width}", *written[1:], ""])
        else:
            out.extend(["", "```", *lines[at:end], "```", ""])
        return end

    def inline(self, text: str) -> str:
        """Write the marks inside a line; literal text is left as it is."""
        pieces = _LITERAL.split(text)
        told = [f"`{piece}`" if odd % 2 else self._marks(piece) for odd, piece in enumerate(pieces)]
        return "".join(told)

    def _marks(self, text: str) -> str:
        text = _STANDARD.sub(lambda found: f"{found[1].upper()} {_shown(found[2])}", text)
        text = _ROLE.sub(lambda found: f"`{_shown(found[1])}`", text)
        text = re.sub(r"\[#?([\w-]*)\]_", lambda found: f"[{found[1] or '#'}]", text)
        text = _NAMED.sub(lambda found: self._link(found[1], found[2]), text)
        text = _PHRASE.sub(lambda found: self._link(found[1], self.targets.get(found[1].lower(), "")), text)
        text = _WORD.sub(self._word, text)
        text = re.sub(r"\\([^\w\s])", r"\1", text)
        return re.sub(r"\|([\w .-]+)\|_?", r"\1", text)

    def _word(self, found: re.Match[str]) -> str:
        target = self.targets.get(found[1].lower(), "")
        return self._link(found[1], target) if target else found[0]

    @staticmethod
    def _link(text: str, target: str) -> str:
        return f"[{text.strip()}]({target})" if re.match(r"(?:https?|mailto):", target) else text.strip()


def _shown(role: str) -> str:
    named = re.fullmatch(r"(.+?)\s*<[^>]+>", role, re.DOTALL)
    return (
        named[1] if named else role.removeprefix("!").rpartition("~")[2] if "~" not in role else role.rpartition(".")[2]
    )


def _block(lines: list[str], at: int, indent: int) -> _Block:
    end = at + 1
    while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indent):
        end += 1
    body = lines[at + 1 : end]
    margin = min((len(row) - len(row.lstrip()) for row in body if row.strip()), default=0)
    return _Block([row[margin:] for row in body], end)


def _without_options(body: list[str]) -> list[str]:
    at = 0
    while at < len(body) and _OPTION.fullmatch(body[at]):
        at += 1
    return body[at:]


def _fenced(body: list[str], language: str) -> list[str]:
    text = "\n".join(body).strip("\n")
    ticks = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", text) or [""]))
    return [f"{ticks}{language.strip()}", *text.split("\n"), ticks]


def _is_table(lines: list[str], at: int) -> bool:
    grid = re.fullmatch(r"\s*\+(?:[-=]+\+)+\s*", lines[at])
    simple = re.fullmatch(r"\s*={2,}(?: +={2,})+\s*", lines[at])
    return bool(grid or simple)


def _grid(lines: list[str]) -> list[list[str]]:
    rows: list[list[str]] = []
    open_row: list[str] = []
    for line in (raw.strip() for raw in lines):
        if line.startswith("+"):
            rows += [open_row] if any(open_row) else []
            open_row = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        open_row = [f"{old} {new}".strip() for old, new in zip(open_row or [""] * len(cells), cells, strict=False)]
    return rows


def _simple(lines: list[str]) -> list[list[str]]:
    spans = [found.span() for found in re.finditer(r"=+", lines[0])]
    starts = [start for start, _ in spans]
    ends = [*starts[1:], 10_000]
    rows: list[list[str]] = []
    for line in lines[1:]:
        if re.fullmatch(r"[\s=-]+", line):
            continue
        cells = [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]
        if rows and not cells[0]:
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True)]
        else:
            rows.append(cells)
    return rows
