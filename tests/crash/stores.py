"""Where the ledgers of the crash proof are: each trial gets a fresh one, copied from one that was filled before."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from databases import cluster
from fates import address

from connectors.ledger.migrate import migrate
from connectors.ledger.writer import open_engine

_OPEN = "SELECT count(*) FROM batches WHERE state = 'sent'"


def open_store(dialect: str):
    return Postgres() if dialect == "postgresql" else Files()


class Files:
    """SQLite: a file for each ledger, in memory where the system can: processes die here, not the machine."""

    dialect = "sqlite"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="crash", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))

    async def __aenter__(self):
        engine = open_engine(self.url("empty"))
        with engine.begin() as connection:
            migrate(connection)
        engine.dispose()
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
    """PostgreSQL: a database for each ledger, on a server of our own."""

    dialect = "postgresql"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="crash"))
        self._stack = ExitStack()
        self._address = ""
        self._copying = asyncio.Lock()

    async def __aenter__(self):
        self._address = self._stack.enter_context(cluster("max_connections=100", "autovacuum=off"))
        await self._do("CREATE DATABASE empty")
        engine = open_engine(self.url("empty"))
        with engine.begin() as connection:
            migrate(connection)
        engine.dispose()
        return self

    async def __aexit__(self, *_):
        self._stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name: str) -> str:
        return f"{self._address.rpartition('/')[0]}/{name}"

    async def copy(self, template: str, name: str) -> None:
        async with self._copying:
            await self._do(f"CREATE DATABASE {name} TEMPLATE {template}")

    async def seal(self, _name: str) -> None:
        """Do nothing: a database is copied whole."""

    async def open_batches(self, name: str) -> int:
        return (await self._do(_OPEN, database=name))[0][0]

    async def drop(self, name: str) -> None:
        await self._do(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    async def _do(self, statement: str, *, database: str = "postgres") -> list:
        return await asyncio.to_thread(self._run, statement, database)

    def _run(self, statement: str, database: str) -> list:
        import pg8000.dbapi

        connection = pg8000.dbapi.connect(**address(self.url(database)))
        try:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()
