"""Voices, instances and videos of the embedded server, kept beside the knowledge base."""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any

from connectors.persona.server.store import new_id, utc_now

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from connectors.persona.server.media import Media
    from connectors.persona.server.shapes import InstanceData, VideoData, VoiceData
    from connectors.persona.server.store import Store

_FILE = re.compile(r"(?:^|/)files/([A-Za-z0-9_-]{20,60})\.[a-z0-9]{2,5}$")


def add_voice(store: Store, voice: VoiceData, recording: Media) -> str:
    """Keep a recording as a voice and return its id."""
    with store.writing() as db:
        return _voice(
            db,
            (voice.language, voice.tone, voice.pitch, recording.seconds),
            token=_keep(db, recording),
            urls=(),
            names=(),
        )


def recording_of(store: Store, embed_name: str) -> str | None:
    """Return the file of an embed's voice: of a voice by its id, or of an instance by its id or name."""
    with store.reading() as db:
        rows = db.execute("SELECT configuration FROM instances WHERE id = ? OR name = ?", (embed_name, embed_name))
        wanted = [embed_name, *(json.loads(row).get("voice_id") for (row,) in rows)]
        for voice_id in wanted:
            found = (
                isinstance(voice_id, str)
                and db.execute(
                    "SELECT voices.token, media_type FROM voices JOIN media USING (token) WHERE id = ?", (voice_id,)
                ).fetchone()
            )
            if found:
                return f"files/{found[0]}.{SUFFIXES[found[1]]}"
    return None


def generate_voice(store: Store, urls: Sequence[str], names: Sequence[str]) -> str | int:
    """Make a voice of recordings that are kept here; the position of the first address that is none of them."""
    with store.writing() as db:
        found = []
        for position, url in enumerate(urls):
            token = _FILE.search(url)
            row = (
                token
                and db.execute(
                    "SELECT language, tone, pitch, seconds, token FROM voices WHERE token = ?", (token[1],)
                ).fetchone()
            )
            if not row:
                return position
            found.append(row)
        return _voice(db, found[0][:4], token=found[0][4], urls=urls, names=names)


def add_instance(store: Store, instance: InstanceData, *, admin: bool) -> str:
    """Keep an instance and return its id."""
    instance_id = new_id("instance")
    with store.writing() as db:
        db.execute(
            "INSERT INTO instances VALUES (?, ?, ?, ?, ?, ?)",
            (
                instance_id,
                instance.name,
                instance.description,
                json.dumps(instance.configuration, ensure_ascii=False),
                admin,
                utc_now(),
            ),
        )
    return instance_id


def delete_instance(store: Store, instance_id: str) -> bool:
    """Delete an instance; False when there is none of that id."""
    with store.writing() as db:
        return db.execute("DELETE FROM instances WHERE id = ?", (instance_id,)).rowcount > 0


def add_video(store: Store, video: VideoData, file: Media) -> tuple[str, str]:
    """Keep a video and return its id and file."""
    video_id = new_id("video")
    with store.writing() as db:
        token = _keep(db, file)
        db.execute(
            "INSERT INTO videos VALUES (?, ?, ?, ?, ?, ?, ?)",
            (video_id, video.title, video.description, video.duration, video.resolution, token, utc_now()),
        )
    return video_id, f"files/{token}.{file.suffix}"


def file_of(store: Store, token: str) -> tuple[str, bytes] | None:
    """Return the media type and bytes of a file."""
    with store.reading() as db:
        row: tuple[str, bytes] | None = db.execute(
            "SELECT media_type, data FROM media WHERE token = ?", (token,)
        ).fetchone()
        return row


SUFFIXES = {
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
}


def _keep(db: sqlite3.Connection, media: Media) -> str:
    token = secrets.token_urlsafe(24)
    db.execute("INSERT INTO media VALUES (?, ?, ?)", (token, media.media_type, media.data))
    return token


def _voice(
    db: sqlite3.Connection, sound: tuple[Any, ...], *, token: str, urls: Sequence[str], names: Sequence[str]
) -> str:
    voice_id = new_id("voice")
    db.execute(
        "INSERT INTO voices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (voice_id, *sound, token, json.dumps(list(urls)), json.dumps(list(names), ensure_ascii=False), utc_now()),
    )
    return voice_id
