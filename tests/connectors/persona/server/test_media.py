"""Recordings and videos, recognised by their bytes."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.persona.server.media import DurationError, NotMediaError, audio, decode, film, video
from tests.connectors.persona.server.media_files import base64_of, box, mp4, wav

FLAC = b"fLaC\x00\x00\x00\x22" + b"\x00" * 10 + ((44100 << 44) | 88200).to_bytes(8, "big") + b"\x00" * 20


@pytest.mark.parametrize(
    ("data", "kind", "seconds"),
    [
        (wav(0.5), "audio/wav", 0.5),
        (FLAC, "audio/flac", 2.0),
        (b"OggS" + b"\x00" * 40, "audio/ogg", None),
        (b"ID3\x04" + b"\x00" * 40, "audio/mpeg", None),
        (b"\xff\xfb\x90\x64" + b"\x00" * 400, "audio/mpeg", None),
        (box(b"ftyp", b"M4A \x00\x00\x00\x00"), "audio/mp4", None),
    ],
)
def test_audio_is_known_by_its_bytes(data, kind, seconds):
    found = audio(base64_of(data))
    assert (found.media_type, found.seconds, found.data) == (kind, seconds, data)


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"\x89PNG\r\n\x1a\n",
        b"<html>",
        b"RIFF\x00\x00\x00\x00AVI ",
        wav()[:20],
        wav(0.0),
        b"RIFF\xff\xff\xff\xffWAVE" + b"\x00" * 50,
        mp4(),
        b"\xff\xd8\xff\xe0",
    ],
)
def test_what_is_no_audio_is_refused(data):
    with pytest.raises(NotMediaError):
        audio(base64_of(data))


@pytest.mark.parametrize("version", [0, 1])
def test_a_videos_duration_is_read_from_its_header(version):
    found = film(mp4(7, height=720, version=version))
    assert (found.media_type, found.seconds, found.height) == ("video/mp4", 7.0, 720)


@pytest.mark.parametrize("said", [5, 9])
def test_a_duration_may_be_two_seconds_off(said):
    assert video(base64_of(mp4(7)), duration=said).seconds == 7.0


@pytest.mark.parametrize("said", [4, 10, 120])
def test_another_duration_is_refused(said):
    with pytest.raises(DurationError, match=r"takes 7\.0 s"):
        video(base64_of(mp4(7)), duration=said)


@pytest.mark.parametrize("data", [b"", wav(), mp4()[:-40], box(b"ftyp", b"isom"), b"\x00\x00\x00\x01ftyp", b"GIF89a"])
def test_what_is_no_video_is_refused(data):
    with pytest.raises(NotMediaError):
        film(data)


def test_webm_is_a_video():
    assert film(b"\x1a\x45\xdf\xa3" + b"\x00" * 10 + b"webm").media_type == "video/webm"


@pytest.mark.parametrize("text", ["YQ==", "Y Q\n==", "data:audio/wav;base64,YQ=="])
def test_base64_may_be_folded_or_carry_its_type(text):
    assert decode(text) == b"a"


@pytest.mark.parametrize("text", ["YQ", "Y", "!!!!", "äöüß", "YQ==YQ==", "data:audio/wav;base64,", "\x00"])
def test_what_is_not_base64_is_refused(text):
    with pytest.raises(NotMediaError):
        decode(text)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"RIFF\x10\x00\x00\x00WAVE", b"\x00\x00\x00\x10ftypisom", b"fLaC", b"ID3"]),
)
def test_no_bytes_crash_the_recogniser(data, head):
    for recognise in (audio, lambda text: video(text, duration=3)):
        try:
            recognise(base64.b64encode(head + data).decode())
        except (NotMediaError, DurationError):
            continue
