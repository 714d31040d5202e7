"""The encoding of a text where nobody says it and it is no UTF-8."""

from __future__ import annotations

import re
import unicodedata

_LEGACY = ("cp932", "euc_jp", "cp949", "gb18030", "big5", "koi8_r", "cp1251", "cp1253", "cp1252")
"""What texts are written in whose letters are mostly no ASCII; a western one is decided before these are asked."""
_SHOWN = {"cp932": "shift_jis", "cp949": "euc-kr", **{f"cp125{digit}": f"windows-125{digit}" for digit in range(9)}}
_SAMPLE = 32 * 1024
_LONGEST = 4  # bytes of a character
_FEWEST = 16  # bytes beyond ASCII: fewer say nothing of a language
_WESTERN = 0.25  # of a text's letters: Icelandic, which has most, has an eighth
_OTHERS = re.compile(rb"<(?:script|style)\b.*?</(?:script|style)|<[^>]*>", re.IGNORECASE | re.DOTALL)
_LETTERS = re.compile(rb"[A-Za-z]")
_BEYOND = re.compile(rb"[\x80-\xff]")
_NO_TEXT = frozenset({"Cc", "Cn", "Co", "Cs"})
_LAYOUT = frozenset("\t\n\r\f")
_COMMON = frozenset(" \n0123456789\u3000\u3001\u3002")
_MOST_ODD = 0.01


def guessed(body: bytes) -> str:
    """Return the codec that bytes are most probably written in, of which nobody says it and which are no UTF-8.

    ``cp1252`` where nothing speaks for another: every byte has a meaning in it. Markup is not looked at.
    """
    if wide := without_mark(body):
        return wide
    sample = _OTHERS.sub(b" ", body[: 4 * _SAMPLE])[:_SAMPLE]
    beyond, letters = len(_BEYOND.findall(sample)), len(_LETTERS.findall(sample))
    if beyond < _FEWEST or beyond < _WESTERN * (beyond + letters):
        return "cp1252"
    from charset_normalizer import from_bytes  # few texts need it

    for cut in range(_LONGEST):  # the sample, or the text, may end within a character
        best = from_bytes(sample[: len(sample) - cut], cp_isolation=list(_LEGACY), enable_fallback=False).best()
        if best is not None and best.encoding != "cp1252":
            return best.encoding
    return "cp1252"


def without_mark(body: bytes) -> str:
    """Return ``utf-16-le`` or ``utf-16-be`` where the bytes are text in it, although no mark says so; else nothing.

    Every longer text has line breaks, spaces or digits, so a zero byte, and the wrong way round it has none of them.
    """
    sample = body[:_SAMPLE]
    if b"\0" not in sample or len(body) % 2:
        return ""
    little, big = sample.decode("utf-16-le", "replace"), sample.decode("utf-16-be", "replace")
    more, fewer = sorted((_common(little), _common(big)), reverse=True)
    name, text = ("utf-16-le", little) if _common(little) == more else ("utf-16-be", big)
    return name if more > fewer and _odd(text) <= _MOST_ODD * len(text) else ""


def _common(text: str) -> int:
    return sum(sign in _COMMON for sign in text)


def _odd(text: str) -> int:
    """Count what stands in no text."""
    return sum(sign == "\ufffd" or (sign not in _LAYOUT and unicodedata.category(sign) in _NO_TEXT) for sign in text)


def shown(codec: str) -> str:
    """Return a codec's name as people write it."""
    return _SHOWN.get(codec, codec.replace("_", "-"))
