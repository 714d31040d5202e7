"""An empty database of each kind: SQLite in a file, PostgreSQL on a real server of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from loopback import free_port

_BIN = Path("/usr/lib/postgresql/15/bin")


def _as_postgres(*command: object) -> None:
    """Run a command as a user that PostgreSQL accepts; it refuses root."""
    user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
    options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=60, **options)


@contextmanager
def cluster(*options: str):
    """Run a PostgreSQL server of our own on loopback; gives the address of its first database."""
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    try:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        port = free_port()
        data = folder / "data"
        _as_postgres(_BIN / "initdb", "-D", data, "-U", "ledger", "-A", "trust", "-E", "UTF8", "--no-sync")
        given = ["listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "max_connections=20", "fsync=off"]
        flags = " ".join(f"-c {option}" for option in [*given, *options])
        _as_postgres(_BIN / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", f"-p {port} {flags}", "start")
        try:
            yield f"postgresql://ledger@127.0.0.1:{port}/postgres"
        finally:
            _as_postgres(_BIN / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres():
    if not (_BIN / "initdb").exists():
        pytest.skip("PostgreSQL 15 is not installed (apt-get install postgresql-15)")
    pytest.importorskip("pg8000", reason="the extra `postgres` is not installed")
    with cluster() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request, tmp_path):
    """Return the address of an empty database."""
    return new_database(request, tmp_path)


def new_database(request, tmp_path) -> str:
    """Make an empty database of the kind that the fixture's parameter names."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    server = request.getfixturevalue("postgres")
    from connectors.ledger.database import connect

    name = f"test_{uuid.uuid4().hex[:12]}"
    with closing(connect(server)) as connection:
        connection.run(f"CREATE DATABASE {name}")
    return server.rpartition("/")[0] + "/" + name
