"""Small recordings and videos, made here."""

import base64
import io
import struct
import wave


def wav(seconds: float = 0.5, *, rate: int = 8000) -> bytes:
    with io.BytesIO() as file:
        with wave.open(file, "wb") as recording:
            recording.setnchannels(1)
            recording.setsampwidth(2)
            recording.setframerate(rate)
            recording.writeframes(b"\x01\x02" * int(seconds * rate))
        return file.getvalue()


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data) + 8) + kind + data


def mp4(seconds: int = 3, *, height: int = 1080, version: int = 0) -> bytes:
    times = struct.pack(">IIII", 0, 0, 1000, seconds * 1000)
    if version:
        times = struct.pack(">QQIQ", 0, 0, 1000, seconds * 1000)
    mvhd = box(b"mvhd", bytes([version, 0, 0, 0]) + times + b"\x00" * 80)
    tkhd = box(b"tkhd", b"\x00" * 76 + struct.pack(">HHHH", 1920, 0, height, 0))
    movie = box(b"moov", mvhd + box(b"trak", tkhd))
    return box(b"ftyp", b"isom\x00\x00\x02\x00isomiso2mp41") + box(b"mdat", b"\x00" * 64) + movie


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()
