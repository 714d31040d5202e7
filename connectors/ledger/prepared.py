"""Statements of the hot paths: SQLAlchemy writes their SQL once a database, then the driver runs it directly.

SQLAlchemy's own way costs 0.3 ms a statement, ten times what SQLite needs for it, and a page takes about ten of them.
Only for columns that need no conversion between Python and the driver, which is all of the ledger's (`schema`).
"""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import or_
from sqlalchemy.sql import Select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection
    from sqlalchemy.sql.base import Executable


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement in one database's words, and what finds its parameters' values among those a caller names."""

    text: str
    values: Callable[[Mapping[str, Any]], Sequence[Any]]


class _OnServer:
    """A form on PostgreSQL: its server parses it once a connection.

    The driver's cursors read the statement letter by letter and ask the server three times for each answer.
    """

    def __init__(self, form: _Form) -> None:
        parts = form.text.replace("%%", "%").split("%s")
        self._names = [f"p{number}" for number in range(len(parts) - 1)]
        self._text = "".join(f"{part}:{name}" for part, name in zip(parts, self._names, strict=False)) + parts[-1]
        self._values = form.values
        self._parsed: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def run(self, connection: Connection, given: Mapping[str, Any]) -> tuple[Sequence[Any], list[str], int]:
        """Return rows, the names of their columns, and how many rows of the table were met."""
        driver: Any = connection.connection.dbapi_connection
        parsed = self._parsed.get(driver)
        if parsed is None:
            parsed = self._parsed[driver] = driver.prepare(self._text)
        rows = parsed.run(**dict(zip(self._names, self._values(given), strict=True)))
        return rows, [column["name"] for column in parsed.row_desc or ()], parsed._context.row_count  # noqa: SLF001


class Prepared:
    """One statement; called with the same names each time or with others, it has a form for each set of them."""

    def __init__(self, statement: Executable) -> None:
        self._statement: Any = statement
        self._forms: dict[tuple[str, ...], _Form] = {}
        self._on_server: dict[tuple[str, ...], _OnServer] = {}
        self._make: Callable[[Iterable[Any]], Any] | None = None

    def all(self, connection: Connection, given: Mapping[str, Any]) -> list[Any]:
        """Return the rows, whose columns are attributes."""
        if connection.dialect.name == "postgresql":
            rows, names, _ = self._asked(connection, given)
            return list(map(self._row(names), rows)) if rows else []
        cursor = self._executed(connection, given)
        rows = cursor.fetchall()
        cursor.close()
        return list(map(self._row(cursor), rows)) if rows else []

    def first(self, connection: Connection, given: Mapping[str, Any]) -> Any:
        """Return the only row that matters; None when there is none."""
        if connection.dialect.name == "postgresql":
            return next(iter(self.all(connection, given)), None)
        cursor = self._executed(connection, given)
        row = cursor.fetchone()
        make = self._row(cursor) if row is not None else None
        cursor.close()
        return make(row) if make else None

    def run(self, connection: Connection, given: Mapping[str, Any]) -> int:
        """Carry out a statement that returns nothing; how many rows of the table it met."""
        if connection.dialect.name == "postgresql":
            return self._asked(connection, given)[2]
        cursor = self._executed(connection, given)
        met = int(cursor.rowcount)
        cursor.close()
        return met

    def insert(self, connection: Connection, given: Mapping[str, Any]) -> int:
        """Carry out an INSERT of one row and return the number that SQLite gave it."""
        cursor = self._executed(connection, given)
        number = int(cursor.lastrowid)
        cursor.close()
        return number

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Carry out a statement for each of some rows that have the same names; how many rows of the table it met."""
        if connection.dialect.name == "postgresql":
            return sum(self.run(connection, row) for row in rows)
        if not rows:
            return 0
        form = self._form(connection, rows[0])
        cursor: Any = connection.connection.cursor()
        cursor.executemany(form.text, [form.values(row) for row in rows])
        met = int(cursor.rowcount)
        cursor.close()
        return met

    def _executed(self, connection: Connection, given: Mapping[str, Any]) -> Any:
        form = self._form(connection, given)
        driver: Any = connection.connection.dbapi_connection  # whose cursors cost half of those that SQLAlchemy wraps
        return driver.execute(form.text, form.values(given))

    def _asked(self, connection: Connection, given: Mapping[str, Any]) -> tuple[Sequence[Any], list[str], int]:
        key = tuple(given)
        if key not in self._on_server:
            self._on_server[key] = _OnServer(self._form(connection, given))
        return self._on_server[key].run(connection, given)

    def _row(self, told: Any) -> Callable[[Iterable[Any]], Any]:
        """Return what makes a row; ``told`` is a list of names, or a cursor that knows them now."""
        if self._make is None:
            names = told if isinstance(told, list) else [column[0] for column in told.description]
            row: Any = namedtuple("Row", names)  # type: ignore[misc]  # noqa: PYI024
            self._make = row._make
        return self._make

    def _form(self, connection: Connection, given: Mapping[str, Any]) -> _Form:
        key = (connection.dialect.name, *given)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = self._written(connection, given)
        return form

    def _written(self, connection: Connection, given: Mapping[str, Any]) -> _Form:
        columns = None if isinstance(self._statement, Select) else list(given)
        compiled: Any = self._statement.compile(dialect=connection.dialect, column_keys=columns)
        if compiled.post_compile_params:
            raise ValueError(f"An IN has another form for each number of values: {compiled}")
        order = list(compiled.positiontup or ())
        fixed = {name: compiled.params[name] for name in order if name not in given}
        return _Form(text=str(compiled), values=_picked(order, fixed))


def among(column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Say that a column has one of some values, as a prepared statement can: without an IN."""
    return or_(*(column == value for value in sorted(values)))


def _picked(order: Sequence[str], fixed: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """Return what puts the values of a statement's parameters, given or ``fixed``, into their order."""
    if len(order) > 1 and not fixed:
        return itemgetter(*order)
    names = [(name, fixed.get(name), name in fixed) for name in order]
    return lambda given: [value if known else given[name] for name, value, known in names]
