"""How values are stored: hashes of URIs, compressed text, packed numbers, times."""

from __future__ import annotations

import hashlib
import json
import threading
from array import array
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson
import zstandard

from connectors.models import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_TEXT = 1 << 30
_SHORT = 200
_RAW, _ZSTD = b"\x00", b"\x01"
NO_TEXT = _RAW
"""The content of a version that nobody will send any more: an empty text."""
_AS_TEXT = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
_MASK = 2**64 - 1


@lru_cache(256)  # what is recorded of a page asks for its own five times
def uri_hash(uri: str) -> int:
    """Return the 64 bits under which a URI is found; two of a million collide once in 40 million ledgers."""
    digest = hashlib.blake2b(uri.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def text_key(text_hash: str) -> bytes:
    """Return the 128 bits under which a page's text is found; ``text_hash`` is hexadecimal, or anything in tests."""
    try:
        return bytes.fromhex(text_hash)[:16]
    except ValueError:
        return hashlib.blake2b(text_hash.encode(), digest_size=16).digest()


def pack_text(text: str) -> bytes:
    """Compress a text; a short one stays as it is."""
    return pack(text.encode("utf-8", "surrogatepass"))


def pack(data: bytes) -> bytes:
    """Compress a text that is bytes already."""
    return _RAW + data if len(data) < _SHORT else _ZSTD + _own.compressor.compress(data)


class _Own(threading.local):
    """Each thread's compressor and its reverse: making one costs more than a page's text, and no two may share it."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=1)
        self.decompressor = zstandard.ZstdDecompressor()


_own = _Own()


def unpack_text(data: bytes) -> str:
    """Undo `pack_text`."""
    data = bytes(data)
    plain = data[1:] if data[:1] == _RAW else _own.decompressor.decompress(data[1:], max_output_size=_MOST_TEXT)
    return plain.decode("utf-8", "surrogatepass")


def pack_links(links: Sequence[str]) -> bytes:
    """Compress URIs, which hold no line break."""
    return pack_text("\n".join(links)) if links else b""


def unpack_links(data: bytes) -> tuple[str, ...]:
    """Undo `pack_links`."""
    return tuple(unpack_text(data).split("\n")) if data else ()


def pack_blocks(blocks: Sequence[int]) -> bytes:
    """Store 64-bit hashes, eight bytes each."""
    try:
        return array("Q", blocks).tobytes()
    except OverflowError:  # somebody's hashes are signed
        return array("Q", (block & _MASK for block in blocks)).tobytes()


def unpack_blocks(data: bytes) -> array[int]:
    """Undo `pack_blocks`; the numbers are unsigned."""
    return array("Q", bytes(data))


def dump(value: Any) -> str:
    """Return JSON that every database stores and every API reads; what JSON cannot say becomes text."""
    try:
        return plain(orjson.dumps(value, default=str, option=_AS_TEXT).decode())
    except TypeError:  # half a surrogate pair, a key that is no text, a number of more than 64 bits
        return plain(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))


def load(text: str) -> Any:
    """Undo `dump`; a whole number of more than 64 bits may lose digits."""
    try:
        return orjson.loads(text)
    except ValueError:  # not a number, which only the slow writer writes
        return json.loads(text)


def plain(text: str) -> str:
    """Return a text that every database stores: no NUL, no half of a surrogate pair."""
    return text if text.isascii() and "\x00" not in text else plain_bytes(text).decode()


def plain_bytes(text: str) -> bytes:
    """Return what `plain` does, as UTF-8."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text.encode("utf-8", "replace")


def pack_page(page: Page) -> bytes:
    """Compress a whole page object."""
    value = {
        "uri": page.uri,
        "title": page.title,
        "content": page.content,
        "metadata": dict(page.metadata),
        "flags": page.flags,
        "blocks": page.blocks,
        "weak": page.weak,
    }
    return pack_text(dump(value))


def unpack_page(data: bytes) -> Page:
    """Undo `pack_page`."""
    value = json.loads(unpack_text(data))
    return Page(
        uri=value["uri"],
        title=value["title"],
        content=value["content"],
        metadata=value["metadata"],
        flags=tuple(value["flags"]),
        blocks=tuple(value["blocks"]),
        weak=value["weak"],
    )


def to_ms(moment: datetime) -> int:
    """Return milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    """Return an aware UTC time."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC)
