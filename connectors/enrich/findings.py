"""Findings for review-data: pages that a person should look at, and why. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from connectors.models import PageFacts

THIN_WORDS = 30
LONG_WORDS = 20_000
NEAR_DUPLICATE = 0.8
_COMMON_BLOCK = 20
_LEAST_BLOCKS = 4
SKETCH = 32
"""The smallest so many block hashes of a page stand for all: near-duplicates share them, and memory stays small."""
SKETCH_OF_MANY = 8
"""The same where there are very many pages."""
_SLOTS_A_PAGE = 128
_FEWEST_SLOTS, _MOST_SLOTS = 2**16, 2**24
_MOST_ALIKE = 2000

_SENTENCES = {
    "no-title": "has no title of its own",
    "mixed-encoding": "holds characters that look like a wrong encoding",
    "boilerplate": "may carry text that belongs to the site, not to the page",
    "hidden-instructions": "holds text that reads like instructions to a machine",
    "word-count": "was read with different word counts by two readers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to look at: ``article`` names the page, ``note`` says what is odd about it."""

    uri: str
    article: str
    note: str


class Survey:
    """Says which pages a person should look at: each page is shown to it twice, in any order.

    Two looks, so that memory does not grow with the site. The first counts what pages have in common, the second
    keeps what is odd, and of texts only those of which most blocks stand on another page too.

    Args:
        pages: about how many there are.
        most: the most findings; the last one then says how many more there are.
    """

    def __init__(self, pages: int, *, most: int = 500) -> None:
        slots = min(_MOST_SLOTS, max(_FEWEST_SLOTS, pages * _SLOTS_A_PAGE))
        self._most = most
        self._told = bytearray(slots)  # how many pages have a block, by its hash; a slot may stand for two
        self._blocks = SKETCH if pages * SKETCH <= slots else SKETCH_OF_MANY
        self._spoken: Counter[str] = Counter()
        self._noted: list[tuple[str, str, list[str]]] = []
        self._left_out = 0
        self._alike: dict[str, tuple[PageFacts, list[str]]] = {}

    def first(self, page: PageFacts) -> None:
        """Count what a page has in common with others."""
        if page.language:
            self._spoken[_base(page.language)] += 1
        told = self._told
        for block in self._sketch(page):
            at = block % len(told)
            if told[at] <= _COMMON_BLOCK:
                told[at] += 1

    def second(self, page: PageFacts) -> None:
        """Note what is odd about a page that was looked at before."""
        notes = [*_own_notes(page), *_language_note(page, self._usual())]
        if self._may_have_a_twin(page) and len(self._alike) < _MOST_ALIKE:
            self._alike[page.uri] = (page, notes)
        elif notes:
            self._noted.append((page.uri, page.title, notes))
            if len(self._noted) > 2 * self._most:
                self._cut()

    def findings(self) -> list[Finding]:
        """Return one finding a page, in the order of URIs, its reasons joined."""
        twins = near_duplicates([page for page, _ in self._alike.values()], common=self._is_common)
        for uri, (page, notes) in self._alike.items():
            if uri in twins:
                notes.append(f"says nearly the same as {twins[uri]}")
            if notes:
                self._noted.append((uri, page.title, notes))
        self._alike.clear()
        self._cut()
        found = [
            Finding(uri=uri, article=f"{title or '(no title)'} - {uri}", note="This page " + "; ".join(notes))
            for uri, title, notes in self._noted
        ]
        if self._left_out:
            found.append(Finding(uri="", article="(more)", note=f"{self._left_out} more pages have findings"))
        return found

    def _cut(self) -> None:
        self._noted.sort()
        self._left_out += len(self._noted[self._most :])
        del self._noted[self._most :]

    def _usual(self) -> str:
        """Return the language of more than half of the pages; empty when there is none."""
        if not self._spoken:
            return ""
        language, times = self._spoken.most_common(1)[0]
        return language if times * 2 > self._spoken.total() else ""

    def _sketch(self, page: PageFacts) -> tuple[int, ...]:
        return page.blocks[: self._blocks]

    def _may_have_a_twin(self, page: PageFacts) -> bool:
        sketch = self._sketch(page)
        shared = sum([self._told[block % len(self._told)] > 1 for block in sketch])
        return len(page.blocks) >= _LEAST_BLOCKS and shared >= NEAR_DUPLICATE * len(sketch)

    def _is_common(self, block: int) -> bool:
        return self._told[block % len(self._told)] > _COMMON_BLOCK


def findings(pages: Sequence[PageFacts], *, most: int = 500) -> list[Finding]:
    """Say which of some pages a person should look at; see `Survey`."""
    survey = Survey(len(pages), most=most)
    for page in pages:
        survey.first(page)
    for page in pages:
        survey.second(page)
    return survey.findings()


def near_duplicates(pages: Iterable[PageFacts], *, common: Callable[[int], bool] = lambda _: False) -> dict[str, str]:
    """Map each page to the page (with the smaller URI) whose text blocks are the same for four fifths or more.

    Blocks that stand on more than 20 pages, or are ``common`` elsewhere, tell nothing and are left out, which also
    bounds the work.
    """
    blocks = {page.uri: frozenset(page.blocks) for page in pages if len(page.blocks) >= _LEAST_BLOCKS}
    holders: dict[int, list[str]] = defaultdict(list)
    for uri in sorted(blocks):
        for block in blocks[uri]:
            holders[block].append(uri)
    shared: Counter[tuple[str, str]] = Counter()
    for block, uris in holders.items():
        if 1 < len(uris) <= _COMMON_BLOCK and not common(block):
            shared.update((first, second) for place, first in enumerate(uris) for second in uris[place + 1 :])
    twins: dict[str, str] = {}
    for (first, second), shares in sorted(shared.items()):
        if shares >= NEAR_DUPLICATE * len(blocks[first] | blocks[second]):
            twins.setdefault(second, first)
    return twins


def _own_notes(page: PageFacts) -> list[str]:
    notes = []
    if page.word_count < THIN_WORDS:
        notes.append(f"has only {page.word_count} words")
    if page.word_count > LONG_WORDS:
        notes.append(f"is very long ({page.word_count} words)")
    for flag in page.flags:
        key, _, detail = flag.partition(": ")
        if key in {"thin", "very-long"}:
            continue
        notes.append(_SENTENCES.get(key, key.replace("-", " ")) + (f" ({detail})" if detail else ""))
    return notes


def _language_note(page: PageFacts, usual: str) -> list[str]:
    if not usual or not page.language or _base(page.language) == usual:
        return []
    return [f"is in another language ({page.language}) than the site ({usual})"]


def _base(language: str) -> str:
    return language.partition("-")[0].lower()
