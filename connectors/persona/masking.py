"""Takes the client secret out of a text, in whatever letters a server wrote it. Pure."""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHORTEST_CUT = 6
_SHORTEST_FORM = 8  # shorter ones stand in ordinary words
_TELLING = 12  # so many letters of it in a row are no accident
_READ_AT_MOST = 200_000
_MASK = "***"
_CODED = re.compile(r"[A-Za-z0-9+/_=-]{8,}")
_ESCAPED = re.compile(r"\\(?:u\{?([0-9A-Fa-f]{2,6})\}?|x([0-9A-Fa-f]{2}))")
_PAIRS = re.compile(r"(?:[0-9A-Fa-f]{2}[\s:.,-]+){7,}[0-9A-Fa-f]{2}")
_LETTERS = re.compile(r"[\W_]+")


def masked(text: str, secret: str) -> str:
    """Return the text without the secret.

    Plain, percent-encoded or base64, whole or cut off at the text's end, it becomes ``***``. Where it still shows in
    another case, another coding or two of them, what stands after the first colon goes, and else the whole text.
    """
    if not secret:
        return text
    text = _without_forms(text, secret)
    if not _shows(text, secret):
        return text
    head, colon, _ = text.partition(": ")
    return f"{head}: {_MASK}" if colon and not _shows(head, secret) else _MASK


def _without_forms(text: str, secret: str) -> str:
    forms = sorted(_forms(secret), key=len, reverse=True)
    for form in forms:
        text = text.replace(form, _MASK)
    bare = text.rstrip(" .…'\"")
    for form in forms:
        for length in range(len(form) - 1, _SHORTEST_CUT - 1, -1):
            if bare.endswith(form[:length]):
                return bare[:-length] + _MASK
    return text


def _forms(secret: str) -> set[str]:
    data = secret.encode()
    forms = {secret, quote(secret, safe=""), quote(secret), quote(secret, safe="").lower()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # Only the letters that no neighbour of the secret has a share in.
            letters = encode(b"\0" * before + data).decode().rstrip("=")
            whole = (len(data) + before) * 8 // 6
            forms.add(letters[-(-before * 8 // 6) : whole])
    return {secret} | {form for form in forms if len(form) >= _SHORTEST_FORM}


def _shows(text: str, secret: str) -> bool:
    """Say whether somebody who decodes the text once or twice reads the secret, or much of it."""
    wanted = _skeleton(secret)
    if len(wanted) < _SHORTEST_FORM:
        return False
    pieces = {wanted[at : at + _TELLING] for at in range(max(1, len(wanted) - _TELLING + 1))}
    once = set(_readings(text[:_READ_AT_MOST]))
    twice = {further for reading in once for further in _readings(reading)}
    return any(piece in skeleton for skeleton in map(_skeleton, once | twice) for piece in pieces)


def _skeleton(text: str) -> str:
    """Return the letters and digits alone: case, spaces and signs between them hide nothing."""
    return _LETTERS.sub("", text).casefold()


def _readings(text: str) -> Iterator[str]:
    yield text
    for read in _READINGS:
        yield read(text)


def _decoded(decode: Callable[[str], bytes]) -> Callable[[str], str]:
    """Return what decodes each word of a text that may be coded."""

    def word(found: re.Match[str]) -> str:
        for skipped in range(4):  # where it begins inside the word is not known
            try:
                return decode(found[0][skipped:].rstrip("=")).decode("latin-1")
            except (binascii.Error, ValueError):
                continue
        return found[0]

    return lambda text: _CODED.sub(word, text)


def _base64(word: str) -> bytes:
    whole = word.replace("-", "+").replace("_", "/")
    whole = whole[:-1] if len(whole) % 4 == 1 else whole
    return base64.b64decode(whole + "=" * (-len(whole) % 4))


def _base32(word: str) -> bytes:
    whole = word.upper()[: len(word) - len(word) % 8]
    return base64.b32decode(whole)


def _hex(word: str) -> bytes:
    return bytes.fromhex(word[: len(word) - len(word) % 2])


def _escapes(text: str) -> str:
    def letter(found: re.Match[str]) -> str:
        number = int(found[1] or found[2], 16)
        return chr(number) if number <= 0x10FFFF else found[0]  # noqa: PLR2004 - the last character there is

    return _ESCAPED.sub(letter, text)


_READINGS: tuple[Callable[[str], str], ...] = (
    unquote,
    html.unescape,
    _escapes,
    lambda text: unicodedata.normalize("NFKC", text),
    lambda text: text[::-1],
    lambda text: codecs.encode(text, "rot13"),
    _decoded(_base64),
    _decoded(_base32),
    _decoded(_hex),
    lambda text: _PAIRS.sub(lambda found: _LETTERS.sub("", found[0]), text),
)
