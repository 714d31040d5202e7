"""Topics for auto-generate-prompts: what a run's pages are about, spread over the whole site. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from connectors.models import PageFacts

TOPICS_A_CALL = 50
"""The most topics in one call of auto-generate-prompts."""

_COMMON_SHARE = 0.2
_PAGES_A_CALL = 2_000
_SHORTEST, _LONGEST = 3, 80
_NUMBERING = re.compile(
    r"^(?:\(?[0-9]+(?:\.[0-9]+)*[.):]?|[A-Z](?:\.[0-9]+)+\.?|(?:chapter|appendix|part)\s+\S+)\s+", re.IGNORECASE
)
_NOT_A_TOPIC = re.compile(r"^[\W\d_]*$")


@dataclass(slots=True)
class _Group:
    """The pages of one section of the site, with the words they go by."""

    label: str
    pages: int = 0
    titles: list[str] = field(default_factory=list)
    headings: Counter[str] = field(default_factory=Counter)


def topics(pages: Iterable[PageFacts], *, most: int | None = None) -> list[str]:
    """Name what the pages are about.

    Sections come first, then titles and recurring headings, dealt out over the sections in turn so that a large
    section does not silence a small one. A phrase that stands on more than a fifth of the pages is the site's
    furniture ("See also", "Parameters") and no topic.

    Args:
        pages: facts of the run's pages, in any order; read once.
        most: the cap; None: 50 for each 2,000 pages, 200 at most.

    Returns:
        Different phrases of 3 to 80 characters, the most telling first; the same for any order of ``pages``.
    """
    groups, spread, count = _gather(pages)
    if not count:
        return []
    cap = most or how_many(count)
    too_common = max(3, math.floor(count * _COMMON_SHARE))
    chosen: dict[str, str] = {}
    for phrase in _dealt(groups, spread, too_common):
        key = phrase.casefold()
        if key not in chosen:
            chosen[key] = phrase
            if len(chosen) == cap:
                break
    return list(chosen.values())


def how_many(pages: int) -> int:
    """Return how many topics so many pages deserve."""
    return min(200, TOPICS_A_CALL * math.ceil(pages / _PAGES_A_CALL))


def calls(chosen: Sequence[str]) -> list[list[str]]:
    """Cut topics into calls of at most `TOPICS_A_CALL`."""
    return [list(chosen[start : start + TOPICS_A_CALL]) for start in range(0, len(chosen), TOPICS_A_CALL)]


def context(*, site: str, description: str, pages: int, language: str) -> str:
    """Say in a sentence or two what the site is, for the ``context`` of auto-generate-prompts."""
    told = f"Questions that visitors of {site} would ask; {pages} pages of it were just added."
    if description:
        told += f" The site says of itself: {description[:300]}"
    if language:
        told += f" Its language is {language}."
    return told


def _gather(pages: Iterable[PageFacts]) -> tuple[list[_Group], Counter[str], int]:
    groups: dict[str, _Group] = {}
    spread: Counter[str] = Counter()
    count = 0
    for page in pages:
        count += 1
        label = _section(page)
        group = groups.setdefault(label, _Group(label))
        group.pages += 1
        title = _tidy(page.title)
        headings = {tidy for heading in page.headings if (tidy := _tidy(heading))}
        if title:
            group.titles.append(title)
        group.headings.update(headings - {title})
        spread.update({phrase.casefold() for phrase in headings | {title}})
    return sorted(groups.values(), key=lambda group: (-group.pages, group.label)), spread, count


def _dealt(groups: list[_Group], spread: Counter[str], too_common: int) -> Iterator[str]:
    for group in groups:
        if group.label and group.pages > 1:
            yield group.label
    hands = [_hand(group, spread, too_common) for group in groups]
    for round_number in range(max((len(hand) for hand in hands), default=0)):
        for hand in hands:
            if round_number < len(hand):
                yield hand[round_number]


def _hand(group: _Group, spread: Counter[str], too_common: int) -> list[str]:
    """Return a section's phrases: titles many headings echo first, then the rest, then recurring headings."""
    score: dict[str, float] = defaultdict(float)
    for title in group.titles:
        score[title] += 2.0
    for heading, times in group.headings.items():
        if times > 1 or heading in score:
            score[heading] += math.log1p(times)
    telling = [phrase for phrase in score if spread[phrase.casefold()] < too_common]
    return sorted(telling, key=lambda phrase: (-score[phrase], len(phrase), phrase))


def _section(page: PageFacts) -> str:
    if page.section:
        return _tidy(page.section[-1])
    folders = [part for part in _path(page.uri).split("/")[:-1] if part]
    return _tidy(folders[-1].replace("-", " ").replace("_", " ")) if folders else ""


def _path(uri: str) -> str:
    """Return the path of a URI in normal form; `urlsplit` looks for much that is not there."""
    rest = uri.partition("#")[0].partition("?")[0]
    scheme, found, behind = rest.partition("://")
    return behind.partition("/")[2] if found else scheme


@lru_cache(4096)  # many a heading stands on many pages
def _tidy(phrase: str) -> str:
    words = _NUMBERING.sub("", " ".join(phrase.split())).strip(" #¶:.-–—")  # noqa: RUF001 - typographic dashes are meant
    return words if _SHORTEST <= len(words) <= _LONGEST and not _NOT_A_TOPIC.match(words) else ""
