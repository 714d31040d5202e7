"""The language of a text that declares none: English by its commonest words, any other by a model."""

from __future__ import annotations

_ENOUGH = 200
_LOOKED_AT = 1_200
_LEAST_SHARE = 1 / 12
_LEAST_KINDS = 4
_MOST_FOREIGN = 1 / 4


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ENGLISH = _words(
    "the and that this with are which from by it be you if can has when your these have was but they there their would"
    " will about into of"
)
_FOREIGN = _words(
    "de la le les et des du une que el los las en un por con para der die das und ist nicht ein eine den von mit auf il"
    " di che della per non att det som ett av het van voor niet na w z się nie não uma os um é à og til på er ve ile"
)


def detected(text: str) -> str:
    """Return the language (ISO 639) that a text is written in; empty where it is too short to say."""
    if len(text) < _ENOUGH:
        return ""
    start = text[:_LOOKED_AT]
    if is_english(start):
        return "en"
    import py3langid  # it brings numpy and a model, and most pages are in English or declare their language

    return str(py3langid.classify(start)[0])


def is_english(text: str) -> bool:
    """Say whether a text is English beyond doubt: many of its words are ones that every English text has."""
    words = text.lower().split()
    common = [word for word in words if word in _ENGLISH]
    if len(common) < _LEAST_SHARE * len(words) or len(set(common)) < _LEAST_KINDS:
        return False
    latin = 1.1 * len(text) > len(text.encode("utf-8", "replace"))  # what has no word spaces has few words to count
    return latin and sum(map(_FOREIGN.__contains__, words)) < _MOST_FOREIGN * len(common)
