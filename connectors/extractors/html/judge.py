"""Which blocks of a page are its content: trees learned from pages that people marked, and the choice they lead to."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from connectors.extractors.html import context, evidence
from connectors.extractors.html.blocks import HEADINGS
from connectors.extractors.html.kinds import DROP

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.extractors.html.blocks import Blocks, Image, Part
    from connectors.extractors.html.metadata import About

_KEEP_HEADING = 0.2
_KEEP_HEADING_OF_TEXT = 0.1  # right above kept text of a page that is no article
_KEEP_EMPTY_HEADING = 0.6  # it stands right above what is kept, be that another heading
_BETWEEN = 0.1
_STRICTER = 0.06  # what is doubtful beside an article is seldom part of it
_STRICTEST = 0.8
_ALL_LINKS = 0.9
_MOST_AFTER = 0.34  # of a listing that calls itself an article links are most
_SURE_OF_ARTICLE = 0.9
_HEARD_OF_KEPT = 0.2  # of what the trees keep; another extractor that finds less of it reads another page
_AGREED = 0.5
_SEEN_BY_BOTH = (0.3, 0.9)  # what is hardly doubtful to either
_CERTAIN_WITHOUT = 0.95
_WORTH_TELLING = 3  # words
_MOST_HEARD = 100
_SPOKEN = re.compile(r"[^\W\d_]{2,}")
_ROWS = frozenset({"tr", "td", "th", "tbody", "thead", "tfoot", "caption", "p", "ul", "ol", "li", "pre"})

Chance: TypeAlias = "Callable[[list[float]], float]"
"""How likely a block with this row of evidence is content."""
Opinion: TypeAlias = "Callable[[Blocks], list[float] | None]"
"""How much of each block another extractor takes for content; None where it is not to be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What was learned: what words speak for, and trees over the columns of `evidence` and of `context`.

    Attributes:
        weights: what words speak for.
        first: by the rows of `evidence.rows`.
        again: by those of `context.rows`.
    """

    weights: evidence.Weights
    first: Chance
    again: Chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which blocks are content, and how sure that is.

    Attributes:
        keep: one answer a block.
        sureness: the F1 to be expected of that choice, 0.0 to 1.0.
    """

    keep: list[bool]
    sureness: float


@lru_cache(maxsize=1)
def model() -> Model:
    """Return what `tests/benchmarks/cleaning/train.py` learned."""
    return read(Path(__file__).with_name("weights.json").read_bytes())


def read(written: bytes) -> Model:
    """Return a model as `train.py` writes it."""
    data = json.loads(written)
    return Model(
        weights=evidence.Weights(names=data["names"], sayings=data["sayings"], headings=data["headings"]),
        first=_chance(data["trees"], evidence.NAMES),
        again=_chance(data["again"], context.NAMES),
    )


def _chance(trees: list[Any], names: tuple[str, ...]) -> Chance:
    """Return the trees as one function: a third of the time that walking them takes."""
    column = {name: f"c{number}" for number, name in enumerate(names)}

    def expression(node: Any) -> str:
        if not isinstance(node, list):
            return repr(float(node))
        name, least, below, above = node
        return f"({expression(below)} if {column[name]} <= {float(least)!r} else {expression(above)})"

    sums = [f"total += {expression(tree)}" for tree in trees]
    lines = [f"{', '.join(column.values())} = row", "total = 0.0", *sums]
    source = "\n ".join(["def chance(row):", *lines, "return 1.0 / (1.0 + exp(-total))"])
    known: dict[str, Any] = {"exp": math.exp}
    exec(source, known)  # noqa: S102 - its names are those of our columns, all else in it are numbers
    return cast("Chance", known["chance"])


def verdict(found: Blocks, about: About, uri: str, opinion: Opinion | None = None) -> Verdict:
    """Return which blocks to keep: those that make the expected F1 of the choice largest.

    Args:
        found: the page's blocks.
        about: what the page says about itself.
        uri: its address.
        opinion: what another extractor takes for content; asked about an article that is not sure.
    """
    learned = model()
    words = [block.words for block in found.blocks]
    rows = evidence.rows(found, about, uri, learned.weights)
    chances = list(map(learned.first, rows))
    _, hoped = best_threshold(chances, words)

    def again(opinion: list[float] | None) -> list[float]:
        out = list(chances)
        for place, row in context.rows(found, rows, chances, hoped, opinion).items():
            out[place] = learned.again(row)
        return out

    second = again(None)
    threshold, sureness = best_threshold(second, words)
    held = opinion(found) if about.article and opinion is not None and sureness < _SURE_OF_ARTICLE else None
    if held:
        second = again(held)
        threshold, sureness = best_threshold(second, words)
    return choice(found, about, second, threshold, sureness, held=held)


def choice(
    found: Blocks,
    about: About,
    chances: list[float],
    threshold: float,
    sureness: float,
    *,
    held: list[float] | None = None,
) -> Verdict:
    """Return which blocks to keep, given their chances: tables whole, headings with what stands under them.

    Args:
        found: the page's blocks.
        about: what the page says about itself.
        chances: how likely each block is content.
        threshold: the least chance that is worth keeping.
        sureness: the F1 to be expected of that.
        held: how much of each block another extractor takes for an article's text; None where it was not asked.
    """
    if about.article:
        threshold = max(threshold, min(threshold + _STRICTER, _STRICTEST))
    keep = [one >= threshold for one in chances]
    if held:
        keep = _agreed(found, chances, keep, held)
    _whole_tables(found, chances, keep, threshold)
    if about.article:
        _ended(found, keep)
    _mended(found, chances, keep, article=about.article)
    if not about.article:
        _titled(found, keep, about.title)
    return Verdict(keep=keep, sureness=sureness)


def _agreed(found: Blocks, chances: list[float], keep: list[bool], held: list[float]) -> list[bool]:
    """Return what both the trees and another extractor take for an article's text, and what either is certain of."""
    kept = [(block.words, share) for block, kept, share in zip(found.blocks, keep, held, strict=True) if kept]
    if sum(words * share for words, share in kept) < _HEARD_OF_KEPT * sum(words for words, _ in kept):
        return keep
    least, most = _SEEN_BY_BOTH
    return [
        (one and (share >= _AGREED or chance >= _CERTAIN_WITHOUT or block.part.tag == "pre"))
        or (share >= most and chance >= least)
        for block, chance, one, share in zip(found.blocks, chances, keep, held, strict=True)
    ]


def best_threshold(chances: list[float], words: list[int]) -> tuple[float, float]:
    """Return the least chance that is worth keeping, and the F1 that the choice may expect."""
    hoped = sum(chance * count for chance, count in zip(chances, words, strict=True))
    right = taken = 0.0
    threshold, best = 1.0, 0.0
    for chance, count in sorted(zip(chances, words, strict=True), reverse=True):
        right += chance * count
        taken += count
        if (expected := 2 * right / (taken + hoped)) >= best:
            threshold, best = chance, expected
    return threshold, best


def mark(found: Blocks, keep: list[bool], kinds: dict[int, str], *, pictured: bool) -> list[str]:
    """Mark in ``kinds`` as dropped the outermost elements without a kept block, and loose text; return what went.

    Args:
        found: the page's blocks.
        keep: which of them are content.
        kinds: what each node is, by `mem_id`; changed.
        pictured: pictures belong to the text even where no figure or paragraph holds them.
    """
    kept_before = [0]
    for one in keep:
        kept_before.append(kept_before[-1] + one)
    first = keep.index(True) if True in keep else len(keep)
    last = len(keep) - 1 - keep[::-1].index(True) if True in keep else -1
    gone: set[int] = set()
    dropped: list[str] = []
    repeated = _Heard(found, keep).repeated
    kinds.update(
        (image.node.mem_id, DROP)
        for image in found.images
        # The picture of a teaser says what its text says.
        if image.linked or (image.loose and not pictured) or repeated(image)
    )
    for part in found.parts:
        if part.up is not None and id(part.up) in gone:
            gone.add(id(part))
            continue
        if part.first == part.last:
            stays = first < part.first <= last  # it has no text: a picture between kept text stays
        else:
            stays = kept_before[part.last] > kept_before[part.first]
        if not stays:
            gone.add(id(part))
            kinds[part.node.mem_id] = DROP
            if part.words >= _WORTH_TELLING:
                dropped.append(f"{part.tag} {part.named[:40]}".strip())
    for block, kept in zip(found.blocks, keep, strict=True):
        if not kept and id(block.part) not in gone:
            kinds.update((node.mem_id, DROP) for node in block.nodes)
    return dropped


class _Heard:
    """What a page's headings and pictures have said: a picture is told where it says more."""

    def __init__(self, found: Blocks, keep: list[bool]) -> None:
        self._blocks, self._keep = found.blocks, keep
        self._said: list[frozenset[str]] = []
        self._read = 0

    def repeated(self, image: Image) -> bool:
        """Say whether a heading above, a picture before or the text beside says all that an image's alt says."""
        alt = _spoken(image.node.attributes.get("alt") or "")
        for place in range(self._read, image.place):
            if self._keep[place] and self._blocks[place].part.tag in HEADINGS:
                self._said.append(_spoken(self._blocks[place].text))
        self._read = max(self._read, image.place)
        beside = (
            _spoken(self._blocks[place].text)
            for place in (image.place - 1, image.place)
            if 0 <= place < len(self._blocks) and self._keep[place]
        )
        if any(alt <= said for said in self._said[-_MOST_HEARD:]) or any(alt <= said for said in beside):
            return True
        self._said.append(alt)
        return False


def _spoken(text: str) -> frozenset[str]:
    return frozenset(_SPOKEN.findall(text.lower()))


def home(found: Blocks, keep: list[bool]) -> Part:
    """Return the deepest element that holds all kept blocks."""
    part = found.parts[0]
    first = keep.index(True)
    last = len(keep) - keep[::-1].index(True)
    for inner in found.parts:
        if inner.up is part and inner.first <= first and inner.last >= last:
            part = inner
    return part


def _ended(found: Blocks, keep: list[bool]) -> None:
    """An article ends with text: cards of links after it go, with their headings, unless they are much of the page."""
    last = len(keep)
    words = 0
    for place in range(len(keep) - 1, -1, -1):
        block = found.blocks[place]
        if not keep[place]:
            continue
        if block.part.tag not in HEADINGS:
            if block.part.tag == "li" or block.linked < _ALL_LINKS * block.words:
                break
            words += block.words
        last = place
    every = sum(block.words for block, kept in zip(found.blocks, keep, strict=True) if kept)
    if words and words <= _MOST_AFTER * every:
        keep[last:] = [False] * (len(keep) - last)


def _whole_tables(found: Blocks, chances: list[float], keep: list[bool], threshold: float) -> None:
    """A table of data is kept or dropped as one: half of its rows say something else."""
    for part in found.parts:
        if part.tag != "table" or part.last - part.first < 2 or not _holds_rows_alone(found, part):  # noqa: PLR2004 - one cell is no table
            continue
        inside = range(part.first, part.last)
        mean = sum(chances[place] * found.blocks[place].words for place in inside) / max(part.words, 1)
        for place in inside:
            keep[place] = mean >= threshold


def _holds_rows_alone(found: Blocks, table: Part) -> bool:
    for place in range(table.first, table.last):
        part: Part | None = found.blocks[place].part
        while part is not None and part is not table:
            if part.tag not in _ROWS:
                return False
            part = part.up
    return True


def _titled(found: Blocks, keep: list[bool], title: str) -> None:
    """Keep the page's one h1 where it says how the page's title begins."""
    heads = [place for place, block in enumerate(found.blocks) if block.part.tag == "h1"]
    if len(heads) == 1 and True in keep[heads[0] :] and title.startswith(found.blocks[heads[0]].text):
        keep[heads[0]] = True


def _heading_or_own(part: Part) -> str:
    """Return an element's tag, or that of the heading whose words it holds."""
    return part.up.tag if part.up is not None and part.up.tag in HEADINGS else part.tag


def _mended(found: Blocks, chances: list[float], keep: list[bool], *, article: bool) -> None:
    """Keep headings of kept text and code between kept text; drop headings under which nothing is kept."""
    blocks = found.blocks
    under = [False] * 7  # by level: whether text is kept before the next heading of that level or above
    after = False
    for place in range(len(blocks) - 1, -1, -1):
        tag = _heading_or_own(blocks[place].part)
        if tag in HEADINGS:
            level = int(tag[1])
            if level > 1:
                least = _KEEP_HEADING_OF_TEXT if after and not article else _KEEP_HEADING
                likely = keep[place] or chances[place] >= least
                empty = after and not article and chances[place] >= _KEEP_EMPTY_HEADING
                keep[place] = (under[level] and likely) or empty
            under[level:] = [False] * (7 - level)
        else:
            if tag == "pre" and not keep[place]:
                keep[place] = chances[place] >= _BETWEEN and (after or (place > 0 and keep[place - 1]))
            if keep[place]:
                under = [True] * 7
        after = keep[place]
