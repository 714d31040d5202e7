"""What the calls about the knowledge base do: the same behind every way in, and no web framework to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from connectors.persona.server.prompts import make_prompts
from connectors.persona.server.store import Store, StoredPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.persona.server import shapes

CHUNK_BYTES = 128 * 1024


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure of ours
    """An answer other than success, with the sentence that says which field is wrong."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def store_pages(store: Store, body: shapes.StorePages) -> dict[str, Any]:
    """Store pages; sent twice they are stored twice."""
    store.add_pages(_pages(body.pages))
    return success("Pages stored successfully")


def stream_pages(store: Store, body: shapes.StreamPages) -> dict[str, Any]:
    """Store one more part of a stream."""
    store.add_pages(_pages(body.stream_data.pages), stream_id=body.stream_data.stream_id)
    return success("Pages streamed successfully")


def training_data(store: Store) -> Iterator[bytes]:
    """Return every item of the knowledge base, by id."""
    return listed("training_data", ({"id": name, "content": content} for name, content in store.items()))


def update_training_data(store: Store, body: shapes.UpdateTrainingData) -> dict[str, Any]:
    """Replace the content of one item."""
    if not store.update_item(body.training_data.id, body.training_data.content):
        raise Refusal(404, "training_data.id: there is no training data of this id")
    return success("Training data updated successfully")


def delete_training_data(store: Store, item_id: str) -> dict[str, Any]:
    """Delete one item."""
    if not store.delete_item(item_id):
        raise Refusal(404, "id: there is no training data of this id")
    return success("Training data deleted successfully")


def auto_generate_prompts(store: Store, body: shapes.GeneratePrompts) -> dict[str, Any]:
    """Make questions about the topics that the stored pages can answer."""
    with store.reading() as db:
        made = make_prompts(db, body.data.topics, body.data.context)
    store.add_prompts(made)
    return {"status": "success", "prompts": [prompt for prompt, _, _ in made]}


def review_data(store: Store, body: shapes.ReviewData) -> dict[str, Any]:
    """Put findings into the review queue."""
    store.add_reviews(body.review_data.articles, body.review_data.notes)
    return success("Data submitted for review")


def success(message: str, **more: str) -> dict[str, Any]:
    """Return the answer that says that something was done."""
    return {"status": "success", "message": message} | more


def error(message: str) -> dict[str, Any]:
    """Return the answer that says why something was not done."""
    return {"status": "error", "message": message}


def listed(key: str, values: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """Yield the bytes of an answer with a list, written as it is read."""
    parts, size = [f'{{"status":"success","{key}":['.encode()], 0
    for number, value in enumerate(values):
        text = orjson.dumps(value)
        parts.append(b"," + text if number else text)
        size += len(text)
        if size > CHUNK_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    yield b"".join([*parts, b"]}"])


def _pages(pages: list[shapes.PageObject]) -> list[StoredPage]:
    return [StoredPage(title=page.title, content=page.content, metadata=page.metadata) for page in pages]
