"""Findings for review-data: pages that a person should look at, and why. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from connectors.models import PageFacts

THIN_WORDS = 30
LONG_WORDS = 20_000
NEAR_DUPLICATE = 0.8
_COMMON_BLOCK = 20
_LEAST_BLOCKS = 4

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


def findings(pages: Sequence[PageFacts], *, most: int = 500) -> list[Finding]:
    """Say which pages a person should look at.

    Args:
        pages: facts of the run's pages.
        most: the cap; the last finding then says how many more there are.

    Returns:
        One finding a page, in the order of URIs, its reasons joined.
    """
    usual = _usual_language(pages)
    twins = near_duplicates(pages)
    found = []
    for page in sorted(pages, key=lambda page: page.uri):
        notes = [*_own_notes(page), *_language_note(page, usual)]
        if page.uri in twins:
            notes.append(f"says nearly the same as {twins[page.uri]}")
        if notes:
            found.append(
                Finding(
                    uri=page.uri,
                    article=f"{page.title or '(no title)'} - {page.uri}",
                    note="This page " + "; ".join(notes),
                )
            )
    if len(found) > most:
        rest = len(found) - most
        found = [*found[:most], Finding(uri="", article="(more)", note=f"{rest} more pages have findings")]
    return found


def near_duplicates(pages: Iterable[PageFacts]) -> dict[str, str]:
    """Map each page to the page (with the smaller URI) whose text blocks are the same for four fifths or more.

    Blocks that stand on more than 20 pages tell nothing and are left out, which also bounds the work.
    """
    blocks = {page.uri: frozenset(page.blocks) for page in pages if len(set(page.blocks)) >= _LEAST_BLOCKS}
    holders: dict[int, list[str]] = defaultdict(list)
    for uri in sorted(blocks):
        for block in blocks[uri]:
            holders[block].append(uri)
    shared: Counter[tuple[str, str]] = Counter()
    for uris in holders.values():
        if 1 < len(uris) <= _COMMON_BLOCK:
            shared.update((first, second) for place, first in enumerate(uris) for second in uris[place + 1 :])
    twins: dict[str, str] = {}
    for (first, second), common in sorted(shared.items()):
        if common >= NEAR_DUPLICATE * len(blocks[first] | blocks[second]):
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


def _usual_language(pages: Sequence[PageFacts]) -> str:
    spoken = Counter(_base(page.language) for page in pages if page.language)
    if not spoken:
        return ""
    language, times = spoken.most_common(1)[0]
    return language if times * 2 > spoken.total() else ""


def _language_note(page: PageFacts, usual: str) -> list[str]:
    if not usual or not page.language or _base(page.language) == usual:
        return []
    return [f"is in another language ({page.language}) than the site ({usual})"]


def _base(language: str) -> str:
    return language.partition("-")[0].lower()
