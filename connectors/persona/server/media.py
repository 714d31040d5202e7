"""Recordings and videos as they are sent: decoded, recognised by their bytes, and their duration read."""

from __future__ import annotations

import base64
import binascii
import io
import struct
import wave
from dataclasses import dataclass

TOLERANCE_S = 2.0
MAX_BOXES = 10_000


class NotMediaError(ValueError):
    """What was sent is not what it should be; the text says what is wrong, without the field's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A decoded file; ``seconds`` is None where its container does not say without decoding it."""

    media_type: str
    suffix: str
    data: bytes
    seconds: float | None = None
    height: int | None = None


def decode(value: str) -> bytes:
    """Return the bytes of base64, with or without line breaks or a ``data:`` prefix."""
    if value.startswith("data:"):
        value = value.partition(",")[2]
    try:
        data = base64.b64decode("".join(value.split()).encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        raise NotMediaError("is not base64") from None
    if not data:
        raise NotMediaError("is empty")
    return data


def audio(value: str) -> Media:
    """Return a recording.

    Raises:
        NotMediaError: it is not base64, or not audio.
    """
    data = decode(value)
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return Media(media_type="audio/wav", suffix="wav", data=data, seconds=_wave_seconds(data))
    if data[:4] == b"fLaC" and len(data) > 42:  # noqa: PLR2004 - the mark and the STREAMINFO block
        return Media(media_type="audio/flac", suffix="flac", data=data, seconds=_flac_seconds(data))
    if data[:4] == b"OggS" and len(data) > 27:  # noqa: PLR2004 - a page's header
        return Media(media_type="audio/ogg", suffix="ogg", data=data)
    if data[:3] == b"ID3" or (len(data) > 4 and data[0] == 0xFF and data[1] & 0xE6 in {0xE2, 0xE4, 0xE6}):  # noqa: PLR2004
        return Media(media_type="audio/mpeg", suffix="mp3", data=data)
    if data[4:8] == b"ftyp" and data[8:11] in {b"M4A", b"M4B"}:
        seconds, _ = _mp4(data)
        return Media(media_type="audio/mp4", suffix="m4a", data=data, seconds=seconds)
    raise NotMediaError("is no audio that is known here: send WAV, FLAC, Ogg, MP3 or M4A")


def video(value: str, *, duration: int) -> Media:
    """Return a video whose duration is what the sender says, within two seconds.

    Raises:
        NotMediaError: it is not base64, or not a video.
        DurationError: it is of another duration.
    """
    media = film(decode(value))
    if media.seconds is not None and abs(media.seconds - duration) > TOLERANCE_S:
        raise DurationError(f"says {duration} s, but the video takes {media.seconds:.1f} s")
    return media


def film(data: bytes) -> Media:
    """Return what a video file's bytes are.

    Raises:
        NotMediaError: they are not a video.
    """
    if data[4:8] == b"ftyp":
        seconds, height = _mp4(data)
        if seconds is None:
            raise NotMediaError("is no whole video: it has no movie header")
        return Media(media_type="video/mp4", suffix="mp4", data=data, seconds=seconds, height=height)
    if data[:4] == b"\x1a\x45\xdf\xa3":
        webm = b"webm" in data[:64]
        return Media(
            media_type="video/webm" if webm else "video/x-matroska", suffix="webm" if webm else "mkv", data=data
        )
    raise NotMediaError("is no video that is known here: send MP4, MOV or WebM")


class DurationError(ValueError):
    """The video is of another duration than its sender says."""


def _wave_seconds(data: bytes) -> float:
    try:
        with wave.open(io.BytesIO(data)) as recording:
            frames, rate = recording.getnframes(), recording.getframerate()
            width = recording.getnchannels() * recording.getsampwidth()
    except Exception:  # noqa: BLE001 - the reader of the standard library raises what it meets, RuntimeError too
        raise NotMediaError("is a broken WAV file") from None
    if not frames or not rate or not width:
        raise NotMediaError("is a WAV file without sound")
    # The header may promise more than was sent.
    return float(min(frames, len(data) // width) / rate)


def _flac_seconds(data: bytes) -> float | None:
    packed = int.from_bytes(data[18:26], "big")
    rate, samples = packed >> 44, packed & 0xFFFFFFFFF
    return samples / rate if rate and samples else None


def _mp4(data: bytes) -> tuple[float | None, int | None]:
    """Return the duration in seconds and the largest track's height of an ISO base media file."""
    movie = next((data[a:b] for kind, a, b in _boxes(data, 0, len(data)) if kind == b"moov"), None)
    if movie is None:
        return None, None
    seconds, height = None, None
    for kind, a, b in _boxes(movie, 0, len(movie)):
        if kind == b"mvhd":
            seconds = _mvhd_seconds(movie[a:b])
        elif kind == b"trak":
            for inner, c, d in _boxes(movie, a, b):
                if inner == b"tkhd" and d - c >= 84:  # noqa: PLR2004 - its shortest form
                    height = max(height or 0, int.from_bytes(movie[d - 4 : d - 2], "big"))
    return seconds, height


def _mvhd_seconds(box: bytes) -> float | None:
    # Version 1 has 64-bit times. Source: ISO/IEC 14496-12, 8.2.2.
    form, at = (">IQ", 20) if box[:1] == b"\x01" else (">II", 12)
    try:
        scale, length = struct.unpack_from(form, box, at)
    except struct.error:
        return None
    return length / scale if scale else None


def _boxes(data: bytes, at: int, end: int) -> list[tuple[bytes, int, int]]:
    found: list[tuple[bytes, int, int]] = []
    while at + 8 <= end and len(found) < MAX_BOXES:
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = end - at
        if size < head or at + size > end:
            break
        found.append((data[at + 4 : at + 8], at + head, at + size))
        at += size
    return found
