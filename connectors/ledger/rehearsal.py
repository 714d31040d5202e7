"""A copy of the ledger that may be written to and thrown away: what a dry run works on."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import and_, insert, select

from connectors.ledger import schema
from connectors.ledger.migrate import migrate
from connectors.ledger.pack import unpack_text
from connectors.ledger.writer import open_engine

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from connectors.ledger.values import Run

_CHUNK = 500
_IN_BASE = ("sent", "delivered", "verified", "updating")
_SQLITE = "sqlite:///"


def copy_ledger(url: str, folder: Path) -> str:
    """Copy a ledger into an SQLite file in ``folder``; the original is only read.

    Visits of past runs stay behind: nothing that a run decides depends on them.

    Returns:
        The copy's URL. A ledger that does not exist yet gives the URL of one that does not either.
    """
    target = folder / "rehearsal.sqlite3"
    if not url.startswith(_SQLITE):
        with open_engine(url).connect() as source, open_engine(f"{_SQLITE}{target}").begin() as copy:
            migrate(copy)
            _copy_rows(source, copy)
    elif (original := Path(url.removeprefix(_SQLITE).partition("?")[0])).exists():
        source_file = sqlite3.connect(f"file:{original}?mode=ro", uri=True)
        copied = sqlite3.connect(target)
        try:
            source_file.backup(copied)
            copied.execute("UPDATE sources SET lease_token = NULL")
            copied.commit()
        finally:
            source_file.close()
            copied.close()
    return f"{_SQLITE}{target}"


def rewritten(connection: Connection, run: Run) -> list[tuple[str, str, str]]:
    """Return the address, the delivered text and the new text of each page that this run found changed."""
    elder = schema.versions.alias()
    query = (
        select(schema.pages.c.uri, elder.c.content.label("before"), schema.versions.c.content.label("after"))
        .join(schema.versions, schema.versions.c.id == schema.pages.c.version_id)
        .join(elder, and_(elder.c.page_id == schema.pages.c.id, elder.c.state.in_(_IN_BASE)))
        .where(schema.pages.c.source_id == run.source_id, schema.pages.c.verdict_run == run.id)
        .where(schema.pages.c.verdict == "changed", elder.c.id != schema.versions.c.id)
        .order_by(schema.pages.c.id, elder.c.id)
    )
    found = {row.uri: (unpack_text(row.before), unpack_text(row.after)) for row in connection.execute(query)}
    return [(uri, before, after) for uri, (before, after) in found.items()]


def _copy_rows(source: Connection, copy: Connection) -> None:
    for table in schema.metadata.tables.values():
        if table is schema.visits:
            continue
        rows = source.execution_options(stream_results=True).execute(select(table))
        for chunk in rows.mappings().partitions(_CHUNK):
            copy.execute(insert(table), [dict(row) for row in chunk])
    copy.execute(schema.sources.update().values(lease_token=None))
