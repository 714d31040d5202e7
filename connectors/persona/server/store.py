"""The embedded knowledge base on disk: pages, their items, and everything else the API keeps."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import secrets
import sqlite3
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from connectors.errors import FatalError
from connectors.persona.server import index, schema, text
from connectors.private import make_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

FILE = "knowledge-base.sqlite3"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPage:
    """A page as somebody sent it."""

    title: str
    content: str
    metadata: Mapping[str, Any]


class Store:
    """One file that several processes may use at once.

    Args:
        folder: the state folder; made when it is not there.
        max_item_chars: the longest item a page becomes; None keeps each page whole, exactly as sent.

    Raises:
        FatalError: the file cannot be written.
    """

    def __init__(self, folder: Path, *, max_item_chars: int | None = None) -> None:
        self.path = folder / FILE
        self._max_item_chars = max_item_chars
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._writing = threading.Lock()
        try:
            make_private(self.path)
            self._writer = schema.connect(self.path)
            schema.migrate(self._writer)
        except (OSError, sqlite3.Error) as error:
            raise FatalError(f"The knowledge base {self.path} cannot be written: {error}.") from error

    def close(self) -> None:
        """Close every connection that is not in use."""
        with self._writing:
            self._writer.close()
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the database for as long as it is held."""
        try:
            db = self._idle.get_nowait()
        except queue.Empty:
            db = schema.connect(self.path)
        try:
            db.execute("BEGIN")
            yield db
        finally:
            db.rollback()
            self._idle.put(db)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the one connection that writes, in a transaction that is kept when the block ends well."""
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    # Pages and their items.

    def add_pages(self, pages: Sequence[StoredPage], *, stream_id: str = "") -> None:
        """Keep pages, all or none; sent twice they are there twice."""
        now = utc_now()
        items: list[tuple[int, str, str]] = []
        with self.writing() as db:
            for page in pages:
                language = page.metadata.get("language")
                page_id = db.execute(
                    "INSERT INTO pages (title, metadata, source, language, stream_id, stored_at)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        page.title,
                        json.dumps(dict(page.metadata), ensure_ascii=False),
                        text.source_of(page.content, page.metadata),
                        language.lower()[:35] if isinstance(language, str) else "",
                        stream_id,
                        now,
                    ),
                ).lastrowid
                for part in text.cut_items(page.content, self._max_item_chars):
                    added = db.execute(
                        "INSERT INTO items (page_id, content, changed_at) VALUES (?, ?, ?)", (page_id, part, now)
                    )
                    items.append((cast("int", added.lastrowid), page.title, part))
            index.add(db, items)

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield ``(id, content)`` of every item by id: one state of the knowledge base, read as it is taken."""
        with self.reading() as db:
            for item_id, content in db.execute("SELECT id, content FROM items ORDER BY id"):
                yield item_name(item_id), content

    def update_item(self, name: str, content: str) -> bool:
        """Replace an item's content; False when there is none of that id."""
        with self.writing() as db:
            row = _item(db, name)
            if row is None:
                return False
            item_id, page_id, title, old = row
            index.take_back(db, item_id, title, old)
            db.execute("UPDATE items SET content = ?, changed_at = ? WHERE id = ?", (content, utc_now(), item_id))
            index.add(db, [(item_id, title, content)])
            source = text.source_of(content, {})
            if source:
                db.execute("UPDATE pages SET source = ? WHERE id = ?", (source, page_id))
            return True

    def delete_item(self, name: str) -> bool:
        """Delete an item, and its page with its last one; False when there is none of that id."""
        with self.writing() as db:
            row = _item(db, name)
            if row is None:
                return False
            item_id, page_id, title, old = row
            index.take_back(db, item_id, title, old)
            db.execute("DELETE FROM items WHERE id = ?", (item_id,))
            if not db.execute("SELECT 1 FROM items WHERE page_id = ? LIMIT 1", (page_id,)).fetchone():
                db.execute("DELETE FROM pages WHERE id = ?", (page_id,))
            return True

    # Findings, prompts, chats.

    def add_reviews(self, articles: Sequence[str], notes: Sequence[str]) -> None:
        """Keep findings, one row a pair."""
        now = utc_now()
        with self.writing() as db:
            db.executemany(
                "INSERT INTO reviews (article, note, submitted_at) VALUES (?, ?, ?)",
                [(article, note, now) for article, note in zip(articles, notes, strict=True)],
            )

    def add_prompts(self, prompts: Sequence[tuple[str, str, int]]) -> None:
        """Keep ``(prompt, topic, page id)``; a prompt that is there stays as it is."""
        now = utc_now()
        with self.writing() as db:
            db.executemany(
                "INSERT OR IGNORE INTO prompts (prompt, topic, page_id, made_at) VALUES (?, ?, ?, ?)",
                [(*prompt, now) for prompt in prompts],
            )

    def add_chat(self, user_id: str, message: str, response: str) -> str:
        """Keep a question and its answer as a chat, and return its id."""
        chat_id = new_id("chat")
        with self.writing() as db:
            db.execute(
                "INSERT INTO chats (id, number, user_id, started_at)"
                " VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM chats), ?, ?)",
                (chat_id, user_id, utc_now()),
            )
            db.executemany(
                "INSERT INTO messages (chat_id, role, message) VALUES (?, ?, ?)",
                [(chat_id, "user", message), (chat_id, "persona", response)],
            )
        return chat_id

    def chats(self) -> Iterator[dict[str, Any]]:
        """Yield every chat in the order they began."""
        with self.reading() as db:
            for chat_id, user_id in db.execute("SELECT id, user_id FROM chats ORDER BY number"):
                yield {"chat_id": chat_id, "user_id": user_id, "messages": _messages(db, chat_id)}

    def messages(self, chat_id: str) -> list[str] | None:
        """Return the messages of one chat; None when there is no such chat."""
        with self.reading() as db:
            return _messages(db, chat_id) or None


def item_name(item_id: int) -> str:
    """Return an item's id as the API shows it: ids sort as text in the order they were stored."""
    return f"data-{item_id:010d}"


def item_number(name: str) -> int | None:
    """Return the number behind an item's id; None when it is none of ours."""
    found = re.fullmatch(r"data-([0-9]{10})", name)
    return int(found[1]) if found else None


def new_id(kind: str) -> str:
    """Return an id that nobody has."""
    return f"{kind}-{secrets.token_hex(8)}"


def utc_now() -> str:
    """Return the time now as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _item(db: sqlite3.Connection, name: str) -> tuple[int, int, str, str] | None:
    row: tuple[int, int, str, str] | None = db.execute(
        "SELECT items.id, page_id, title, content FROM items JOIN pages ON pages.id = page_id WHERE items.id = ?",
        (item_number(name),),
    ).fetchone()
    return row


def _messages(db: sqlite3.Connection, chat_id: str) -> list[str]:
    rows = db.execute("SELECT message FROM messages WHERE chat_id = ? ORDER BY id", (chat_id,))
    return [message for (message,) in rows]
