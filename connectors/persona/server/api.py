"""The 17 endpoints of the Persona API over the embedded store."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from connectors.persona.server import media, personas, shapes
from connectors.persona.server.answer import answer
from connectors.persona.server.prompts import make_prompts
from connectors.persona.server.store import Store, StoredPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.persona.server.answer import Reply
    from connectors.persona.server.model import Writer

CHUNK_CHARS = 128 * 1024


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure of ours
    """An answer other than success, with the sentence that says which field is wrong."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def add_routes(app: FastAPI, store: Store, writer: Writer | None) -> None:
    """Add the endpoints under ``/persona/`` and the voice host's under ``/``."""
    app.include_router(_knowledge_base(store), prefix="/persona/api/kb", tags=["knowledge base"])
    app.include_router(_chats(store, writer), prefix="/persona/api", tags=["chats"])
    app.include_router(_personas(store), tags=["personas"])
    app.include_router(_files(store), include_in_schema=False)


def _knowledge_base(store: Store) -> APIRouter:  # noqa: C901 - a list of routes
    routes = APIRouter()

    @routes.post("/store-pages")
    def store_pages(body: shapes.StorePages) -> dict[str, Any]:
        """Store pages; sent twice they are stored twice."""
        store.add_pages(_pages(body.pages))
        return _success("Pages stored successfully")

    @routes.post("/stream-pages")
    def stream_pages(body: shapes.StreamPages) -> dict[str, Any]:
        """Store one more part of a stream."""
        store.add_pages(_pages(body.stream_data.pages), stream_id=body.stream_data.stream_id)
        return _success("Pages streamed successfully")

    @routes.get("/training-data")
    def training_data() -> Response:
        """Return every item of the knowledge base, by id."""
        return StreamingResponse(_training_data(store), media_type="application/json")

    @routes.put("/training-data")
    def update_training_data(body: shapes.UpdateTrainingData) -> dict[str, Any]:
        """Replace the content of one item."""
        if not store.update_item(body.training_data.id, body.training_data.content):
            raise Refusal(404, "training_data.id: there is no training data of this id")
        return _success("Training data updated successfully")

    @routes.delete("/training-data/{id}")
    def delete_training_data(id: str) -> dict[str, Any]:  # noqa: A002 - the API's own name
        """Delete one item."""
        if not store.delete_item(id):
            raise Refusal(404, "id: there is no training data of this id")
        return _success("Training data deleted successfully")

    @routes.delete("/training-data", include_in_schema=False)
    @routes.delete("/training-data/", include_in_schema=False)
    def delete_nothing() -> None:
        raise Refusal(422, "id: must not be empty")

    @routes.post("/auto-generate-prompts")
    def auto_generate_prompts(body: shapes.GeneratePrompts) -> dict[str, Any]:
        """Make questions about the topics that the stored pages can answer."""
        with store.reading() as db:
            made = make_prompts(db, body.data.topics, body.data.context)
        store.add_prompts(made)
        return {"status": "success", "prompts": [prompt for prompt, _, _ in made]}

    @routes.post("/review-data")
    def review_data(body: shapes.ReviewData) -> dict[str, Any]:
        """Put findings into the review queue."""
        store.add_reviews(body.review_data.articles, body.review_data.notes)
        return _success("Data submitted for review")

    return routes


def _chats(store: Store, writer: Writer | None) -> APIRouter:
    routes = APIRouter()

    @routes.post("/kb/v2/chat")
    async def chat(body: shapes.ChatBody) -> dict[str, Any]:
        """Answer a question from the stored pages, naming them."""
        data = body.chat_data
        reply = await respond(store, writer, data.message, data.context)
        chat_id = await asyncio.to_thread(store.add_chat, data.user_id, data.message, reply.text)
        return {"status": "success", "chat_id": chat_id, "response": reply.text}

    @routes.get("/persona/chats")
    def chats() -> Response:
        """Return the chat history."""
        texts = (_text(chat) for chat in store.chats())
        return StreamingResponse(_listed("chats", texts), media_type="application/json")

    @routes.get("/persona/messages/{chat_id}")
    def messages(chat_id: str) -> dict[str, Any]:
        """Return the messages of one chat."""
        found = store.messages(chat_id)
        if found is None:
            raise Refusal(404, "chat_id: there is no chat of this id")
        return {"status": "success", "messages": found}

    @routes.get("/persona/messages", include_in_schema=False)
    @routes.get("/persona/messages/", include_in_schema=False)
    def no_messages() -> None:
        raise Refusal(422, "chat_id: must not be empty")

    return routes


async def respond(store: Store, writer: Writer | None, message: str, context: str = "") -> Reply:
    """Answer a question; where a language model is configured, it writes the answer from the passages."""
    reply = await asyncio.to_thread(_answer, store, message, context)
    return await writer.write(message, reply) if writer and reply.hits else reply


def _answer(store: Store, message: str, context: str) -> Reply:
    with store.reading() as db:
        reply = answer(db, message)
        if not reply.hits and context.strip():
            # "And how much is it?" means something only with what was said before.
            reply = answer(db, f"{context} {message}")
        return reply


def _personas(store: Store) -> APIRouter:  # noqa: C901 - a list of routes
    routes = APIRouter()

    @routes.post("/persona/api/admin/add_voice")
    def add_voice(body: shapes.AddVoice) -> dict[str, Any]:
        """Add a voice from a recording."""
        try:
            recording = media.audio(body.voice_data.sample_audio)
        except media.NotMediaError as error:
            raise Refusal(422, f"voice_data.sample_audio: {error}") from None
        voice_id = personas.add_voice(store, body.voice_data, recording)
        return _success("Voice profile added successfully", voice_id=voice_id)

    @routes.get("/persona/voice/{embed_name}")
    def voice(embed_name: str, request: Request) -> dict[str, Any]:
        """Return where the recording of a voice is, by the voice's id or that of an instance that uses it."""
        path = personas.recording_of(store, embed_name)
        if path is None:
            raise Refusal(404, "embed_name: there is no voice or instance of this name")
        return {"training_url": f"{request.base_url}{path}"}

    @routes.get("/persona/voice", include_in_schema=False)
    @routes.get("/persona/voice/", include_in_schema=False)
    def no_voice() -> None:
        raise Refusal(422, "embed_name: must not be empty")

    @routes.post("/api/v2/voice/generate")
    def generate_voice(body: shapes.GenerateVoice) -> dict[str, Any]:
        """Make a voice of recordings."""
        made = personas.generate_voice(store, body.training_urls, body.names)
        if isinstance(made, int):
            raise Refusal(422, f"training_urls[{made}]: is no recording of this server")
        return _success("Voice generated successfully", voice_id=made)

    @routes.post("/persona/api/admin/instance")
    def admin_instance(body: shapes.CreateInstance) -> dict[str, Any]:
        """Create an instance as an administrator."""
        made = personas.add_instance(store, body.instance_data, admin=True)
        return _success("Instance created successfully", instance_id=made)

    @routes.post("/persona/api/instance")
    def instance(body: shapes.CreateInstance) -> dict[str, Any]:
        """Create an instance."""
        made = personas.add_instance(store, body.instance_data, admin=False)
        return _success("Instance created successfully", instance_id=made)

    @routes.delete("/persona/api/instance")
    def delete_instance(body: shapes.DeleteInstance) -> dict[str, Any]:
        """Delete an instance."""
        if not personas.delete_instance(store, body.instance_id):
            raise Refusal(404, "instance_id: there is no instance of this id")
        return _success("Instance deleted successfully")

    @routes.post("/persona/api/admin/video")
    def add_video(body: shapes.AddVideo, request: Request) -> dict[str, Any]:
        """Add a video."""
        try:
            file = media.video(body.video_data.file, duration=body.video_data.duration)
        except media.NotMediaError as error:
            raise Refusal(422, f"video_data.file: {error}") from None
        except media.DurationError as error:
            raise Refusal(422, f"video_data.duration: {error}") from None
        video_id, path = personas.add_video(store, body.video_data, file)
        return _success("Video added successfully", video_id=video_id, url=f"{request.base_url}{path}")

    return routes


def _files(store: Store) -> APIRouter:
    routes = APIRouter()

    @routes.get("/files/{name}")
    def file(name: str) -> Response:
        token, _, suffix = name.rpartition(".")
        found = personas.file_of(store, token)
        if found is None or personas.SUFFIXES[found[0]] != suffix:
            raise Refusal(404, "there is no such file")
        return Response(found[1], media_type=found[0])

    return routes


def _pages(pages: list[shapes.PageObject]) -> list[StoredPage]:
    return [StoredPage(title=page.title, content=page.content, metadata=page.metadata) for page in pages]


def _success(message: str, **more: str) -> dict[str, Any]:
    return {"status": "success", "message": message} | more


def _training_data(store: Store) -> Iterator[bytes]:
    return _listed("training_data", (_text({"id": name, "content": content}) for name, content in store.items()))


def _listed(key: str, texts: Iterator[str]) -> Iterator[bytes]:
    """Yield the bytes of an answer with a list, written as it is read."""
    parts, size = [f'{{"status":"success","{key}":['], 0
    for number, text in enumerate(texts):
        parts.append(f",{text}" if number else text)
        size += len(text)
        if size > CHUNK_CHARS:
            yield "".join(parts).encode()
            parts, size = [], 0
    yield "".join([*parts, "]}"]).encode()


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def error_answer(status: int, message: str) -> JSONResponse:
    """Return an error as this server writes them all."""
    return JSONResponse({"status": "error", "message": message}, status_code=status)
