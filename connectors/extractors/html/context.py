"""What was thought of the blocks around a block, as rows of numbers for the second trees of `judge`."""

# ruff: noqa: E501 - tables of names are read by their rows

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.extractors.html import evidence
from connectors.extractors.html.blocks import HEADINGS

if TYPE_CHECKING:
    from connectors.extractors.html.blocks import Blocks, Part

_TAKEN_OVER = (
    "words", "linked", "ends", "tag", "place", "from title", "seen", "level", "since heading", "in main part", "from main",
    "article", "words of page", "long of page", "repeated words", "up prose",
)  # fmt: skip
_COLUMNS = tuple(evidence.NAMES.index(name) for name in _TAKEN_OVER)
_STEPS = (-4, -3, -2, -1, 1, 2, 3, 4)
_LEAST = 0.02  # blocks with less are not looked at again
_CONFIDENT = 0.6
_TEXT = 8  # words
_LONG = 40  # words, after which little is left of what was before
_FADES = 0.5


class _Thought:
    """Sums over the chances of a page's blocks."""

    def __init__(self, found: Blocks, chances: list[float]) -> None:
        blocks = found.blocks
        self._right, self._every = [0.0], [0]
        self.shapes: dict[int, list[float]] = {}
        for block, chance in zip(blocks, chances, strict=True):
            right = chance * block.words
            self._right.append(self._right[-1] + right)
            self._every.append(self._every[-1] + block.words)
            alike = self.shapes.setdefault(block.part.shape, [0.0, 0.0, 0.0, 0.0])
            alike[0] += 1.0
            alike[1] += chance
            alike[2] += right
            alike[3] += block.words
        self.total = self._right[-1] or 1.0
        most = max(chances, default=0.0)
        sure = [
            place for place, chance in enumerate(chances) if chance > _CONFIDENT and blocks[place].words > _TEXT
        ] or [place for place, chance in enumerate(chances) if chance == most]
        self.first, self.last = (sure[0], sure[-1]) if sure else (0, 0)
        self.sure = len(sure) / max(len(blocks), 1)
        self._above: dict[int, list[float]] = {}

    def before(self, place: int) -> float:
        return self._right[place] / self.total

    def mean(self, part: Part) -> float:
        words = self._every[part.last] - self._every[part.first]
        return (self._right[part.last] - self._right[part.first]) / words if words else 0.0

    def above(self, up: Part) -> list[float]:
        known = self._above.get(id(up))
        if known is None:
            up2 = up.up or up
            known = self._above[id(up)] = [self.mean(up), self.mean(up2), self.mean(up2.up or up2)]
        return known

    def alike(self, part: Part) -> list[float]:
        many, chance, right, words = self.shapes[part.shape]
        return [chance / many, many, right / words, right / self.total]


def _following(found: Blocks, chances: list[float]) -> list[float]:
    """Return for each block what was thought of the text after it, the nearest most."""
    out = [0.0] * len(chances)
    thought = 0.0
    for place in range(len(chances) - 1, -1, -1):
        out[place] = thought
        fading = _FADES * min(found.blocks[place].words, _LONG) / _LONG
        thought += fading * (chances[place] - thought)
    return out


def rows(
    found: Blocks, first: list[list[float]], chances: list[float], hoped: float, opinion: list[float] | None = None
) -> dict[int, list[float]]:
    """Return for each block with a chance its second row of evidence: what was thought of the blocks around it.

    Args:
        found: the page's blocks.
        first: their first rows.
        chances: what was made of these.
        hoped: the F1 to be expected of a choice by these chances.
        opinion: how much of each block another extractor took for content, where one was asked.
    """
    if not chances:
        return {}
    thought = _Thought(found, chances)
    page = [max(chances), hoped, thought.mean(found.parts[0]), thought.sure]
    after = _following(found, chances)
    opinions, agreed = opinion or [-1.0] * len(chances), -1.0
    if opinion:
        held = sum(share * block.words for share, block in zip(opinion, found.blocks, strict=True))
        agreed = held / (found.parts[0].words or 1)
    padded = [-1.0] * 4 + chances + [-1.0] * 4
    out: dict[int, list[float]] = {}
    before, heading = 0.0, -1.0
    for place, (block, chance) in enumerate(zip(found.blocks, chances, strict=True)):
        if chance >= _LEAST:
            row = first[place]
            out[place] = [
                chance,
                *(padded[place + 4 + step] for step in _STEPS),
                *thought.above(block.part.up or block.part),
                *page,
                *thought.alike(block.part),
                place - thought.first,
                thought.last - place,
                thought.before(place),
                heading,
                before,
                after[place],
                opinions[place],
                agreed,
                *(row[column] for column in _COLUMNS),
            ]
        if block.part.tag in HEADINGS:
            heading = chance
        before += _FADES * min(block.words, _LONG) / _LONG * (chance - before)
    return out


NAMES = (
    "chance", *(f"chance {step}" for step in _STEPS), "up chance", "up2 chance", "up3 chance", "highest", "hoped", "mean chance", "sure",
    "alike chance", "alike", "alike words chance", "alike share", "from first", "from last", "right before", "heading chance", "before", "after", "opinion", "agreed", *_TAKEN_OVER,
)  # fmt: skip
