"""The calls of an import, answered without a web framework, which takes a second to import.

Whatever is not one of them, or not as it should be, the whole server answers: its errors are the only ones.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from connectors.persona.server import calls, shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from connectors.persona.server.store import Store

logger = logging.getLogger(__name__)
_KB = "/persona/api/kb/"
_ITEMS = f"{_KB}training-data"
_WITH_BODY: dict[tuple[str, str], tuple[type[shapes.Shape], Callable[..., dict[str, Any]]]] = {
    ("POST", f"{_KB}store-pages"): (shapes.StorePages, calls.store_pages),
    ("POST", f"{_KB}stream-pages"): (shapes.StreamPages, calls.stream_pages),
    ("PUT", _ITEMS): (shapes.UpdateTrainingData, calls.update_training_data),
    ("POST", f"{_KB}auto-generate-prompts"): (shapes.GeneratePrompts, calls.auto_generate_prompts),
    ("POST", f"{_KB}review-data"): (shapes.ReviewData, calls.review_data),
}


class Shortcut:
    """Answers the calls of an import itself.

    Args:
        store: what is asked.
        whole: the server with all its pages and endpoints.
    """

    def __init__(self, store: Store, whole: ASGIApp) -> None:
        self._store = store
        self._whole = whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        method, path = asked = (scope["method"], scope["path"])
        folder, _, item = path.rpartition("/")
        if asked == ("GET", _ITEMS):
            await self._read(send)
        elif (method, folder) == ("DELETE", _ITEMS) and item:
            await self._answer(send, lambda: calls.delete_training_data(self._store, item))
        elif asked in _WITH_BODY:
            shape, function = _WITH_BODY[asked]
            body = (await receive()).get("body", b"")  # the gate in front has all of it
            try:
                await self._answer(send, lambda: function(self._store, shape.model_validate_json(body)))
            except ValidationError:
                await self._whole(scope, partial(_again, body), send)
        else:
            await self._whole(scope, receive, send)

    async def _answer(self, send: Send, function: Callable[[], dict[str, Any]]) -> None:
        status, answer = await asyncio.to_thread(self._called, function)
        await send(_head(status))
        await send({"type": "http.response.body", "body": orjson.dumps(answer)})

    @staticmethod
    def _called(function: Callable[[], dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        try:
            return 200, function()
        except calls.Refusal as refusal:
            return refusal.status, calls.error(str(refusal))
        except sqlite3.Error as error:
            logger.error("The knowledge base cannot be used: %s", error)  # noqa: TRY400 - its words say it all
            return 503, calls.error(f"the knowledge base cannot be used: {error}")

    async def _read(self, send: Send) -> None:
        """Send every item, part by part; a failure in the middle breaks the answer off."""
        parts = calls.training_data(self._store)
        await send(_head(200))
        while part := await asyncio.to_thread(next, parts, b""):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _head(status: int) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}


async def _again(body: bytes) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": False}
