"""The request bodies of the Persona API as its server checks them; each error names the field."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError


def _filled(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("empty", "must not be empty")
    return _storable(value)


def _storable(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("surrogate", "holds half of a character") from None
    return value


def _json_object(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, RecursionError):
        raise PydanticCustomError("json", "holds what is no JSON value") from None
    if size > OBJECT_BYTES:
        raise PydanticCustomError("too_long", "is over {limit} bytes", {"limit": OBJECT_BYTES})
    return value


OBJECT_BYTES = 256 * 1024
Filled = AfterValidator(_filled)
Id = Annotated[str, StringConstraints(max_length=200), Filled]
Line = Annotated[str, StringConstraints(max_length=4_000), Filled]
Note = Annotated[str, StringConstraints(max_length=100_000), Filled]
Optional = Annotated[str, StringConstraints(max_length=100_000), AfterValidator(_storable)]
Content = Annotated[str, StringConstraints(max_length=20_000_000), Filled]
Base64 = Annotated[str, StringConstraints(max_length=200_000_000), Filled]
JsonObject = Annotated[dict[str, Any], AfterValidator(_json_object)]


class Shape(BaseModel):
    """A body: no type is guessed from another; unknown fields are passed over."""

    model_config = ConfigDict(strict=True, frozen=True)


class VoiceData(Shape):
    """A voice: how it sounds, and a recording of it."""

    language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", max_length=35)]
    tone: Annotated[str, StringConstraints(max_length=200), Filled]
    pitch: Annotated[str, StringConstraints(max_length=200), Filled]
    sample_audio: Base64


class AddVoice(Shape):
    """Body of ``POST api/admin/add_voice``."""

    voice_data: VoiceData


class GenerateVoice(Shape):
    """Body of ``POST api/v2/voice/generate``."""

    config: JsonObject | None = None
    names: Annotated[list[Line], Field(max_length=1_000)] = Field(default_factory=list)
    training_urls: Annotated[list[Line], Field(min_length=1, max_length=100)]
    use_prosody: bool = False


class InstanceData(Shape):
    """A persona: its name, what it is, how it is set up."""

    name: Annotated[str, StringConstraints(max_length=200), Filled]
    description: Note
    configuration: JsonObject


class CreateInstance(Shape):
    """Body of ``POST api/instance`` and ``POST api/admin/instance``."""

    instance_data: InstanceData


class DeleteInstance(Shape):
    """Body of ``DELETE api/instance``."""

    instance_id: Id


class VideoData(Shape):
    """A video and what the sender says about it."""

    file: Base64
    title: Line
    description: Optional = ""
    duration: Annotated[int, Field(ge=1, le=24 * 3600)]
    resolution: Annotated[
        str, StringConstraints(pattern=r"^([1-9][0-9]{2,4}[pi]|[1-9][0-9]{1,4}x[1-9][0-9]{1,4}|[1-9]k)$")
    ]


class AddVideo(Shape):
    """Body of ``POST api/admin/video``."""

    video_data: VideoData


class PageObject(Shape):
    """A page, with its title, its text and an open object of metadata."""

    title: Line
    content: Content
    metadata: JsonObject = Field(default_factory=dict)


Pages = Annotated[list[PageObject], Field(min_length=1, max_length=10_000)]


class StorePages(Shape):
    """Body of ``POST api/kb/store-pages``."""

    pages: Pages


class StreamData(Shape):
    """One more part of a stream."""

    stream_id: Id
    pages: Pages


class StreamPages(Shape):
    """Body of ``POST api/kb/stream-pages``."""

    stream_data: StreamData


class PromptData(Shape):
    """What the questions shall be about."""

    topics: Annotated[list[Line], Field(min_length=1, max_length=1_000)]
    context: Optional = ""


class GeneratePrompts(Shape):
    """Body of ``POST api/kb/auto-generate-prompts``."""

    data: PromptData


class Findings(Shape):
    """Articles and notes, paired by position."""

    articles: Annotated[list[Note], Field(min_length=1, max_length=10_000)]
    notes: Annotated[list[Note], Field(min_length=1, max_length=10_000)]

    @model_validator(mode="after")
    def _paired(self) -> Findings:
        if len(self.articles) != len(self.notes):
            raise PydanticCustomError("pairs", "articles and notes must be as many: they are paired by position")
        return self


class ReviewData(Shape):
    """Body of ``POST api/kb/review-data``."""

    review_data: Findings


class ItemData(Shape):
    """An item of the training data."""

    id: Id
    content: Content


class UpdateTrainingData(Shape):
    """Body of ``PUT api/kb/training-data``."""

    training_data: ItemData


class ChatData(Shape):
    """A user's question."""

    user_id: Id
    message: Annotated[str, StringConstraints(max_length=20_000), Filled]
    context: Optional = ""


class ChatBody(Shape):
    """Body of ``POST api/kb/v2/chat``."""

    chat_data: ChatData
