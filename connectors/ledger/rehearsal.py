"""A copy of the ledger that may be written to and thrown away: what a dry run works on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.ledger.database import SQLITE, connect
from connectors.ledger.migrate import migrate
from connectors.ledger.pack import unpack_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connectors.ledger.database import Connection
    from connectors.ledger.values import Run

_CHUNK = 500
_REWRITTEN = """
SELECT pages.uri, elder.content AS before, versions.content AS after
FROM pages
JOIN versions ON versions.id = pages.version_id
JOIN versions AS elder ON elder.page_id = pages.id
  AND elder.state IN ('sent', 'delivered', 'verified', 'updating')
WHERE pages.source_id = :source AND pages.verdict_run = :run AND pages.verdict = 'changed' AND elder.id <> versions.id
ORDER BY pages.id, elder.id
"""
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('visits', 'migrations')"
_KEYS = "SELECT name FROM pragma_table_info(:name) WHERE pk > 0 ORDER BY pk"


def copy_ledger(url: str, folder: Path) -> str:
    """Copy a ledger into an SQLite file in ``folder``; the original is only read.

    Visits of past runs stay behind: nothing that a run decides depends on them.

    Returns:
        The copy's URL. A ledger that does not exist yet gives the URL of one that does not either.
    """
    target = folder / "rehearsal.sqlite3"
    if not url.startswith(SQLITE):
        with (
            closing(connect(url)) as source,
            closing(connect(f"{SQLITE}{target}")) as copy,
            source.transaction(),
            copy.transaction(),
        ):
            migrate(copy)
            source.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")  # all tables as they were at one moment
            if source.value("SELECT CAST(to_regclass('migrations') AS text)"):
                _copy_rows(source, copy)
    elif (original := Path(url.removeprefix(SQLITE).partition("?")[0])).exists():
        source_file = sqlite3.connect(f"file:{original}?mode=ro", uri=True)
        copied = sqlite3.connect(target)
        try:
            source_file.backup(copied)
            copied.execute("UPDATE sources SET lease_token = NULL")
            copied.commit()
        finally:
            source_file.close()
            copied.close()
    return f"{SQLITE}{target}"


def rewritten(connection: Connection, run: Run) -> list[tuple[str, str, str]]:
    """Return the address, the delivered text and the new text of each page that this run found changed."""
    rows = connection.rows(_REWRITTEN, source=run.source_id, run=run.id)
    found = {row.uri: (unpack_text(row.before), unpack_text(row.after)) for row in rows}
    return [(uri, before, after) for uri, (before, after) in found.items()]


def _copy_rows(source: Connection, copy: Connection) -> None:
    for table in copy.column(_TABLES):
        for rows in _by_key(source, table, copy.column(_KEYS, name=table)):
            copy.insert_many(table, rows)
    copy.run("UPDATE sources SET lease_token = NULL")


def _by_key(source: Connection, table: str, keys: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a table in the order of its key, some at a time."""
    named = ", ".join(keys)
    start = f"SELECT * FROM {table}"
    behind = f"{start} WHERE ({named}) > ({', '.join(f':{key}' for key in keys)})"
    rest = f"ORDER BY {named} LIMIT {_CHUNK}"
    found = source.rows(f"{start} {rest}")
    while found:
        rows = [row._asdict() for row in found]
        yield rows
        found = source.rows(f"{behind} {rest}", **{key: rows[-1][key] for key in keys})
