"""A copy of the ledger that may be written to and thrown away: what a dry run works on."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from connectors.ledger import schema
from connectors.ledger.migrate import migrate
from connectors.ledger.writer import open_engine

if TYPE_CHECKING:
    from sqlalchemy import Connection

_CHUNK = 500
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


def _copy_rows(source: Connection, copy: Connection) -> None:
    for table in schema.metadata.tables.values():
        if table is schema.visits:
            continue
        rows = source.execution_options(stream_results=True).execute(select(table))
        for chunk in rows.mappings().partitions(_CHUNK):
            copy.execute(insert(table), [dict(row) for row in chunk])
    copy.execute(schema.sources.update().values(lease_token=None))
