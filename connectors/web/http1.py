"""HTTP/1.1 as a client speaks it: a request's head written, an answer read as it comes. Pure, and bounded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_LINE = 16 * 1024
MAX_FIELDS = 128
MAX_HEAD = 256 * 1024
MAX_INTERIM = 10
"""How many 1xx answers may come before the real one."""
MAX_FRAMING = 1024 * 1024
"""Bytes around chunks that an answer may bring beyond as many as its body has: tiny chunks cost us, not the sender."""

_STATUS = re.compile(r"HTTP/1\.([01])[ \t]+([1-9][0-9]{2})(?:[ \t].*)?")
_FOLDED = re.compile(r"^[ \t]", re.MULTILINE)
_HEAD_END = re.compile(rb"\n\r?\n")
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_WITHOUT_BODY = frozenset({204, 304})
_SWITCHING, _FINAL = 101, 200
_SIZE_LINE, _CHUNK_END, _TRAILERS = 0, -1, -2


class ProtocolError(Exception):
    """What came is no answer in HTTP/1.1, or one beyond the bounds."""


class Fields:
    """The fields of an answer, by their names in lower case."""

    __slots__ = ("_first", "pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.pairs = list(pairs)
        self._first = {name.lower(): value for name, value in reversed(self.pairs)}

    def __contains__(self, name: str) -> bool:
        return name in self._first

    def get(self, name: str, default: str = "") -> str:
        """Return the first value."""
        return self._first.get(name, default)

    def getall(self, name: str) -> Sequence[str]:
        """Return all values, in order."""
        return [value for key, value in self.pairs if key.lower() == name] if name in self._first else ()


_NO_FIELDS = Fields(())


def request_head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return a request's head as it goes on the wire.

    Raises:
        ValueError: a part of it cannot be sent: it would end its line, or the target is no ASCII.
    """
    lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers]]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("a field of the request holds the end of a line")
    if not target.isascii() or " " in target:
        raise ValueError("the request's target holds what no URL does")
    return (text + "\r\n\r\n").encode("latin-1")


class Reader:
    """One answer, from its first byte to its last.

    Attributes:
        status: 0 until the head has come.
        complete: the body has come to its end.
        keeps: the connection may carry another request after this answer.
        waiting: bytes of the body that came and were not taken.

    Source: RFC 9112; lines may end in a bare LF, and what is no field is passed over, as browsers do.
    """

    __slots__ = (
        "_bodyless", "_framing", "_interim", "_left", "_mode", "_passed", "_pieces", "_rest", "complete", "fields",
        "keeps", "length", "started", "status", "waiting",
    )  # fmt: skip

    def __init__(self, *, bodyless: bool = False) -> None:
        self.status = 0
        self.fields = _NO_FIELDS
        self.length: int | None = None
        self.started = self.complete = False
        self.keeps = True
        self.waiting = 0
        self._bodyless = bodyless
        self._mode = Reader._head  # not bound: that would be a circle of references
        self._rest = b""
        self._pieces: list[bytes] = []
        self._interim = self._left = self._framing = self._passed = 0

    def feed(self, data: bytes) -> None:
        """Take what came.

        Raises:
            ProtocolError: it is no answer, or beyond the bounds.
        """
        self.started = True
        self._mode(self, data)

    def end(self) -> None:
        """The other side closed the connection.

        Raises:
            ProtocolError: the answer is not whole.
        """
        self.keeps = False
        if self.complete:
            return
        if self._mode is not Reader._until_closed:
            raise ProtocolError("the connection was closed in the answer" if self.started else "there was no answer")
        self.complete = True

    def take(self) -> list[bytes]:
        """Return what came of the body since the last time."""
        pieces, self._pieces, self.waiting = self._pieces, [], 0
        return pieces

    def _keep(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self.waiting += len(data)

    def _head(self, data: bytes) -> None:
        searched = max(0, len(self._rest) - 3)
        data = self._rest + data if self._rest else data
        end = _HEAD_END.search(data, searched)
        if (end.start() if end else len(data)) > MAX_HEAD:
            raise ProtocolError("the head of the answer is too long")
        if end is None:
            self._rest = data
            return
        self._rest = b""
        self._read_head(data[: end.start()])
        if self.status:
            self._choose()
        if rest := data[end.end() :]:
            self._mode(self, rest)

    def _read_head(self, head: bytes) -> None:
        if b"\0" in head:
            raise ProtocolError("a field of the answer holds a NUL")
        text = head.decode("utf-8", "surrogateescape")
        first, _, rest = text.partition("\n")
        said = _STATUS.fullmatch(first.rstrip("\r"))
        if said is None:
            raise ProtocolError("the answer is no HTTP/1.1")
        status = int(said[2])
        if status < _FINAL:
            self._interim += 1
            if status == _SWITCHING or self._interim > MAX_INTERIM:
                raise ProtocolError(f"it answers {status}, which nobody asked for")
            return
        self.fields = Fields(_fields(rest))
        self.status = status
        said_of_connection = self.fields.get("connection").lower()
        self.keeps = "close" not in said_of_connection and (said[1] == "1" or "keep-alive" in said_of_connection)

    def _choose(self) -> None:
        """Decide how the body's end will be known (RFC 9112, section 6.3)."""
        coding = ",".join(self.fields.getall("transfer-encoding")).strip().lower()
        lengths = self.fields.getall("content-length")
        if self._bodyless or self.status in _WITHOUT_BODY:
            self._finish()
        elif coding and coding != "identity":
            if coding != "chunked":
                raise ProtocolError(f"the transfer coding {coding[:20]!r} is unknown to us")
            self.keeps = self.keeps and not lengths
            self._left = _SIZE_LINE
            self._mode = Reader._chunked
        elif lengths:
            self.length = self._left = _length(lengths)
            self._mode = Reader._counted
            if not self._left:
                self._finish()
        else:
            self.keeps = False
            self._mode = Reader._until_closed

    def _finish(self) -> None:
        self.complete = True
        self._mode = Reader._beyond

    def _beyond(self, data: bytes) -> None:  # noqa: ARG002 - what nobody asked for
        self.keeps = False

    def _until_closed(self, data: bytes) -> None:
        self._keep(data)

    def _counted(self, data: bytes) -> None:
        more = len(data) - self._left
        self._keep(data[: self._left] if more > 0 else data)
        self._left = max(0, -more)
        if more >= 0:
            self._finish()
        if more > 0:
            self.keeps = False

    def _chunked(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at = 0
        while at < len(data) and not self.complete:
            if self._left > 0:
                piece = data[at : at + self._left]
                self._keep(piece)
                self._left = self._left - len(piece) or _CHUNK_END
                self._passed += len(piece)
                at += len(piece)
                continue
            end = data.find(b"\n", at) + 1
            if not end:
                break
            self._line(data[at:end])
            at = end
        self._rest = data[at:]
        if self.complete:
            self.keeps = self.keeps and not self._rest
            self._rest = b""
        elif len(self._rest) > MAX_LINE:
            raise ProtocolError("a line between chunks is too long")

    def _line(self, line: bytes) -> None:
        """Read a line that is no part of the body: a chunk's size, its end, a trailer."""
        self._framing += len(line)
        if self._framing > MAX_FRAMING + self._passed:
            raise ProtocolError("the body comes in too many chunks")
        if self._left == _SIZE_LINE:
            size = _CHUNK.fullmatch(line)
            if size is None:
                raise ProtocolError("a chunk has no size")
            self._left = int(size[1], 16) or _TRAILERS
        elif self._left == _CHUNK_END:
            if line.strip():
                raise ProtocolError("a chunk is longer than its size")
            self._left = _SIZE_LINE
        elif not line.strip():
            self._finish()


def _fields(text: str) -> Iterable[tuple[str, str]]:
    """Return the fields of a head behind its status line; folded lines joined."""
    lines = text.split("\n")
    if len(lines) > MAX_FIELDS:
        raise ProtocolError("the answer has too many fields")
    if len(text) > MAX_LINE or _FOLDED.search(text):
        return _odd_fields(lines)
    split = [line.partition(":") for line in lines]
    return [(name, value.strip()) for said, colon, value in split if colon and (name := said.strip())]


def _odd_fields(lines: list[str]) -> Iterable[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in lines:
        if len(line) > MAX_LINE:
            raise ProtocolError("a field of the answer is too long")
        name, colon, value = line.partition(":")
        if line[:1] in {" ", "\t"}:
            if found:
                found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        elif colon and (name := name.strip()):
            found.append((name, value.strip()))
    return found


def _length(values: Sequence[str]) -> int:
    """Return the one length that is said, however often."""
    said = {part.strip() for value in values for part in value.split(",")}
    if len(said) != 1 or not (only := said.pop()).isascii() or not only.isdigit() or len(only) > 15:  # noqa: PLR2004
        raise ProtocolError("the length of the answer is unclear")
    return int(only)
