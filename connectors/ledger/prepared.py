"""Statements of the hot paths: SQLAlchemy writes their SQL once a database, then the driver runs it directly.

SQLAlchemy's own way costs 0.3 ms a statement, ten times what SQLite needs for it, and a page takes about ten of them.
Only for columns that need no conversion between Python and the driver, which is all of the ledger's (`schema`).
"""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.sql import Select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.sql.base import Executable


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement in one database's words: each parameter is a caller's value by name, or always the same."""

    text: str
    names: tuple[str | None, ...]
    fixed: tuple[Any, ...]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        return [value if name is None else given[name] for name, value in zip(self.names, self.fixed, strict=True)]


class Prepared:
    """One statement; called with the same names each time or with others, it has a form for each set of them."""

    def __init__(self, statement: Executable) -> None:
        self._statement: Any = statement
        self._forms: dict[tuple[str, ...], _Form] = {}
        self._make: Callable[[Iterable[Any]], Any] | None = None

    def all(self, connection: Connection, given: Mapping[str, Any]) -> list[Any]:
        """Return the rows, whose columns are attributes."""
        cursor = self._executed(connection, given)
        rows = cursor.fetchall()
        cursor.close()
        return list(map(self._row(cursor), rows)) if rows else []

    def first(self, connection: Connection, given: Mapping[str, Any]) -> Any:
        """Return the only row that matters; None when there is none."""
        cursor = self._executed(connection, given)
        row = cursor.fetchone()
        make = self._row(cursor) if row is not None else None
        cursor.close()
        return make(row) if make else None

    def run(self, connection: Connection, given: Mapping[str, Any]) -> None:
        """Carry out a statement that returns nothing."""
        self._executed(connection, given).close()

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Carry out a statement for each of some rows that have the same names; how many rows of the table it met."""
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
        cursor: Any = connection.connection.cursor()
        cursor.execute(form.text, form.values(given))
        return cursor

    def _row(self, cursor: Any) -> Callable[[Iterable[Any]], Any]:
        if self._make is None:
            names = [column[0] for column in cursor.description]  # known only now
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
        return _Form(
            text=str(compiled),
            names=tuple(name if name in given else None for name in order),
            fixed=tuple(None if name in given else compiled.params[name] for name in order),
        )
