"""What a page shows as a whole: its address, its structured types, what its text is made of; numbers for `evidence`."""

# ruff: noqa: E501 - tables of words are read by their rows

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from connectors.extractors.html.blocks import HEADINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.extractors.html.blocks import Blocks
    from connectors.extractors.html.metadata import About

# Of what an address tells: the first of its words (the host's first name, then the path's) that stands in a row counts.
_ADDRESSES = (
    "blog news article articles story post posts press magazine stories",
    "product products p dp item itm pd prod",
    "forum forums thread threads topic t viewtopic questions discussion community showthread discussions r comments",
    "docs doc documentation help support guide guides manual reference wiki learn tutorial tutorials api kb",
    "category categories collection collections shop c catalog store browse tag search b cat brand brands",
    "services service solutions about pricing features platform company use-cases solution",
    "courses jobs events directory reviews best list careers resources archive archives author topics",
)
_ADDRESS = {word: place for place, words in enumerate(_ADDRESSES, 1) for word in words.split()}
_TYPES = (
    "Product ProductGroup",
    "ItemList CollectionPage SearchResultsPage",
    "DiscussionForumPosting QAPage Question",
    "FAQPage",
    "Service SoftwareApplication LocalBusiness",
    "Article NewsArticle BlogPosting",
    "TechArticle",
    "Recipe HowTo",
)
_TYPE = {name: place for place, names in enumerate(_TYPES, 1) for name in names.split()}
_ENDING = re.compile(r"\.\w+$")
_NUMBER = re.compile(r"\d{3,}")
_SHORT = 6  # words
_PRICES, _ANSWERS, _DATES = 7, 6, 9  # groups of the phrases in `evidence`
_LONG_WORD = 4


def described(about: About) -> frozenset[str]:
    """Return the longer words of the page's description."""
    return frozenset(word for word in about.description.lower().split() if len(word) >= _LONG_WORD)


def _address(uri: str) -> list[float]:
    parts = urlsplit(uri)
    steps = [step for step in parts.path.lower().split("/") if step]
    last = steps[-1] if steps else ""
    host = (parts.hostname or "").partition(".")[0]
    kinds = (_ADDRESS[word] for word in (host, *steps[:-1], _ENDING.sub("", last)) if word in _ADDRESS)
    return [
        float(next(kinds, 0)),
        float(len(steps)),
        float(last.count("-") + last.count("_")),
        float(_NUMBER.search(parts.path) is not None),
    ]


def columns(found: Blocks, about: About, uri: str, phrases: Sequence[int], most_alike: float) -> list[float]:
    """Return what is the same for all blocks of a page, in the order of `NAMES`.

    Args:
        found: the page's blocks.
        about: what it says about itself.
        uri: its address.
        phrases: which group of phrases each block belongs to.
        most_alike: the share of its text that stands in elements of one shape.
    """
    blocks = found.blocks
    many, total = max(len(blocks), 1), max(found.parts[0].words, 1)
    words = {"p": 0, "li": 0, "td": 0, "h": 0}
    for block in blocks:
        tag = "h" if block.part.tag in HEADINGS else block.part.tag
        if tag in words:
            words[tag] += block.words
    return [
        float(min((_TYPE[kind] for kind in about.kinds if kind in _TYPE), default=0)),
        *_address(uri),
        float(bool(about.date)),
        float(bool(about.author)),
        *(count / total for count in words.values()),
        phrases.count(_PRICES) / many,
        phrases.count(_ANSWERS) / many,
        phrases.count(_DATES) / many,
        sum(block.words < _SHORT for block in blocks) / many,
        most_alike,
        float(len(described(about))),
        found.parts[0].pictures / many,
    ]


NAMES = (
    "type", "address", "steps", "hyphens", "numbered", "dated", "by somebody", "of p", "of li", "of td", "of headings", "prices", "answers", "dates",
    "short blocks", "most alike", "described words", "pictures",
)  # fmt: skip
