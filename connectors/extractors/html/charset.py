"""Bytes of an HTML page to text, by the HTML standard's encoding sniffing."""

from __future__ import annotations

import codecs
import contextlib
import re
from dataclasses import dataclass
from functools import lru_cache

from connectors.extractors import charset as charsets

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16-be"), (b"\xff\xfe", "utf-16-le"))

# Labels whose meaning on the web is not what Python's codec of that name does (Encoding Standard, section 4.2).
_WEB_CODECS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "hz": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "utf-16": "utf-16-le",
}
_WEB_LABELS = {
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "ms_kanji": "cp932",
    "ks_c_5601-1987": "cp949",
    "korean": "cp949",
    "x-gbk": "gb18030",
    "gb_2312-80": "gb18030",
    "x-cp1250": "cp1250",
    "x-cp1251": "cp1251",
    "x-cp1252": "cp1252",
    "x-mac-cyrillic": "mac-cyrillic",
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "logical": "iso8859-8",
    "visual": "iso8859-8",
    "iso-8859-8-i": "iso8859-8",
    "x-euc-jp": "euc_jp",
    "unicode-1-1-utf-8": "utf-8",
    "x-unicode20utf8": "utf-8",
    "unicode20utf8": "utf-8",
    "utf8": "utf-8",
    "x-user-defined": "cp1252",
}
_NOT_TEXT = frozenset({"utf-7", "idna", "punycode", "utf-32", "utf-32-le", "utf-32-be", "mbcs", "undefined", "cp65001"})

# The prescan looks at the first kilobyte; pages with a long head before their meta exist, and browsers read on
# while the answer arrives in one piece, so we look a little further.
_PRESCAN_BYTES = 4096
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_META = re.compile(rb"<meta[\s/]([^>]*)", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"""([^\s=/>"']+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+)))?""")
_CHARSET_IN_CONTENT = re.compile(rb"""charset\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;"']+))""", re.IGNORECASE)
_XML_DECLARATION = re.compile(rb"""\A\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._:-]+)["']""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A page's text, the codec that read it, who named that codec, and whether other bytes were among it.

    Attributes:
        raw: the text in UTF-8, where it came so.
    """

    text: str
    encoding: str
    source: str
    mixed: bool = False
    raw: bytes = b""


def codec(label: str) -> str:
    """Return the Python codec for an encoding label of the web; empty when the label means nothing.

    Source: Encoding Standard, section 4.2 (names and labels).
    """
    label = label.strip().strip("\"'").lower()
    if not label:
        return ""
    if label in _WEB_LABELS:
        return _WEB_LABELS[label]
    try:
        name = codecs.lookup(label).name
        "".encode(name)
    except (LookupError, ValueError, UnicodeError):
        return ""
    if name in _NOT_TEXT:
        return ""
    return _WEB_CODECS.get(name, name)


def prescan(data: bytes) -> str:
    """Return the codec that the page's own meta elements declare; empty when they declare none.

    Source: HTML Standard, section 13.2.3.2 (prescan a byte stream to determine its encoding).
    """
    head = data[:_PRESCAN_BYTES]
    if b"<!--" in head:
        head = _COMMENT.sub(b"", head)
    for meta in _META.findall(head):
        if name := _declared(meta):
            # A meta that could be read as ASCII cannot stand in UTF-16.
            return "utf-8" if name.startswith("utf-16") else name
    declared = _XML_DECLARATION.match(head)
    return codec(declared.group(1).decode("ascii")) if declared else ""


@lru_cache(maxsize=256)  # the pages of a site declare the same
def _declared(meta: bytes) -> str:
    """Return the codec that a meta element, given by what stands after its name, declares; empty when none."""
    attributes: dict[bytes, bytes] = {}
    for name, *values in _ATTRIBUTE.findall(meta):
        attributes.setdefault(name.lower(), b"".join(values))
    label = attributes.get(b"charset", b"")
    if not label and attributes.get(b"http-equiv", b"").lower() == b"content-type":
        found = _CHARSET_IN_CONTENT.search(attributes.get(b"content", b""))
        label = b"".join(group or b"" for group in found.groups()) if found else b""
    return codec(label.decode("ascii", "replace"))


def _stray_bytes(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("persona-stray", _stray_bytes)


def _candidates(data: bytes, transport: str) -> list[tuple[str, str]]:
    found = [(name, "bom") for mark, name in _BOMS if data.startswith(mark)]
    if declared := codec(transport):
        found.append((declared, "transport"))
    if meta := prescan(data):
        found.append((meta, "meta"))
    return found


def decode(data: bytes, transport: str = "") -> Decoded:
    """Decode a page: byte order mark, transport, meta, then UTF-8 where it is valid, and what it looks like where not.

    Bytes that are invalid in the declared encoding are read as windows-1252 one by one and reported as ``mixed``,
    unless the page's own meta names an encoding that reads all of it.

    Source: HTML Standard, section 13.2.3.2.
    """
    candidates = _candidates(data, transport)
    for place, (name, source) in enumerate(candidates):
        try:
            text = data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
        raw = data if name == "utf-8" else b""
        return Decoded(text=text.removeprefix("\ufeff"), encoding=name, source=source, mixed=place > 0, raw=raw)
    if candidates:
        name, source = candidates[0]
        errors = "persona-stray" if name == "utf-8" else "replace"
        text = data.decode(name, errors).removeprefix("\ufeff")
        undefined = name.startswith("cp125") and text.count("\ufffd") < 5  # noqa: PLR2004 - bytes the code page leaves open
        return Decoded(text=text, encoding=name, source=source, mixed=not undefined)
    wide = charsets.without_mark(data)
    if not wide:
        with contextlib.suppress(UnicodeDecodeError):
            return Decoded(text=data.decode("utf-8"), encoding="utf-8", source="valid", raw=data)
    name = wide or charsets.guessed(data)
    return Decoded(text=data.decode(name, "replace"), encoding=name, source="fallback")
