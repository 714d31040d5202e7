"""ZIP archives, and the documents that are ZIP archives inside: unpacked within bounds, or refused with the reason."""

from __future__ import annotations

import re
import zipfile
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

from connectors.extractors.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRIES = 10_000
INFLATED = 64 * 1024**2
"""Bytes that an archive may unpack to beyond twice its own size: media are packed already, text is not so long."""

_CHUNK = 256 * 1024
_ENTITY = re.compile(rb"<!ENTITY", re.IGNORECASE)
_DOCTYPE = re.compile(rb"<!DOCTYPE", re.IGNORECASE)
_ENCRYPTED = 0x1


class Archive:
    """An opened archive whose every entry counts against one budget."""

    def __init__(self, body: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(BytesIO(body))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise UnreadableError("broken", f"The archive is damaged: {error}") from error
        self._left = INFLATED + 2 * len(body)
        entries = self._zip.infolist()
        if len(entries) > ENTRIES:
            raise UnreadableError("too-large", f"The archive has {len(entries):,} entries; the limit is {ENTRIES:,}.")
        if any(entry.flag_bits & _ENCRYPTED for entry in entries):
            raise UnreadableError("encrypted", "The archive is locked with a password.")
        if sum(entry.file_size for entry in entries) > self._left:
            raise self._bomb()
        self.names = [entry.filename for entry in entries if not entry.is_dir()]

    def read(self, name: str) -> bytes:
        """Unpack one entry; what its header claims is not believed.

        Raises:
            UnreadableError: there is no such entry, it is damaged, or the archive unpacks to too much.
        """
        parts: list[bytes] = []
        try:
            with self._zip.open(name) as entry:
                while chunk := entry.read(_CHUNK):
                    self._left -= len(chunk)
                    if self._left < 0:
                        raise self._bomb()
                    parts.append(chunk)
        except (
            KeyError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            OSError,
            RuntimeError,
        ) as error:
            raise UnreadableError("broken", f"An entry of the archive is damaged: {error}") from error
        return b"".join(parts)

    def all(self) -> Iterator[tuple[str, bytes]]:
        """Unpack every entry in turn."""
        for name in dict.fromkeys(self.names):
            yield name, self.read(name)

    @staticmethod
    def _bomb() -> UnreadableError:
        return UnreadableError("too-large", f"The archive unpacks to more than {INFLATED >> 20} MB.")


def check_office(body: bytes) -> None:
    """Unpack an office document once, before anybody parses it.

    Raises:
        UnreadableError: it unpacks to too much, is locked, or brings a DTD: office XML has none, so it is an attack.
    """
    for name, part in Archive(body).all():
        if not name.endswith((".xml", ".rels")):
            continue
        plain = part.replace(b"\0", b"") if b"\0" in part[:64] else part  # UTF-16
        if _ENTITY.search(plain) or _DOCTYPE.search(plain[:4096]):
            raise UnreadableError("xml-entities", "Its XML declares entities, as attacks do and documents do not.")
        if name == "META-INF/manifest.xml" and b"encryption-data" in part:
            raise UnreadableError("encrypted", "The document is locked with a password.")


def parse_xml(body: bytes) -> Any:
    """Parse XML without DTD, entities and network.

    Raises:
        UnreadableError: it is no XML, or it declares entities.
    """
    from lxml import etree

    if _ENTITY.search(body.replace(b"\0", b"")):
        raise UnreadableError("xml-entities", "Its XML declares entities, as attacks do and documents do not.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=True)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise UnreadableError("broken", f"Its XML is damaged: {error}") from error
    if root is None:
        raise UnreadableError("broken", "Its XML is damaged.")
    return root
