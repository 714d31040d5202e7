"""Which kind of document some bytes are: what was declared, checked against what they look like. Pure."""

from __future__ import annotations

import re
from io import BytesIO
from urllib.parse import unquote, urlsplit

from connectors.extractors.charset import without_mark
from connectors.media_types import (
    BY_SUFFIX,
    CSV,
    DOCX,
    EML,
    EPUB,
    HTML,
    MARKDOWN,
    OLE,
    PDF,
    PPTX,
    RST,
    RTF,
    TEXT,
    TSV,
    XLSX,
    ZIP,
    suffix_of,
)

_ALIASES = {
    "application/xhtml+xml": HTML,
    "application/x-pdf": PDF,
    "application/x-zip-compressed": ZIP,
    "text/rtf": RTF,
    "application/x-rtf": RTF,
    "text/x-markdown": MARKDOWN,
    "text/x-web-markdown": MARKDOWN,
    "text/prs.fallenstein.rst": RST,
    "text/restructuredtext": RST,
    "application/csv": CSV,
    "application/msword": OLE,
    "application/vnd.ms-excel": OLE,
    "application/vnd.ms-powerpoint": OLE,
}
_VAGUE = frozenset(
    {"", "application/octet-stream", "binary/octet-stream", "application/x-download", "application/unknown"}
)
_TEXTUAL = frozenset({HTML, MARKDOWN, RST, TEXT, CSV, EML, TSV})
_MARKUP = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
_MAIL = re.compile(rb"\A(?:(?:[A-Za-z][A-Za-z0-9-]*:[^\n]*|[ \t][^\n]*)\r?\n){2,}")
_MAIL_FIELD = re.compile(rb"^(?:from|received|message-id):", re.IGNORECASE | re.MULTILINE)


def media_type(declared: str, *, uri: str, body: bytes) -> str:
    """Return the media type to read ``body`` by: the declared one, unless the bytes prove it wrong or it is vague."""
    declared = _ALIASES.get(declared, declared)
    seen = magic(body)
    if seen:
        return HTML if seen == HTML and declared in _VAGUE | {TEXT, HTML} else declared if seen == HTML else seen
    if declared not in _VAGUE and not (declared == TEXT and by_name(uri) in _TEXTUAL):
        return declared
    named = by_name(uri)
    if named in _TEXTUAL:
        return named
    return _text_or_nothing(body)


def by_name(uri: str) -> str:
    """Return the media type that the last path segment's suffix stands for; empty when it stands for none."""
    return BY_SUFFIX.get(suffix_of(unquote(urlsplit(uri).path)), "")


def magic(body: bytes) -> str:
    """Return the media type that the first bytes prove; empty when they prove nothing."""
    head = body[:4096]
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(body)
    if head.startswith(b"{\\rtf"):
        return RTF
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return OLE
    if _MARKUP.match(head):
        return HTML
    return PDF if b"%PDF-" in head[:1024] else ""


def _zip_kind(body: bytes) -> str:
    import zipfile  # it brings much, and most sites have no archives

    try:
        with zipfile.ZipFile(BytesIO(body)) as archive:
            names = set(archive.namelist()[:10_000])
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:  # noqa: PLR2004 - one media type
                return archive.read("mimetype").decode("ascii", "replace").strip() or ZIP
    except Exception:  # noqa: BLE001 - a broken archive is still an archive; who unpacks it says what is wrong
        return ZIP
    for part, kind in (("word/", DOCX), ("ppt/", PPTX), ("xl/", XLSX)):
        if "[Content_Types].xml" in names and any(name.startswith(part) for name in names):
            return kind
    return EPUB if "META-INF/container.xml" in names else ZIP


def _text_or_nothing(body: bytes) -> str:
    head = body[:4096]
    if _MAIL.match(head) and len(_MAIL_FIELD.findall(head)) > 0:
        return EML
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16 says so
        return TEXT
    if b"\0" in head:
        return TEXT if without_mark(body) else ""
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)  # noqa: PLR2004 - C0 controls
    return "" if control > len(head) // 50 else TEXT
