"""The ledger's database, SQLite or PostgreSQL: one connection that runs the same SQL on both.

Parameters are written ``:name``. A list is one parameter: ``IN NUMBERS(:ids)`` or ``IN TEXTS(:names)`` take what
`listed` returns. ``FOR UPDATE`` and ``FOR SHARE`` are for PostgreSQL; SQLite has one writer at a time anyway.
"""

from __future__ import annotations

import re
import sqlite3
from collections import namedtuple
from contextlib import contextmanager, suppress
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from connectors.errors import FatalError, UsageError
from connectors.ledger.pack import dump

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

SQLITE: Final = "sqlite:///"
_LIST = re.compile(r"\bIN (NUMBERS|TEXTS)\((:\w+)\)")
_LOCKS = re.compile(r"\s+FOR (?:UPDATE|SHARE)\b")
# A larger cache saves no time, for the system keeps the file in memory anyway, and grows with a site until it is full.
_PRAGMAS = ("busy_timeout=30000", "journal_mode=WAL", "cache_size=-2048", "temp_store=MEMORY")
_STATEMENTS = 256  # that SQLite keeps parsed; the ledger has about a hundred


class Connection:
    """What statements are run on; made by `connect`.

    Attributes:
        kind: ``sqlite`` or ``postgresql``.
        errors: what its driver raises.
        closed: it can be used no more.
    """

    kind: ClassVar[str]
    errors: tuple[type[Exception], ...]
    closed = False

    def rows(self, sql: str, /, **given: Any) -> list[Any]:
        """Return the rows of a query, whose columns are attributes."""
        rows, told = self._ask(sql, given)
        return list(map(self._named(sql, told), rows)) if rows else []

    def first(self, sql: str, /, **given: Any) -> Any:
        """Return the first row; None when there is none."""
        rows, told = self._ask(sql, given)
        return self._named(sql, told)(rows[0]) if rows else None

    def value(self, sql: str, /, **given: Any) -> Any:
        """Return the only column of the first row; None when there is none."""
        rows, _ = self._ask(sql, given)
        return rows[0][0] if rows else None

    def column(self, sql: str, /, **given: Any) -> list[Any]:
        """Return the only column of every row."""
        return [row[0] for row in self._ask(sql, given)[0]]

    def insert(self, table: str, values: Mapping[str, Any]) -> int:
        """Insert a row and return the number it got."""
        return int(self.value(_insertion(table, tuple(values), " RETURNING id"), **values))

    def insert_unless_known(self, table: str, values: Mapping[str, Any]) -> int:
        """Insert a row and return the number it got; 0 when one with its keys is there already."""
        return int(self.value(_insertion(table, tuple(values), f"{_BUT_KNOWN} RETURNING id"), **values) or 0)

    def insert_many(self, table: str, rows: Sequence[Mapping[str, Any]], *, but_known: bool = False) -> int:
        """Insert rows that have the same columns; ``but_known``: leave out those whose keys are there already."""
        return self.many(_insertion(table, tuple(rows[0]), _BUT_KNOWN if but_known else ""), rows) if rows else 0

    def change(self, table: str, values: Mapping[str, Any], where: str, /, **given: Any) -> int:
        """Set columns of the rows ``where`` something holds; how many those were."""
        return self.run(_change(table, tuple(values), where), **values, **given)

    def run(self, sql: str, /, **given: Any) -> int:
        """Carry out a statement; how many rows of the table it met."""
        raise NotImplementedError

    def many(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Carry out a statement for each of some rows; how many rows of the table it met."""
        raise NotImplementedError

    def begin(self, *, synced: bool = False) -> None:
        """Begin a transaction; ``synced``: it is on the disk once it ends, not only in the system's hands."""
        raise NotImplementedError

    def commit(self) -> None:
        """End the transaction; what was written stays."""
        self.run("COMMIT")

    def rollback(self) -> None:
        """End the transaction as if it had never been; a connection that cannot is closed."""
        try:
            self.run("ROLLBACK")
        except self.errors:
            self.close()

    @contextmanager
    def transaction(self, *, synced: bool = False) -> Iterator[None]:
        """Let what is run meanwhile be durable altogether or not at all."""
        self.begin(synced=synced)
        try:
            yield
            self.commit()
        except BaseException:
            self.rollback()
            raise

    def close(self) -> None:
        """Let go of the database."""
        if not self.closed:
            self.closed = True
            with suppress(*self.errors):
                self._driver.close()

    _driver: Any
    _name: Callable[[Any], str]

    def __init__(self) -> None:
        self._makers: dict[str, Callable[[Iterable[Any]], Any]] = {}

    def _ask(self, sql: str, given: Mapping[str, Any]) -> tuple[Sequence[Any], Iterable[Any]]:
        """Return rows, and what the driver tells of their columns."""
        raise NotImplementedError

    def _named(self, sql: str, told: Iterable[Any]) -> Callable[[Iterable[Any]], Any]:
        """Return what makes a row with names of one that has none."""
        make = self._makers.get(sql)
        if make is None:
            row: Any = namedtuple("Row", map(self._name, told))  # type: ignore[misc]  # noqa: PYI024
            make = self._makers[sql] = row._make
        return make


class Sqlite(Connection):
    """A ledger in a file."""

    kind = "sqlite"
    _name = itemgetter(0)

    def __init__(self, file: str) -> None:
        super().__init__()
        self.errors = (sqlite3.Error, OSError)
        # Python's own transactions would begin too late; the writer's thread is not the one that opens.
        self._driver = sqlite3.connect(
            file, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS
        )
        self._synced: bool | None = None
        self._execute = self._driver.execute
        for pragma in _PRAGMAS:
            self._execute(f"PRAGMA {pragma}")

    def _ask(self, sql: str, given: Mapping[str, Any]) -> tuple[Sequence[Any], Iterable[Any]]:
        cursor = self._execute(_for_sqlite(sql), given)
        return cursor.fetchall(), cursor.description

    def insert(self, table: str, values: Mapping[str, Any]) -> int:
        """Insert a row; SQLite knows its number anyway, and RETURNING costs as much as the insert."""
        return int(self._execute(_insertion(table, tuple(values), ""), values).lastrowid)

    def insert_unless_known(self, table: str, values: Mapping[str, Any]) -> int:
        """Insert a row and return the number it got; 0 when one with its keys is there already."""
        inserted = self._execute(_insertion(table, tuple(values), _BUT_KNOWN), values)
        return int(inserted.lastrowid) if inserted.rowcount else 0

    def run(self, sql: str, /, **given: Any) -> int:
        """Carry out a statement; how many rows of the table it met."""
        return int(self._execute(_for_sqlite(sql), given).rowcount)

    def many(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Carry out a statement for each of some rows; how many rows of the table it met."""
        return int(self._driver.executemany(_for_sqlite(sql), rows).rowcount) if rows else 0

    def begin(self, *, synced: bool = False) -> None:
        """Begin a transaction as the only writer."""
        if synced != self._synced:
            self._execute(f"PRAGMA synchronous={'FULL' if synced else 'NORMAL'}")
            self._synced = synced
        self._execute("BEGIN IMMEDIATE")


class Postgres(Connection):
    """A ledger on a server, which parses each statement once a connection."""

    kind = "postgresql"
    _name = itemgetter("name")

    def __init__(self, where: Mapping[str, Any]) -> None:
        import pg8000.native

        super().__init__()
        self.errors = (pg8000.native.Error, OSError)
        self._driver = pg8000.native.Connection(**where)
        self._parsed: dict[str, Any] = {}
        self._driver.run("SET synchronous_commit = off")

    def _ask(self, sql: str, given: Mapping[str, Any]) -> tuple[Sequence[Any], Iterable[Any]]:
        parsed = self._prepared(sql)
        return parsed.run(**given) or (), parsed.columns

    def run(self, sql: str, /, **given: Any) -> int:
        """Carry out a statement; how many rows of the table it met."""
        if not given:
            self._driver.run(sql)
            return int(self._driver.row_count)
        parsed = self._prepared(sql)
        parsed.run(**given)
        return int(parsed._context.row_count)  # noqa: SLF001 - the driver tells it nowhere else

    def many(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Carry out a statement for each of some rows; how many rows of the table it met."""
        return sum(self.run(sql, **row) for row in rows)

    def insert_many(self, table: str, rows: Sequence[Mapping[str, Any]], *, but_known: bool = False) -> int:
        """Insert rows that have the same columns, in one way to the server and back where JSON can say them."""
        if not rows or any(isinstance(value, bytes) for value in rows[0].values()):
            return super().insert_many(table, rows, but_known=but_known)
        columns = ", ".join(rows[0])
        known = _BUT_KNOWN if but_known else ""
        chosen = f"SELECT {columns} FROM json_populate_recordset(CAST(NULL AS {table}), CAST(:rows AS json))"
        return self.run(f"INSERT INTO {table} ({columns}) {chosen}{known}", rows=dump(list(rows)))

    def begin(self, *, synced: bool = False) -> None:
        """Begin a transaction."""
        self._driver.run("BEGIN")
        if synced:
            self._driver.run("SET LOCAL synchronous_commit = on")

    def _prepared(self, sql: str) -> Any:
        parsed = self._parsed.get(sql)
        if parsed is None:
            parsed = self._parsed[sql] = self._driver.prepare(_for_postgresql(sql))
        return parsed


def connect(url: str) -> Connection:
    """Open a ledger's database.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/DATABASE``; what follows a ``?`` goes to
            PostgreSQL's driver (``?unix_sock=/run/postgresql/.s.PGSQL.5432`` instead of a host).

    Raises:
        UsageError: this is no address of a ledger, or its driver is not installed.
        FatalError: it cannot be opened.
    """
    try:
        if url.startswith(SQLITE):
            return Sqlite(url.removeprefix(SQLITE).partition("?")[0])
        return Postgres(_parts(url))
    except (ValueError, ImportError) as error:
        raise UsageError(
            f"The ledger {url.partition('@')[2] or url} cannot be opened: {error}. Use sqlite:///FILE or "
            "postgresql://USER@HOST/DATABASE (with the extra: persona-ingest[postgres])."
        ) from error
    except Exception as error:  # the drivers' errors, of which that of PostgreSQL may not be installed
        if url.startswith(SQLITE):
            raise cannot_write(error) from error
        raise FatalError(
            f"The ledger at {url.rpartition('@')[2].partition('?')[0]} cannot be opened: {_reason(error)}. Check the "
            "address, the password, and that the database server runs; then run the same command again."
        ) from error


def _reason(error: Exception) -> str:
    told = error.args[0] if error.args else ""
    reason = str(told.get("M", told) if isinstance(told, dict) else error).strip() or type(error).__name__
    return reason.splitlines()[0].partition(" (timeout is")[0].rstrip(".")


def cannot_write(error: Exception) -> FatalError:
    """Say of a driver's or the system's error what a person can do about it."""
    return FatalError(
        f"The ledger cannot be written: {_reason(error)}. Check the free space and the rights of the state "
        "folder (or the database server); then run the same command again, it goes on where this one stopped."
    )


def listed(values: Iterable[int] | Iterable[str]) -> str:
    """Return a list as one parameter."""
    return dump(list(values))


def one_of(names: Collection[str]) -> str:
    """Return words of the program's own as a list in SQL."""
    words = "', '".join(sorted(names))  # in one order, so that it is one statement
    return f"('{words}')"


_BUT_KNOWN = " ON CONFLICT DO NOTHING"


@cache
def _insertion(table: str, columns: tuple[str, ...], rest: str) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{c}' for c in columns)}){rest}"


@cache
def _change(table: str, columns: tuple[str, ...], where: str) -> str:
    return f"UPDATE {table} SET {', '.join(f'{c} = :{c}' for c in columns)} WHERE {where}"


@cache
def _for_sqlite(sql: str) -> str:
    return _LIST.sub(r"IN (SELECT value FROM json_each(\2))", _LOCKS.sub("", sql))


@cache
def _for_postgresql(sql: str) -> str:
    def elements(found: re.Match[str]) -> str:
        value = "CAST(value AS bigint)" if found[1] == "NUMBERS" else "value"
        return f"IN (SELECT {value} FROM json_array_elements_text(CAST({found[2]} AS json)))"

    return _LIST.sub(elements, sql)


def _parts(url: str) -> dict[str, Any]:
    """Return what PostgreSQL's driver calls the parts of an address.

    Raises:
        ValueError: it is no address of a PostgreSQL database.
    """
    parts = urlsplit(url)
    more = dict(parse_qsl(parts.query))
    if parts.scheme.partition("+")[0] not in {"postgresql", "postgres"} or not (parts.hostname or "unix_sock" in more):
        raise ValueError("this is no address of a database")
    if not parts.username:
        raise ValueError("its address names no user")
    told: dict[str, Any] = {"user": unquote(parts.username)}
    if parts.hostname:
        told["host"] = parts.hostname
    if parts.password is not None:
        told["password"] = unquote(parts.password)
    if parts.port:
        told["port"] = parts.port
    if parts.path.strip("/"):
        told["database"] = unquote(parts.path.strip("/"))
    return told | more
