"""The embedded knowledge base's tables, and how a database file gets them."""

from __future__ import annotations

import logging
import sqlite3
import time
from typing import TYPE_CHECKING

from connectors.persona.server import index

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

BUSY_S = 60.0
# One number a layout; raised together with a step in `STEPS`.
STEPS = (
    """
    CREATE TABLE pages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        title TEXT NOT NULL,
        metadata TEXT NOT NULL,           -- JSON object, as sent
        source TEXT NOT NULL,             -- the address the page names itself; '' when it names none
        language TEXT NOT NULL,
        stream_id TEXT NOT NULL,          -- '' for store-pages
        stored_at TEXT NOT NULL
    );
    -- AUTOINCREMENT: the id of a deleted item never becomes another's.
    CREATE TABLE items (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        page_id INTEGER NOT NULL REFERENCES pages (id),
        content TEXT NOT NULL,
        changed_at TEXT NOT NULL
    );
    CREATE INDEX items_page ON items (page_id, id);
    -- A row of the index is a section of an item: answers quote sections.
    CREATE TABLE sections (
        id INTEGER PRIMARY KEY,
        item_id INTEGER NOT NULL REFERENCES items (id),
        starts INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        heading TEXT NOT NULL
    );
    CREATE INDEX sections_item ON sections (item_id, id);
    CREATE VIRTUAL TABLE words USING fts5 (
        title, heading, body, content='', tokenize='porter unicode61 remove_diacritics 2'
    );
    CREATE TABLE prompts (
        id INTEGER PRIMARY KEY,
        prompt TEXT NOT NULL UNIQUE,
        topic TEXT NOT NULL,
        page_id INTEGER NOT NULL,
        made_at TEXT NOT NULL
    );
    CREATE TABLE reviews (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        article TEXT NOT NULL,
        note TEXT NOT NULL,
        submitted_at TEXT NOT NULL
    );
    CREATE TABLE chats (
        id TEXT PRIMARY KEY,
        number INTEGER NOT NULL UNIQUE,
        user_id TEXT NOT NULL,
        started_at TEXT NOT NULL
    );
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        chat_id TEXT NOT NULL REFERENCES chats (id),
        role TEXT NOT NULL,               -- user, persona
        message TEXT NOT NULL
    );
    CREATE INDEX messages_chat ON messages (chat_id, id);
    CREATE TABLE media (
        token TEXT PRIMARY KEY,           -- unguessable: who has the address may read the file
        media_type TEXT NOT NULL,
        data BLOB NOT NULL
    );
    CREATE TABLE voices (
        id TEXT PRIMARY KEY,
        language TEXT NOT NULL,
        tone TEXT NOT NULL,
        pitch TEXT NOT NULL,
        seconds REAL,                     -- NULL where the container does not say
        token TEXT NOT NULL REFERENCES media (token),
        generated_from TEXT NOT NULL,     -- JSON array of training URLs; empty for a recording
        names TEXT NOT NULL,              -- JSON array
        added_at TEXT NOT NULL
    );
    CREATE TABLE instances (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        description TEXT NOT NULL,
        configuration TEXT NOT NULL,      -- JSON object
        admin INTEGER NOT NULL,
        added_at TEXT NOT NULL
    );
    CREATE TABLE videos (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        description TEXT NOT NULL,
        duration INTEGER NOT NULL,
        resolution TEXT NOT NULL,
        token TEXT NOT NULL REFERENCES media (token),
        added_at TEXT NOT NULL
    );
    """,
    """
    CREATE INDEX pages_source ON pages (source, id);
    """,
    # Sections were rows of the index by themselves, with the title and the targets of links in each.
    """
    DROP TABLE words;
    DROP TABLE sections;
    -- A row of the index is a passage of an item: a section, or short ones that follow each other.
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY,
        item_id INTEGER NOT NULL REFERENCES items (id),
        starts INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        sections BLOB NOT NULL            -- JSON array: where each starts, and its heading; answers quote sections
    );
    CREATE INDEX passages_item ON passages (item_id, id);
    CREATE VIRTUAL TABLE words USING fts5 (
        title, heading, body, content='', tokenize='porter unicode61 remove_diacritics 2'
    );
    """,
)


INDEXED_ANEW = 3
"""The layout from which on the index is told what it is told now."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the database; the connection may pass from thread to thread, one at a time."""
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA foreign_keys = ON")
    # A success answer says that the pages are kept: it waits for the disk.
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA cache_size = -4000")  # of each connection: the system keeps the file in memory anyway
    return db


def migrate(db: sqlite3.Connection) -> None:
    """Bring the database to the newest layout; safe when several processes start at once."""
    _to_wal(db)
    db.execute("BEGIN IMMEDIATE")
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > len(STEPS):
            raise sqlite3.DatabaseError("it was written by a newer persona-ingest")  # noqa: TRY301 - rolled back like the rest
        for step in STEPS[version:]:
            for statement in _statements(step):
                db.execute(statement)
        if version < INDEXED_ANEW:
            _say_that_it_takes_time(db)
            index.add_all(db)
        db.execute(f"PRAGMA user_version = {len(STEPS)}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _say_that_it_takes_time(db: sqlite3.Connection) -> None:
    (items,) = db.execute("SELECT count(*) FROM items").fetchone()
    if items:
        log.warning("The knowledge base is of an older version: its %d items are indexed anew, once.", items)


def _statements(script: str) -> list[str]:
    # executescript would commit the transaction that makes the migration whole.
    statements, text = [], ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            statements.append(text)
            text = ""
    return statements


def _to_wal(db: sqlite3.Connection) -> None:
    # Changing the mode does not wait for the busy handler when two processes create the file together.
    ends_at = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > ends_at:
                raise
            time.sleep(0.05)
        else:
            return
