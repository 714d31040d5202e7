"""The Persona API without I/O: requests as values, answers judged, statuses turned into the error tree."""

from __future__ import annotations

import contextlib
import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, NoReturn
from urllib.parse import quote

import orjson

from connectors.errors import FatalError, RefusedError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.models import Outgoing

TRAINING_URL_PREFIX = "https://s3.us-east-2.amazonaws.com/"
REFUSALS = frozenset({400, 404, 413, 422})
MEBIBYTE = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as a value.

    Attributes:
        path: relative to the base URL of ``host``, already percent-encoded.
        body: what is sent as JSON; None sends no body.
        status: False for the one answer that is documented without ``"status": "success"``.
        max_bytes: the largest answer that is read.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    body: Mapping[str, Any] | None = None
    host: Literal["persona", "voice"] = "persona"
    status: bool = True
    max_bytes: int = MEBIBYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: the status, the headers that matter, the whole body."""

    status: int
    content_type: str = ""
    retry_after: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """What the persona said, and the chat that keeps it."""

    chat_id: str
    response: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One chat: messages of the user and the persona in turn."""

    chat_id: str
    user_id: str
    messages: tuple[str, ...]


# Requests, in the order of the API's page.


def add_voice(*, language: str, tone: str, pitch: str, sample_audio: str) -> Call:
    """Build the call that adds a voice; ``sample_audio`` is base64."""
    voice = {"language": language, "tone": tone, "pitch": pitch, "sample_audio": sample_audio}
    return Call(method="POST", path="api/admin/add_voice", body={"voice_data": voice})


def voice_training_url(embed_name: str) -> Call:
    """Build the call that asks where an embed's voice recording is."""
    return Call(method="GET", path=f"voice/{_segment(embed_name)}", status=False)


def generate_voice(training_urls: Sequence[str], *, names: Sequence[str] = (), use_prosody: bool = False) -> Call:
    """Build the call that makes a voice of recordings; it goes to the voice host."""
    body = {"config": None, "names": list(names), "training_urls": list(training_urls), "use_prosody": use_prosody}
    return Call(method="POST", path="api/v2/voice/generate", body=body, host="voice")


def create_instance(*, name: str, description: str, configuration: Mapping[str, Any], admin: bool) -> Call:
    """Build the call that creates an instance, through the admin's endpoint or the user's."""
    data = {"name": name, "description": description, "configuration": dict(configuration)}
    return Call(method="POST", path="api/admin/instance" if admin else "api/instance", body={"instance_data": data})


def delete_instance(instance_id: str) -> Call:
    """Build the call that deletes an instance: a DELETE with a body."""
    return Call(method="DELETE", path="api/instance", body={"instance_id": instance_id})


def add_video(*, file: str, title: str, duration: int, resolution: str, description: str = "") -> Call:
    """Build the call that adds a video; ``file`` is base64, ``duration`` whole seconds."""
    video = {"file": file, "title": title, "duration": duration, "resolution": resolution}
    if description:
        video["description"] = description
    return Call(method="POST", path="api/admin/video", body={"video_data": video})


def auto_generate_prompts(topics: Sequence[str], context: str = "") -> Call:
    """Build the call that asks for questions about topics."""
    data: dict[str, Any] = {"topics": list(topics)}
    if context:
        data["context"] = context
    return Call(method="POST", path="api/kb/auto-generate-prompts", body={"data": data}, max_bytes=16 * MEBIBYTE)


def review_data(articles: Sequence[str], notes: Sequence[str]) -> Call:
    """Build the call that submits findings; articles and notes are pairs by position."""
    data = {"articles": list(articles), "notes": list(notes)}
    return Call(method="POST", path="api/kb/review-data", body={"review_data": data})


def store_pages(pages: Sequence[Outgoing]) -> Call:
    """Build the call that stores a batch of pages."""
    return Call(method="POST", path="api/kb/store-pages", body={"pages": [_page(page) for page in pages]})


def stream_pages(stream_id: str, pages: Sequence[Outgoing]) -> Call:
    """Build the call that sends one more batch of a stream."""
    data = {"stream_id": stream_id, "pages": [_page(page) for page in pages]}
    return Call(method="POST", path="api/kb/stream-pages", body={"stream_data": data})


def training_data() -> Call:
    """Build the call that reads the whole knowledge base; its answer is read by `training.Reader`."""
    return Call(method="GET", path="api/kb/training-data", max_bytes=64 * 1024 * MEBIBYTE)


def update_training_data(item_id: str, content: str) -> Call:
    """Build the call that replaces the content of one item."""
    return Call(method="PUT", path="api/kb/training-data", body={"training_data": {"id": item_id, "content": content}})


def delete_training_data(item_id: str) -> Call:
    """Build the call that deletes one item."""
    return Call(method="DELETE", path=f"api/kb/training-data/{_segment(item_id)}")


def chat(*, user_id: str, message: str, context: str = "") -> Call:
    """Build the call that asks the persona."""
    data = {"user_id": user_id, "message": message}
    if context:
        data["context"] = context
    return Call(method="POST", path="api/kb/v2/chat", body={"chat_data": data}, max_bytes=16 * MEBIBYTE)


def chats() -> Call:
    """Build the call that reads the chat history."""
    return Call(method="GET", path="api/persona/chats", max_bytes=256 * MEBIBYTE)


def messages(chat_id: str) -> Call:
    """Build the call that reads one chat."""
    return Call(method="GET", path=f"api/persona/messages/{_segment(chat_id)}", max_bytes=64 * MEBIBYTE)


def encode(call: Call) -> bytes | None:
    """Return the body's bytes, None without one.

    Raises:
        RefusedError: the values are no JSON (a lone surrogate, not a number): nobody could accept them.
    """
    if call.body is None:
        return None
    try:
        if _is_plain(call.body):
            with contextlib.suppress(TypeError):  # half a character, a number of more than 64 bits: the other one knows
                return orjson.dumps(call.body)
        return json.dumps(call.body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError, RecursionError):
        raise RefusedError(f"{_name(call)} was not sent: its values cannot be written as JSON text.") from None


# Answers.


def read(call: Call, answer: Answer, *, now: datetime | None = None) -> dict[str, Any]:
    """Return the answer's object when it is the documented success.

    Args:
        call: what was asked.
        answer: what came back.
        now: aware, UTC; when it came back (for a ``Retry-After`` that is a date).

    Raises:
        FatalError: 401, 403.
        RefusedError: 400, 404, 413, 422.
        RetryableError: any other answer; the call may have been carried out.
    """
    refuse_bad_status(call, answer, now=now)
    refuse_other_media(call, answer)
    value = _json(answer.body)
    if not isinstance(value, dict):
        unknown(call, answer.status, "its body is no JSON object")
    if call.status and value.get("status") != "success":
        unknown(call, answer.status, f"it does not say success{_said(value)}")
    return value


def refuse_bad_status(call: Call, answer: Answer, *, now: datetime | None = None) -> None:
    """Raise the error that a status other than success means; see `read`."""
    if answer.status in {401, 403}:
        raise FatalError(
            f"The Persona API refuses the client secret ({_name(call)} answered {answer.status}): "
            "set PERSONA_CLIENT_SECRET to the Client Secret of Settings > API."
        )
    said = _said(_json(answer.body))
    if answer.status in REFUSALS:
        raise RefusedError(f"{_name(call)} was refused with {answer.status}{said}.", status=answer.status)
    if not 200 <= answer.status < 300 or answer.status == 206:  # noqa: PLR2004 - a part is not the answer
        raise RetryableError(
            f"{_name(call)} answered {answer.status}{said}.",
            applied="unknown",
            retry_after_s=retry_after_s(answer.retry_after, now=now or datetime.now(UTC)),
            status=answer.status,
        )


def refuse_other_media(call: Call, answer: Answer) -> None:
    """Raise when an answer does not even claim to be JSON (a login page, a proxy's notice)."""
    essence = answer.content_type.partition(";")[0].strip().lower()
    if essence != "application/json" and not re.fullmatch(r"application/[\w.-]+\+json", essence):
        unknown(call, answer.status, f"it is {_shown(essence) or 'of no media type'} instead of JSON")


def unknown(call: Call, status: int, why: str) -> NoReturn:
    """Raise for an answer that proves nothing."""
    raise RetryableError(f"{_name(call)} answered {status}, but {why}.", applied="unknown", status=status)


def text(call: Call, answer: Mapping[str, Any], key: str) -> str:
    """Return a promised string."""
    value = answer.get(key)
    if not isinstance(value, str) or not value:
        unknown(call, 200, f"the promised {key!r} is missing")
    return value


def texts(call: Call, answer: Mapping[str, Any], key: str) -> list[str]:
    """Return a promised array of strings."""
    value = answer.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        unknown(call, 200, f"the promised {key!r} is no array of strings")
    return value


def training_url(call: Call, answer: Mapping[str, Any]) -> str:
    """Return the absolute training URL: a bare object key gets the bucket's address in front."""
    value = text(call, answer, "training_url")
    return value if re.match(r"https?://", value, re.IGNORECASE) else TRAINING_URL_PREFIX + value.lstrip("/")


def chat_answer(call: Call, answer: Mapping[str, Any]) -> ChatAnswer:
    """Return what the persona said; it may say nothing, but it must say so."""
    response = answer.get("response")
    if not isinstance(response, str):
        unknown(call, 200, "the promised 'response' is missing")
    return ChatAnswer(chat_id=text(call, answer, "chat_id"), response=response)


def chat_list(call: Call, answer: Mapping[str, Any]) -> list[Chat]:
    """Return the chats of a history."""
    value = answer.get("chats")
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        unknown(call, 200, "the promised 'chats' is no array of objects")
    return [
        Chat(
            chat_id=text(call, item, "chat_id"),
            user_id=text(call, item, "user_id"),
            messages=tuple(texts(call, item, "messages")),
        )
        for item in value
    ]


def retry_after_s(value: str, *, now: datetime) -> float | None:
    """Say how long a Retry-After header asks us to wait.

    Args:
        value: the field as sent: whole seconds or an HTTP date.
        now: aware; when the answer arrived.

    Returns:
        Seconds, 0.0 or more and at most a day; None when the header is absent or neither form.

    Source: RFC 9110, section 10.2.3.
    """
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(min(int(value), 86_400))
    try:
        due = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    return min(max((due - now).total_seconds(), 0.0), 86_400.0)


def _page(page: Outgoing) -> dict[str, Any]:
    shape: dict[str, Any] = {"title": page.title, "content": page.content}
    if page.metadata:
        shape["metadata"] = dict(page.metadata)
    return shape


def _segment(value: str) -> str:
    # A dot segment would be folded away by the URL and reach another endpoint.
    if not value or value in {".", ".."}:
        raise RefusedError(f"{value!r} is no id.")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise RefusedError("An id with half a character is no id.") from None


def _is_plain(value: Any) -> bool:
    """Say whether the fast writer says of a value what the other one does: it takes what is not a number for null."""
    kind = type(value)
    if kind is dict:
        return all(map(_is_plain, value.values()))
    if kind is list or kind is tuple:
        return all(map(_is_plain, value))
    return kind is str or kind is int or value is None or kind is bool or (kind is float and math.isfinite(value))


def _name(call: Call) -> str:
    return f"{call.method} {call.path[:120]}"


def _shown(value: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in value[:300])


def _said(value: Any) -> str:
    said = value.get("message") if isinstance(value, dict) else None
    return f": {_shown(said).rstrip('.')}" if isinstance(said, str) and said else ""


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two statuses in one object: whichever a parser picks, it proves nothing.
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key twice")
    return value


def _json(body: bytes) -> Any:
    """Return the value of strict JSON, None when it is none."""
    try:
        return json.loads(body.decode(), parse_constant=_no_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
