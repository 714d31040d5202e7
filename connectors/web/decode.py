"""Content-codings undone within bounds: no answer is larger in memory than we allow, whatever it claims."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LAYERS = 2
_PIECE = 64 * 1024
_WINDOW_LIMIT = 8 * 1024 * 1024  # RFC 9659: a decoder need not support more
_RATIO_FROM = 1024 * 1024


class DecodeError(Exception):
    """The body is not what its Content-Encoding says, or says more than we undo."""


class TooLargeError(Exception):
    """The body goes over a cap.

    Attributes:
        rule: ``too-large``, or ``decompression-bomb`` when it is small on the wire.
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class _Layer(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what ``data`` decodes to, in pieces of bounded size."""
        ...

    def finished(self) -> bool:
        """Say whether the stream came to its end."""
        ...


class _Zlib:
    """gzip (several members too), and deflate in its two readings."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inner = zlib.decompressobj(wbits)
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            yield from self._drain(data)
            if not self._inner.eof:
                return
            data = self._inner.unused_data.lstrip(b"\0")
            if self._wbits <= zlib.MAX_WBITS or not data.startswith(b"\x1f\x8b"):
                return  # browsers ignore what follows the stream
            self._inner = zlib.decompressobj(self._wbits)

    def _drain(self, data: bytes) -> Iterator[bytes]:
        try:
            piece = self._inner.decompress(data, _PIECE)
        except zlib.error as error:
            if self._started or self._wbits != zlib.MAX_WBITS:
                raise DecodeError(f"the compressed body is damaged ({error})") from error
            self._inner, self._wbits = zlib.decompressobj(-zlib.MAX_WBITS), -zlib.MAX_WBITS
            try:
                piece = self._inner.decompress(data, _PIECE)
            except zlib.error as raw_error:
                raise DecodeError(f"the compressed body is damaged ({raw_error})") from raw_error
        self._started = True
        while piece:
            yield piece
            try:  # also without a tail: a full piece may have left output inside
                piece = self._inner.decompress(self._inner.unconsumed_tail, _PIECE)
            except zlib.error as error:
                raise DecodeError(f"the compressed body is damaged ({error})") from error

    def finished(self) -> bool:
        return self._inner.eof or not self._started


class _Brotli:
    def __init__(self) -> None:
        import brotli  # type: ignore[import-untyped]

        self._error = brotli.error
        self._inner = brotli.Decompressor()
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._started = self._started or bool(data)
        try:
            piece = self._inner.process(data, output_buffer_limit=_PIECE)
            while piece or not self._inner.can_accept_more_data():
                if piece:
                    yield piece
                if self._inner.is_finished():
                    return
                piece = self._inner.process(b"", output_buffer_limit=_PIECE)
        except self._error as error:
            raise DecodeError("the compressed body is damaged (brotli)") from error

    def finished(self) -> bool:
        return not self._started or bool(self._inner.is_finished())


class _Zstd:
    """zstd, frame after frame.

    The library's streaming object has no bound on its output, so it is fed little: a block is four bytes at least and
    128 kB at most, which makes 8 MB the most that one step can give.
    """

    _STEP = 256

    def __init__(self) -> None:
        import zstandard

        self._error = zstandard.ZstdError
        self._maker = zstandard.ZstdDecompressor(max_window_size=_WINDOW_LIMIT)
        self._inner = self._maker.decompressobj()
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        view = memoryview(data)
        for at in range(0, len(view), self._STEP):
            rest = bytes(view[at : at + self._STEP])
            while rest:
                if self._inner.eof:
                    self._inner = self._maker.decompressobj()
                self._started = True
                try:
                    piece = self._inner.decompress(rest)
                except self._error as error:
                    raise DecodeError(f"the compressed body is damaged ({error})") from error
                rest = self._inner.unused_data if self._inner.eof else b""
                if piece:
                    yield piece

    def finished(self) -> bool:
        return bool(self._inner.eof) or not self._started


def layers_of(content_encoding: str) -> tuple[str, ...]:
    """Return the codings to undo, outermost first.

    Raises:
        DecodeError: there are more than two, or one is unknown.
    """
    names = [name for part in content_encoding.lower().split(",") if (name := part.strip()) not in {"", "identity"}]
    if len(names) > MAX_LAYERS:
        raise DecodeError(f"the body is compressed {len(names)} times over")
    for name in names:
        if name not in {"gzip", "x-gzip", "deflate", "br", "zstd"}:
            raise DecodeError(f"the coding {name[:20]!r} is unknown to us")
    return tuple(reversed(names))


def _layer(name: str) -> _Layer:
    if name in {"gzip", "x-gzip"}:
        return _Zlib(16 + zlib.MAX_WBITS)
    if name == "deflate":
        return _Zlib(zlib.MAX_WBITS)
    return _Brotli() if name == "br" else _Zstd()


class BoundedDecoder:
    """Undoes a body's codings chunk by chunk and stops at the caps.

    Args:
        content_encoding: the header's value.
        max_bytes: cap on the raw bytes and on the decoded bytes.
        max_ratio: cap on decoded bytes for each raw byte, once a megabyte is out.
    """

    def __init__(self, content_encoding: str = "", *, max_bytes: int, max_ratio: int = 200) -> None:
        self._layers = [_layer(name) for name in layers_of(content_encoding)]
        self._max_bytes = max_bytes
        self._max_ratio = max_ratio
        self._passed = [0] * len(self._layers)
        self.raw = 0
        self.decoded = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the decoded pieces of one raw chunk."""
        self.raw += len(chunk)
        if self.raw > self._max_bytes:
            raise TooLargeError("too-large", f"the body is larger than {self._max_bytes} bytes")
        for piece in self._through(chunk, 0):
            self.decoded += len(piece)
            yield piece

    def finish(self) -> None:
        """Check that nothing is missing; the body has ended.

        Raises:
            DecodeError: a coded stream ends too early.
        """
        if not all(layer.finished() for layer in self._layers):
            raise DecodeError("the compressed body ends too early")

    def _through(self, data: bytes, depth: int) -> Iterator[bytes]:
        if depth == len(self._layers):
            yield data
            return
        for piece in self._layers[depth].feed(data):
            self._pass(depth, len(piece))
            yield from self._through(piece, depth + 1)

    def _pass(self, depth: int, size: int) -> None:
        """Count what one layer gave: an inner stream may be endless and decode to nothing."""
        self._passed[depth] += size
        passed = self._passed[depth]
        if passed > _RATIO_FROM and passed > self.raw * self._max_ratio:
            raise TooLargeError("decompression-bomb", f"{self.raw} bytes inflate to more than {passed}")
        if passed > self._max_bytes:
            raise TooLargeError("too-large", f"the body is larger than {self._max_bytes} bytes")
