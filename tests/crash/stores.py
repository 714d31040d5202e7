"""Where the ledgers of the crash proof are: each trial gets a fresh one, copied from one that was filled before."""

from __future__ import annotations

import asyncio
import io
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from databases import cluster
from fates import address

from connectors.ledger.database import connect
from connectors.ledger.migrate import migrate

_OPEN = "SELECT count(*) FROM batches WHERE state = 'sent'"


def open_store(dialect: str):
    return Postgres() if dialect == "postgresql" else Files()


class Files:
    """SQLite: a file for each ledger, in memory where the system can: processes die here, not the machine."""

    dialect = "sqlite"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="crash", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))

    async def __aenter__(self):
        with closing(connect(self.url("empty"))) as connection, connection.transaction():
            migrate(connection)
        await self.seal("empty")
        return self

    async def __aexit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.sqlite3"

    def url(self, name: str) -> str:
        return f"sqlite:///{self.path(name)}"

    async def copy(self, template: str, name: str) -> None:
        shutil.copy(self.path(template), self.path(name))

    async def seal(self, name: str) -> None:
        """Bring everything into the one file that is copied."""
        connection = sqlite3.connect(self.path(name))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    async def open_batches(self, name: str) -> int:
        """Count the batches whose outcome is unknown now."""
        try:
            connection = sqlite3.connect(f"file:{self.path(name)}?mode=ro", uri=True)
            (number,) = connection.execute(_OPEN).fetchone()
            connection.close()
        except sqlite3.Error:
            return 0
        return number

    async def drop(self, name: str) -> None:
        for scrap in self.folder.glob(f"{name}.*"):
            scrap.unlink(missing_ok=True)


class Postgres:
    """PostgreSQL: a server of our own, a database for each bench, filled anew for each ledger.

    Ledgers are called ``BENCH_NUMBER``. Making and dropping a database takes a hundred times as long as filling one.
    """

    dialect = "postgresql"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="crash"))
        self._stack = ExitStack()
        self._address = ""
        self._made: set[str] = set()
        self._making = asyncio.Lock()
        self._sealed: dict[str, dict[str, bytes]] = {"empty": {}}

    async def __aenter__(self):
        self._address = self._stack.enter_context(cluster("max_connections=100", "autovacuum=off"))
        await self._do("CREATE DATABASE empty")
        with closing(connect(self.url("empty"))) as connection, connection.transaction():
            migrate(connection)
        return self

    async def __aexit__(self, *_):
        self._stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name: str) -> str:
        return f"{self._address.rpartition('/')[0]}/{name.partition('_')[0]}"

    async def copy(self, template: str, name: str) -> None:
        database = name.partition("_")[0]
        async with self._making:
            if database not in self._made:
                await self._do(f"CREATE DATABASE {database} TEMPLATE empty")
                self._made.add(database)
        await asyncio.to_thread(self._fill, database, self._sealed[template])

    async def seal(self, name: str) -> None:
        """Keep what a ledger holds now, to be copied."""
        self._sealed[name] = await asyncio.to_thread(self._contents, name)

    async def open_batches(self, name: str) -> int:
        return (await self._do(_OPEN, database=name))[0][0]

    async def drop(self, _name: str) -> None:
        """Do nothing: the next ledger of this bench takes its place."""

    def _contents(self, name: str) -> dict[str, bytes]:
        found = {}
        with self._connected(name) as connection:
            cursor = connection.cursor()
            for table in _tables(cursor):
                rows = io.BytesIO()
                cursor.execute(f"COPY {table} TO STDOUT", stream=rows)
                found[table] = rows.getvalue()
        return found

    def _fill(self, database: str, contents: dict[str, bytes]) -> None:
        with self._connected(database) as connection:
            cursor = connection.cursor()
            while _ended(cursor):  # what a process that was killed left behind
                time.sleep(0.01)
            cursor.execute("SET session_replication_role = replica")  # tables in any order
            cursor.execute(f"TRUNCATE {', '.join(_tables(cursor))} RESTART IDENTITY")
            for table, rows in contents.items():
                cursor.execute(f"COPY {table} FROM STDIN", stream=io.BytesIO(rows))
            cursor.execute(_NUMBERED)
            for table, column in cursor.fetchall():
                cursor.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), "
                    f"(SELECT coalesce(max({column}), 0) + 1 FROM {table}), false)"
                )

    async def _do(self, statement: str, *, database: str = "postgres") -> list:
        return await asyncio.to_thread(self._run, statement, database)

    def _run(self, statement: str, database: str) -> list:
        with self._connected(database) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    @contextmanager
    def _connected(self, database: str):
        import pg8000.dbapi

        connection = pg8000.dbapi.connect(**address(self.url(database)))
        try:
            connection.autocommit = True
            yield connection
        finally:
            connection.close()


_NUMBERED = "SELECT table_name, column_name FROM information_schema.columns WHERE is_identity = 'YES'"


def _tables(cursor) -> list[str]:
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migrations'")
    return [name for (name,) in cursor.fetchall()]


def _ended(cursor) -> int:
    cursor.execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return cursor.fetchone()[0]
