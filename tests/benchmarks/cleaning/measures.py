"""What the benchmarks share: Markdown taken apart, the figures, the split into tuning and reporting halves."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

WORD = re.compile(r"\w+")
FENCE = re.compile(r"^((?:\s|>)*(?:(?:[-*+]|\d+[.)])\s+)*(?:>\s?)*)(`{3,}|~{3,})(.*)$")
LINK = re.compile(r"\]\(<?([^()\s>]*(?:\([^()\s]*\)[^()\s>]*)*)>?\)")
_TASK = re.compile(r"^\[[ x]\] ")
IMAGE = re.compile(r"!\[([^\]]*)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*\)")


def half(name: str) -> str:
    """Say which half a page belongs to: rules are tuned on one and reported on the other."""
    return "tune" if hashlib.sha256(name.encode()).digest()[0] % 2 else "report"


FOLDS = 5


def site(url: str) -> str:
    return (urlsplit(url).hostname or url).removeprefix("www.")


def fold(site_name: str) -> int:
    """Say which fold a site's pages belong to: what is learned from the others is measured on it."""
    return hashlib.md5(site_name.encode()).digest()[0] % FOLDS


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def shingles(text: str, size: int = 4) -> Counter:
    tokens = WORD.findall(text)
    if len(tokens) < size:
        return Counter([tuple(tokens)] if tokens else [])
    return Counter(tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))


def overlap(predicted: Counter, true: Counter) -> tuple[float, float]:
    """Return precision and recall; an empty side counts as nothing found."""
    both = sum((predicted & true).values())
    p, t = sum(predicted.values()), sum(true.values())
    if not t:
        return (1.0, 1.0) if not p else (0.0, 1.0)
    return (both / p if p else 0.0), both / t


def f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@dataclass
class Parts:
    """A Markdown text taken apart."""

    text: str = ""
    code: list[str] = field(default_factory=list)
    headings: Counter = field(default_factory=Counter)
    items: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    links: set[str] = field(default_factory=set)


def plain(line: str) -> str:
    """Return a line as a reader sees it; what stands in code is no markup."""
    spans: list[str] = []

    def put_away(found: re.Match[str]) -> str:
        spans.append(found.group(2))
        return chr(_PRIVATE + len(spans) - 1)

    row = line.lstrip().startswith("|")
    line = _SPAN.sub(put_away, line)
    line = IMAGE.sub(r"\1", line)
    line = re.sub(r"\[\^([^\]]+)\]:?", r"\1", line)
    line = _unlinked(line)
    if row:
        line = line.replace("<br>", " ")
    line = re.sub(r"\\(?=[^\w\s]|_)|\*\*?|~~|(?<!\\)`+", "", line)
    return _AWAY.sub(lambda found: spans[ord(found.group()) - _PRIVATE], line)


_SPAN = re.compile(r"(?<![`\\])(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_PRIVATE = 0xF0000  # code points that no text uses stand for the code spans of a line
_AWAY = re.compile("[\U000f0000-\U000ffffd]")


def _unlinked(line: str) -> str:
    """Return a line with each link's text in its place, as a reader sees it."""
    start = 0
    while found := LINK.search(line, start):
        opens, depth = found.start() - 1, 0
        while opens >= 0 and (depth or not _opens(line, opens)):
            depth += (line[opens] == "]") - (line[opens] == "[")
            opens -= 1
        if opens < 0:  # a bracket that opens nothing
            start = found.end()
            continue
        line = line[:opens] + line[opens + 1 : found.start()] + line[found.end() :]
        start = opens
    return line


def _opens(line: str, place: int) -> bool:
    return line[place] == "[" and line[place - 1 : place] != "\\"


def squeezed(text: str) -> str:
    """Letters and digits only: how headings, items and cells are compared."""
    return re.sub(r"[\W_]+", "", text)


def take_apart(markdown: str) -> Parts:
    parts = Parts()
    out: list[str] = []
    fence: tuple[str, int, str] | None = None
    block: list[str] = []
    broken = False  # whether the line before ends with a line break, so that this one goes on with it
    for line in markdown.split("\n"):
        found = FENCE.match(line)
        if fence:
            bare = line
            for mark in fence[2]:
                if mark == ">":
                    bare = re.sub(r"^\s*> ?", "", bare, count=1)
            if (
                found
                and found.group(2).startswith(fence[0])
                and not found.group(3).strip()
                and not re.search(r"[-*+\d]", found.group(1))
            ):
                text = "\n".join(block)
                parts.code.append(text)
                out.append(text)
                fence = None
                continue
            indent = fence[1]
            block.append(bare[indent:] if not bare[:indent].strip() else bare)
            continue
        if found:
            prefix = found.group(1)
            quotes = [mark for mark in prefix if mark == ">"]
            after = re.sub(r"^.*> ?", "", prefix) if quotes else prefix
            fence = (found.group(2), len(after), "".join(quotes))
            block = []
            continue
        bare = re.sub(r"^(?:\s*>)+ ?", "", line)
        parts.links.update(LINK.findall(bare))
        heading = re.match(r"^\s*(?:[-*+]\s+|\d+[.)]\s+)*(#{1,6})\s+(.*)$", bare)
        item = re.match(r"^\s*(?:(?:[-*+]|\d+[.)])\s+)+(.*)$", bare)
        text = plain(bare)
        if heading:
            parts.headings[squeezed(plain(heading.group(2)))] += 1
            text = plain(heading.group(2))
        elif bare.lstrip().startswith("|"):
            if re.fullmatch(r"[\s|:-]+", bare):
                continue
            parts.rows.append(squeezed(text))
        if item:
            text = plain(_TASK.sub("", item.group(1)))
            parts.items.append(squeezed(text))
        elif broken and parts.items:
            parts.items[-1] += squeezed(text)
        broken = bare.endswith("  ") and (broken or item is not None)
        out.append(text)
    parts.text = "\n".join(out)
    return parts


class Cpu:
    """CPU time of a block, in milliseconds."""

    def __enter__(self) -> Cpu:
        self.start = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.ms = (time.process_time() - self.start) * 1000


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values) if values else float("nan")


def median(values) -> float:
    values = sorted(values)
    return values[len(values) // 2] if values else float("nan")
