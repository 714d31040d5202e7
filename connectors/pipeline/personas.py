"""A persona from one file: voice, training URL, generated voice, instance, videos; nothing twice when run again."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.errors import RefusedError, RetryableError, UsageError
from connectors.pipeline import parts, records

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from connectors.persona.client import PersonaClient
    from connectors.settings import PersonaSettings, StateSettings

MAX_BYTES = 200 * 1024**2
_NAMES = ("persona.yaml", "persona.yml")
_RECORD = "personas.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class VoiceFile(_Part):
    """How the persona sounds; ``sample`` is a file beside the YAML."""

    sample: str = Field(min_length=1)
    language: str = Field("en", min_length=2)
    tone: str = Field("friendly", min_length=1)
    pitch: str = Field("medium", min_length=1)
    names: tuple[str, ...] = ()
    use_prosody: bool = Field(default=False, alias="use-prosody")


class VideoFile(_Part):
    """A video beside the YAML; ``duration`` is read from the file when it is left out."""

    file: str = Field(min_length=1)
    title: str = Field(min_length=1)
    description: str = ""
    duration: int | None = Field(None, ge=1)
    resolution: str = Field("1080p", min_length=1)


class PersonaFile(_Part):
    """What `persona create` reads.

    Attributes:
        embed_name: the name under which the API knows the voice's recording; empty: the id it gave the voice.
        admin: create the instance through the administrator's endpoint.
    """

    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    configuration: dict[str, Any] = Field(default_factory=dict)
    voice: VoiceFile | None = None
    videos: tuple[VideoFile, ...] = ()
    embed_name: str = Field("", alias="embed-name")
    admin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """A persona that was created.

    Attributes:
        steps: what was done now.
        kept: what an earlier run had done.
        doubtful: what an earlier run asked for without hearing the answer, so that it may exist twice.
    """

    instance_id: str
    voice_id: str
    training_url: str
    generated_voice_id: str
    video_ids: tuple[str, ...]
    steps: tuple[str, ...]
    kept: tuple[str, ...]
    doubtful: tuple[str, ...]


async def create_persona(
    file: Path,
    *,
    persona: PersonaSettings,
    state: StateSettings,
    progress: Callable[[str], None] = lambda _: None,
) -> Persona:
    """Create what a file describes, and repeat nothing that an earlier run of the same file had done.

    A step is done again when what it is made of has changed. Each step is recorded before and after it is asked for.

    Args:
        file: a YAML file, or a folder with ``persona.yaml``.
        persona: where it is created.
        state: where the record of the steps is.
        progress: told the name of each step as it begins.

    Raises:
        UsageError: the file, or a recording or video it names, cannot be read.
    """
    path, described = await asyncio.to_thread(load, file)
    destination = await parts.open_destination(None, persona=persona, state=state)
    try:
        steps = _Steps(record=state.folder() / _RECORD, key=f"{destination.key} {path}", progress=progress)
        return await _create(destination.client, path.parent, described, steps)
    finally:
        await destination.client.close()


async def delete_persona(instance_id: str, *, persona: PersonaSettings, state: StateSettings) -> None:
    """Delete an instance, and forget that a file made it.

    Raises:
        UsageError: there is no instance of this id.
    """
    destination = await parts.open_destination(None, persona=persona, state=state)
    try:
        await destination.client.delete_instance(instance_id)
    except RefusedError as error:
        if error.status != 404:  # noqa: PLR2004 - not found
            raise
        raise UsageError(f"There is no persona with the id {instance_id!r} at {destination.where}.") from error
    finally:
        await destination.client.close()
    await asyncio.to_thread(_forget, state.folder() / _RECORD, instance_id)


def load(file: Path) -> tuple[Path, PersonaFile]:
    """Read a persona's description; ``file`` may be the folder that holds it.

    Raises:
        UsageError: it is not there, no YAML, or says something that is not understood: with the field's name.
    """
    import yaml

    path = file.expanduser()
    if path.is_dir():
        path = next((path / name for name in _NAMES if (path / name).is_file()), path / _NAMES[0])
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
        described = PersonaFile.model_validate(value)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(f"{path}: {where}: {first['msg']}") from None
    return path.resolve(), described


async def _create(client: PersonaClient, folder: Path, described: PersonaFile, steps: _Steps) -> Persona:
    voice_id = training_url = generated = ""
    voice = described.voice
    if voice is not None:
        sample = await asyncio.to_thread(_read, folder / voice.sample, "voice.sample")
        sound = {"language": voice.language, "tone": voice.tone, "pitch": voice.pitch}
        voice_id = await steps.take(
            "voice", [sound, _hash(sample)], lambda: client.add_voice(**sound, sample_audio=_base64(sample))
        )
        embed = described.embed_name or voice_id
        training_url = await steps.take("training URL", [voice_id, embed], lambda: client.voice_training_url(embed))
        generated = await steps.take(
            "generated voice",
            [training_url, voice.names, voice.use_prosody],
            lambda: client.generate_voice([training_url], names=voice.names, use_prosody=voice.use_prosody),
        )
    configuration = ({"voice_id": generated} if generated else {}) | described.configuration
    data: dict[str, Any] = {
        "name": described.name,
        "description": described.description,
        "configuration": configuration,
    }
    create = client.admin_instance if described.admin else client.instance
    instance_id = await steps.take("instance", [data, described.admin], lambda: create(**data))
    videos = [await _video(client, folder, video, steps, number) for number, video in enumerate(described.videos, 1)]
    return Persona(
        instance_id=instance_id,
        voice_id=voice_id,
        training_url=training_url,
        generated_voice_id=generated,
        video_ids=tuple(videos),
        steps=tuple(steps.done),
        kept=tuple(steps.kept),
        doubtful=tuple(steps.doubtful),
    )


async def _video(client: PersonaClient, folder: Path, video: VideoFile, steps: _Steps, number: int) -> str:
    data = await asyncio.to_thread(_read, folder / video.file, f"videos[{number - 1}].file")
    duration = video.duration or _duration(data, f"videos[{number - 1}].duration")
    said: dict[str, Any] = {
        "title": video.title,
        "description": video.description,
        "duration": duration,
        "resolution": video.resolution,
    }
    return await steps.take(
        f"video {number}", [said, _hash(data)], lambda: client.add_video(file=_base64(data), **said)
    )


class _Steps:
    """The steps of one persona, each recorded in the state folder before and after it is asked for."""

    def __init__(self, *, record: Path, key: str, progress: Callable[[str], None]) -> None:
        self._record = record
        self._key = key
        self._progress = progress
        self.done: list[str] = []
        self.kept: list[str] = []
        self.doubtful: list[str] = []

    async def take(self, name: str, made_of: Any, ask: Callable[[], Awaitable[str]]) -> str:
        """Return the step's result: the recorded one while it is made of the same, else a new one."""
        fingerprint = _hash(json.dumps(made_of, sort_keys=True, ensure_ascii=False).encode())
        known = await asyncio.to_thread(self._known, name)
        if known.get("of") == fingerprint and known.get("result"):
            self.kept.append(name)
            return str(known["result"])
        if known.get("of") == fingerprint and known.get("asked") and name != "training URL":
            self.doubtful.append(name)
        self._progress(name)
        await asyncio.to_thread(self._keep, name, {"of": fingerprint, "asked": True})
        try:
            result = await ask()
        except RetryableError as error:
            if error.applied == "no":
                await asyncio.to_thread(self._keep, name, {})
            raise
        except RefusedError:
            await asyncio.to_thread(self._keep, name, {})
            raise
        await asyncio.to_thread(self._keep, name, {"of": fingerprint, "result": result})
        self.done.append(name)
        return result

    def _known(self, name: str) -> dict[str, Any]:
        known: dict[str, Any] = records.read(self._record).get(self._key, {}).get(name, {})
        return known

    def _keep(self, name: str, value: dict[str, Any]) -> None:
        everything = records.read(self._record)
        everything.setdefault(self._key, {})[name] = value
        records.write(self._record, everything)


def _forget(record: Path, instance_id: str) -> None:
    everything = records.read(record)
    for steps in everything.values():
        if steps.get("instance", {}).get("result") == instance_id:
            del steps["instance"]
    if everything:
        records.write(record, everything)


def _read(path: Path, field: str) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{field}: {path} is over {MAX_BYTES // 1024**2} MiB.")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{field}: {path} cannot be read: {error.strerror or error}.") from error
    if not data:
        raise UsageError(f"{field}: {path} is empty.")
    return data


def _duration(data: bytes, field: str) -> int:
    from connectors.persona.server import media

    try:
        seconds = media.film(data).seconds
    except media.NotMediaError as error:
        raise UsageError(f"{field.replace('duration', 'file')}: the file {error}.") from error
    if seconds is None:
        raise UsageError(f"{field}: say how many seconds the video takes; its file does not tell.")
    return max(1, round(seconds))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
