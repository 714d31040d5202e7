"""What the pages show, read from the store."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.persona.server.store import item_name

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

A_PAGE = 40
_ORIGIN = (
    "CASE WHEN instr(substr(source, 9), '/') > 0 THEN substr(source, 1, instr(substr(source, 9), '/') + 8)"
    " ELSE source END"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageView:
    """A stored page, whole."""

    id: int
    title: str
    source: str
    language: str
    stream_id: str
    stored_at: str
    metadata: Mapping[str, Any]
    items: tuple[str, ...]
    content: str
    prompts: tuple[str, ...]


def overview(db: sqlite3.Connection) -> dict[str, int]:
    """Count what there is."""
    tables = ("pages", "items", "prompts", "reviews", "chats", "instances", "voices", "videos")
    return {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608 - our names


def origins(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """Return where the pages are from, most pages first."""
    rows = db.execute(
        f"SELECT {_ORIGIN} AS origin, count(*) FROM pages WHERE source != '' GROUP BY origin"  # noqa: S608 - no input
        " ORDER BY 2 DESC, 1 LIMIT 12"
    )
    return [{"origin": origin, "pages": count} for origin, count in rows]


def listed(
    db: sqlite3.Connection, *, origin: str = "", after: int = 0, before: int = 0
) -> tuple[list[dict[str, Any]], int, int]:
    """Return one screen of pages in the order they were stored, and the ids for the screens before and after (or 0)."""
    where = ["1"]
    values: list[str | int] = []
    if origin:
        where.append("source >= ? AND source < ?")
        values += [origin, origin + "\U0010ffff"]
    where.append("id < ?" if before else "id > ?")
    values.append(before or after)
    rows = db.execute(
        "SELECT id, title, source, language, stored_at FROM pages"  # noqa: S608 - our words, bound values
        f" WHERE {' AND '.join(where)} ORDER BY id {'DESC' if before else 'ASC'} LIMIT ?",
        [*values, A_PAGE + 1],
    ).fetchall()
    more = len(rows) > A_PAGE
    rows = rows[:A_PAGE][::-1] if before else rows[:A_PAGE]
    names = ("id", "title", "source", "language", "stored_at")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    if not found:
        return [], 0, 0
    earlier = found[0]["id"] if (more if before else after) else 0
    later = found[-1]["id"] if (before or more) else 0
    return found, earlier, later


def page(db: sqlite3.Connection, page_id: int) -> PageView | None:
    """Return a page; None when there is none of that id."""
    row = db.execute(
        "SELECT id, title, source, language, stream_id, stored_at, metadata FROM pages WHERE id = ?", (page_id,)
    ).fetchone()
    if row is None:
        return None
    items = db.execute("SELECT id, content FROM items WHERE page_id = ? ORDER BY id", (page_id,)).fetchall()
    asked = db.execute("SELECT prompt FROM prompts WHERE page_id = ? ORDER BY id", (page_id,))
    return PageView(
        id=row[0],
        title=row[1],
        source=row[2],
        language=row[3],
        stream_id=row[4],
        stored_at=row[5],
        metadata=json.loads(row[6]),
        items=tuple(item_name(item_id) for item_id, _ in items),
        content="".join(content for _, content in items),
        prompts=tuple(prompt for (prompt,) in asked),
    )


def prompts(db: sqlite3.Connection, *, after: int = 0, most: int = 100) -> list[dict[str, Any]]:
    """Return questions with the page that answers each."""
    rows = db.execute(
        "SELECT prompts.id, prompt, topic, page_id, title FROM prompts LEFT JOIN pages ON pages.id = page_id"
        " WHERE prompts.id > ? ORDER BY prompts.id LIMIT ?",
        (after, most),
    )
    return [dict(zip(("id", "prompt", "topic", "page_id", "title"), row, strict=True)) for row in rows]


def some_prompts(db: sqlite3.Connection, most: int = 5) -> list[str]:
    """Return a few questions, of different topics."""
    rows = db.execute(
        "SELECT prompt FROM prompts WHERE id IN (SELECT min(id) FROM prompts GROUP BY topic) ORDER BY id DESC LIMIT ?",
        (most,),
    )
    return [prompt for (prompt,) in rows]


def reviews(db: sqlite3.Connection, *, before: int = 0, most: int = 100) -> list[dict[str, Any]]:
    """Return findings, the newest first."""
    rows = db.execute(
        "SELECT id, article, note, submitted_at FROM reviews WHERE id < ? OR ? = 0 ORDER BY id DESC LIMIT ?",
        (before, before, most),
    ).fetchall()
    found = [dict(zip(("id", "article", "note", "submitted_at"), row, strict=True)) for row in rows]
    for finding in found:
        url = re.search(r"https?://\S+", finding["article"])
        finding["url"] = url[0] if url else ""
    return found


def chats(db: sqlite3.Connection, *, before: int = 0, most: int = 50) -> list[dict[str, Any]]:
    """Return chats, the newest first, each with its first question."""
    rows = db.execute(
        "SELECT chats.id, number, user_id, started_at,"
        " (SELECT message FROM messages WHERE chat_id = chats.id ORDER BY id LIMIT 1)"
        " FROM chats WHERE number < ? OR ? = 0 ORDER BY number DESC LIMIT ?",
        (before, before, most),
    )
    return [dict(zip(("id", "number", "user_id", "started_at", "question"), row, strict=True)) for row in rows]


def chat(db: sqlite3.Connection, chat_id: str) -> dict[str, Any] | None:
    """Return one chat with its messages and the stored pages that its answers name."""
    row = db.execute("SELECT user_id, started_at FROM chats WHERE id = ?", (chat_id,)).fetchone()
    if row is None:
        return None
    said = db.execute("SELECT role, message FROM messages WHERE chat_id = ? ORDER BY id", (chat_id,)).fetchall()
    return {
        "id": chat_id,
        "user_id": row[0],
        "started_at": row[1],
        "messages": [{"role": role, "message": message} for role, message in said],
        "sources": _sources(db, [message for role, message in said if role == "persona"]),
    }


def _sources(db: sqlite3.Connection, answers: Sequence[str]) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for url in dict.fromkeys(re.findall(r"https?://\S+", "\n".join(answers))):
        row = db.execute("SELECT id, title, source FROM pages WHERE source = ? ORDER BY id LIMIT 1", (url,)).fetchone()
        if row:
            found[row[0]] = dict(zip(("id", "title", "source"), row, strict=True))
    return list(found.values())


def personas(db: sqlite3.Connection) -> dict[str, list[dict[str, Any]]]:
    """Return instances, voices and videos, the newest first."""
    tables = {
        "instances": "SELECT id, name, description, configuration, admin, added_at FROM instances",
        "voices": "SELECT id, language, tone, pitch, seconds, token, generated_from, media_type, added_at FROM voices"
        " JOIN media USING (token)",
        "videos": "SELECT id, title, description, duration, resolution, token, media_type, added_at FROM videos"
        " JOIN media USING (token)",
    }
    found = {}
    for name, query in tables.items():
        cursor = db.execute(f"{query} ORDER BY added_at DESC, id LIMIT 100")
        columns = [column[0] for column in cursor.description]
        found[name] = [dict(zip(columns, row, strict=True)) for row in cursor]
    return found
