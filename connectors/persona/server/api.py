"""The 17 endpoints of the Persona API over the embedded store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from connectors.persona.server import calls, media, personas, shapes
from connectors.persona.server.answer import answer
from connectors.persona.server.calls import Refusal, success

if TYPE_CHECKING:
    from connectors.persona.server.answer import Reply
    from connectors.persona.server.model import Writer
    from connectors.persona.server.store import Store


def add_routes(app: FastAPI, store: Store, writer: Writer | None) -> None:
    """Add the endpoints under ``/persona/`` and the voice host's under ``/``."""
    app.include_router(_knowledge_base(store), prefix="/persona/api/kb", tags=["knowledge base"])
    app.include_router(_chats(store, writer), prefix="/persona/api", tags=["chats"])
    app.include_router(_personas(store), tags=["personas"])
    app.include_router(_files(store), include_in_schema=False)


def _knowledge_base(store: Store) -> APIRouter:
    routes = APIRouter()

    @routes.post("/store-pages")
    def store_pages(body: shapes.StorePages) -> dict[str, Any]:
        """Store pages; sent twice they are stored twice."""
        return calls.store_pages(store, body)

    @routes.post("/stream-pages")
    def stream_pages(body: shapes.StreamPages) -> dict[str, Any]:
        """Store one more part of a stream."""
        return calls.stream_pages(store, body)

    @routes.get("/training-data")
    def training_data() -> Response:
        """Return every item of the knowledge base, by id."""
        return StreamingResponse(calls.training_data(store), media_type="application/json")

    @routes.put("/training-data")
    def update_training_data(body: shapes.UpdateTrainingData) -> dict[str, Any]:
        """Replace the content of one item."""
        return calls.update_training_data(store, body)

    @routes.delete("/training-data/{id}")
    def delete_training_data(id: str) -> dict[str, Any]:  # noqa: A002 - the API's own name
        """Delete one item."""
        return calls.delete_training_data(store, id)

    @routes.delete("/training-data", include_in_schema=False)
    @routes.delete("/training-data/", include_in_schema=False)
    def delete_nothing() -> None:
        raise Refusal(422, "id: must not be empty")

    @routes.post("/auto-generate-prompts")
    def auto_generate_prompts(body: shapes.GeneratePrompts) -> dict[str, Any]:
        """Make questions about the topics that the stored pages can answer."""
        return calls.auto_generate_prompts(store, body)

    @routes.post("/review-data")
    def review_data(body: shapes.ReviewData) -> dict[str, Any]:
        """Put findings into the review queue."""
        return calls.review_data(store, body)

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
        return StreamingResponse(calls.listed("chats", store.chats()), media_type="application/json")

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
        return success("Voice profile added successfully", voice_id=voice_id)

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
        return success("Voice generated successfully", voice_id=made)

    @routes.post("/persona/api/admin/instance")
    def admin_instance(body: shapes.CreateInstance) -> dict[str, Any]:
        """Create an instance as an administrator."""
        made = personas.add_instance(store, body.instance_data, admin=True)
        return success("Instance created successfully", instance_id=made)

    @routes.post("/persona/api/instance")
    def instance(body: shapes.CreateInstance) -> dict[str, Any]:
        """Create an instance."""
        made = personas.add_instance(store, body.instance_data, admin=False)
        return success("Instance created successfully", instance_id=made)

    @routes.delete("/persona/api/instance")
    def delete_instance(body: shapes.DeleteInstance) -> dict[str, Any]:
        """Delete an instance."""
        if not personas.delete_instance(store, body.instance_id):
            raise Refusal(404, "instance_id: there is no instance of this id")
        return success("Instance deleted successfully")

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
        return success("Video added successfully", video_id=video_id, url=f"{request.base_url}{path}")

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


def error_answer(status: int, message: str) -> JSONResponse:
    """Return an error as this server writes them all."""
    return JSONResponse(calls.error(message), status_code=status)
