"""The language of a text that declares none: English by its commonest words, any other by a model."""

from __future__ import annotations

import re

_ENOUGH = 200
_LOOKED_AT = 1_200
_SECOND_LOOK = 60_000
_MARKUP = re.compile(r"\]\([^)\s]*\)|[*#`[|]")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_BESIDE_WORDS = ".,;:!?()\"'"
_FEWEST_WORDS = 8  # that are no names: less is in no language
_MOSTLY_ASCII = 1.1  # bytes a letter: what has no spaces between words has few words to count
_MOST_FOREIGN = 1 / 4  # of the common words: English has "per" and names "La", too
_FEW, _FEW_KINDS = 3, 2


def _words(text: str) -> frozenset[str]:
    words = text.split()
    return frozenset([*words, *(word.title() for word in words if len(word) > 1)])  # not in capitals, which are SQL


_ENGLISH = _words(
    "the and that this with are which from by it be you if can has when your these have was but they there their would"
    " will about into of only what how more other using used see contents chapter example each same between also must"
    " may should than then where while because such some"
)
_ENGLISH_BESIDE_CODE = _ENGLISH | _words("for all not to an its on as or is in")
_FOREIGN = _words(
    "de la le les et des du une que el los las en un por con para der die das und ist nicht ein eine den von mit auf il"
    " di che della per non att det som ett av het van voor niet na w z się nie não uma os um é à og til på er ve ile"
    " ja että az és hogy egy nem se je že si în nu cu mai yang dan untuk dengan và của là có za της και το"
)


def detected(text: str) -> str:
    """Return the language (ISO 639) that a text is written in; empty where it has too few words to say."""
    if len(text) < _ENOUGH:
        return ""
    start, much = text[:_LOOKED_AT], text[:_SECOND_LOOK]
    if is_english(start) or is_english(_MARKUP.sub("", much)):  # a list of links hides its words
        return "en"
    if _is_ascii(much):
        prose = _prose(much)
        if is_english(" ".join(prose), _ENGLISH_BESIDE_CODE):
            return "en"
        if len({word for word in prose if word.islower() and len(word) > 1}) < _FEWEST_WORDS:
            return ""  # a page of names: an index, a tree of classes, constants
    import py3langid  # it brings numpy and a model, and most pages are in English or declare their language

    return str(py3langid.classify(start)[0])


def _is_ascii(text: str) -> bool:
    return text.isascii() or len(text.encode("utf-8", "replace")) <= _MOSTLY_ASCII * len(text)


def _prose(text: str) -> list[str]:
    """Return a text's words without those in code, in addresses and in names that are no words."""
    words = (word.strip(_BESIDE_WORDS) for word in _MARKUP.sub("", _CODE.sub(" ", text)).split())
    return [word for word in words if word.isalpha()]


def is_english(text: str, common_words: frozenset[str] = _ENGLISH) -> bool:
    """Say whether a text is English beyond doubt: many of its words are ones that every English text has.

    Where names and code leave room for few, these will do; of other languages' common words it has fewer by far.

    Args:
        text: Markdown.
        common_words: which every English text has; those that code has too only where there is none.
    """
    words = text.split()
    common = list(filter(common_words.__contains__, words))
    if len(common) < _FEW or len(set(common)) < _FEW_KINDS or not _is_ascii(text):
        return False
    foreign = 0 if _FOREIGN.isdisjoint(words) else sum(map(_FOREIGN.__contains__, words))
    return foreign < _MOST_FOREIGN * len(common)
