"""Runs statements that never change on the driver itself: compiled once for a connection, rows as plain values.

What SQLAlchemy does anew for each execution costs several times what the database does. Owns compiling, the order of
values, and that faults are SQLAlchemy's all the same. Leaves to SQLAlchemy what is built for one occasion, and all
pooling, transactions and types of rows.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, cast

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Executable,
    Row,
    Select,
    Text,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.exc import DBAPIError

from app.database.statement import AtOnce, Ordered, Statement, as_taken, compile_for, constants_of

Values = Mapping[str, object]
Found = Row[tuple[object, ...]]
_KEY: Final = "spillway_driver"
BEGIN: Final = "BEGIN IMMEDIATE"
"""Takes SQLite's one lock at the start, so that no transaction fails midway (0050)."""
Bound = Sequence[object] | Values
_Read = Callable[[Sequence[object]], Sequence[object]]


class _Prepared:
    """One statement as one driver takes it, its values by their names."""

    __slots__ = ("_bind", "_fixed", "_read", "_rows", "text")

    def __init__(self, connection: Connection, statement: Executable, columns: Sequence[str]) -> None:
        compiled = compile_for(connection.dialect, statement, columns)
        self.text = str(compiled)
        self._fixed = constants_of(compiled)
        names = compiled.positiontup
        # Drivers that take names find the values themselves.
        self._bind = None if names is None else _in_order(names)
        self._rows, self._read = _reader(statement, connection.dialect.name)

    def bind(self, values: Values) -> Bound:
        """The values of one execution, in the form of the driver."""
        if self._fixed:
            values = {**self._fixed, **values}
        return values if self._bind is None else self._bind(values)

    def execute(self, cursor: DBAPICursor, rows: Sequence[Values]) -> None:
        """Once for each row."""
        if len(rows) == 1:
            cursor.execute(self.text, self.bind(rows[0]))
        else:
            cursor.executemany(self.text, cast("Any", [self.bind(row) for row in rows]))

    def read(self, rows: Sequence[Sequence[object]]) -> Sequence[Found]:
        """Rows of the driver as SQLAlchemy's."""
        if not rows:
            return ()
        read = rows if self._read is None else [self._read(row) for row in rows]
        return cast("Sequence[Found]", IteratorResult(self._rows, iter(read)).all())


def one_of(column: ColumnElement[str], name: str, dialect: str) -> ColumnElement[bool]:
    """Whether a column has one of the values that `name` is given as `listed`: one text for any number of them."""
    if dialect == "sqlite":
        return column.in_(select(func.json_each(bindparam(name)).table_valued("value").c.value))
    return column == any_(bindparam(name, type_=ARRAY(Text)))


def listed(connection: Connection, values: Iterable[str]) -> str:
    """Values for `one_of`, as the driver takes them."""
    return json.dumps([*values]) if connection.dialect.name == "sqlite" else to_array(values)


def to_array(values: Iterable[str]) -> str:
    """An array as PostgreSQL writes it: psycopg takes longer to write one than the server to answer."""
    return "{" + ",".join([f'"{_escape(value)}"' for value in values]) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"") if "\\" in value or '"' in value else value


class Driver:
    """One connection of the driver, and the statements that it knows. Whatever fails is raised as SQLAlchemy does."""

    __slots__ = ("_cursor", "_errors", "_known", "_ordered", "_session")

    def __init__(self, connection: Connection) -> None:
        self._session = connection.connection.dbapi_connection
        # One for all statements: nothing is left in it once its rows are fetched.
        self._cursor = connection.connection.cursor()
        self._errors = connection.dialect.loaded_dbapi.Error
        self._known: dict[tuple[Executable, Sequence[str]], _Prepared] = {}
        self._ordered: dict[Statement, Ordered | AtOnce] = {}

    @classmethod
    def of(cls, connection: Connection) -> "Driver":
        """That of a connection, which it is kept on: it goes when that goes, or its schema was migrated meanwhile."""
        info = connection.info
        found = info.get(_KEY)
        if not isinstance(found, Driver):
            found = info[_KEY] = cls(connection)
        return found

    def find(self, connection: Connection, statement: Select[Any], values: Values) -> Sequence[Found]:
        """All rows of a constant query."""
        prepared = self._prepare(connection, statement, ())
        rows = self._fetch(connection, prepared, values)
        return prepared.read(rows) if rows else ()

    def look(self, connection: Connection, statement: Select[Any], values: Values) -> Sequence[Sequence[Any]]:
        """As `find`, as plain values: what is true or false may be a number."""
        return self._fetch(connection, self._prepare(connection, statement, ()), values)

    def run(self, connection: Connection, statement: Executable | Statement, rows: Sequence[Any]) -> int:
        """Execute a constant statement for each of these values; how many rows it changed."""
        prepared: _Prepared | Ordered | AtOnce
        if isinstance(statement, Statement):
            prepared = self._order(connection, statement)
        else:
            prepared = self._prepare(connection, statement, tuple(rows[0]) if statement.is_insert else ())
        cursor = self._cursor
        try:
            prepared.execute(cursor, rows)
        except self._errors as error:
            raise self._fault(connection, prepared.text, error) from error
        return cursor.rowcount

    def command(self, connection: Connection, text: str) -> None:
        """Execute a statement of the driver's own."""
        try:
            self._cursor.execute(text)
        except self._errors as error:
            raise self._fault(connection, text, error) from error

    def commit(self, connection: Connection) -> None:
        """Make durable what was done since the last time."""
        try:
            cast("Any", self._session).commit()
        except self._errors as error:
            raise self._fault(connection, "COMMIT", error) from error

    def rollback(self, connection: Connection) -> None:
        """Undo what was done since the last time."""
        try:
            cast("Any", self._session).rollback()
        except self._errors as error:
            raise self._fault(connection, "ROLLBACK", error) from error

    def _fetch(self, connection: Connection, prepared: _Prepared, values: Values) -> Sequence[Sequence[Any]]:
        try:
            self._cursor.execute(prepared.text, prepared.bind(values))
            return self._cursor.fetchall()
        except self._errors as error:
            raise self._fault(connection, prepared.text, error) from error

    def _prepare(self, connection: Connection, statement: Executable, columns: Sequence[str]) -> _Prepared:
        key = (statement, columns)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = _Prepared(connection, statement, columns)
        return found

    def _order(self, connection: Connection, statement: Statement) -> Ordered | AtOnce:
        found = self._ordered.get(statement)
        if found is None:
            found = self._ordered[statement] = as_taken(connection, statement)
        return found

    def _fault(self, connection: Connection, text: str, error: Exception) -> BaseException:
        """The fault as SQLAlchemy would raise it; a connection that is gone is not used again."""
        dialect = connection.dialect
        is_gone = dialect.is_disconnect(cast("Any", error), connection.connection, self._cursor)
        if is_gone:
            connection.invalidate(error)
        # Without the values: they may be prompts, and the fault may be logged.
        return DBAPIError.instance(text, None, error, self._errors, connection_invalidated=is_gone, dialect=dialect)


def find(connection: Connection, statement: Select[Any], values: Values) -> Sequence[Found]:
    """All rows of a constant query. Raises as SQLAlchemy."""
    return Driver.of(connection).find(connection, statement, values)


def look(connection: Connection, statement: Select[Any], values: Values) -> Sequence[Sequence[Any]]:
    """As `find`, as plain values."""
    return Driver.of(connection).look(connection, statement, values)


def run(connection: Connection, statement: Executable | Statement, rows: Sequence[Any]) -> int:
    """Execute a constant statement for each of these values; how many rows it changed. Raises as SQLAlchemy."""
    return Driver.of(connection).run(connection, statement, rows)


def _in_order(names: Sequence[str]) -> Callable[[Values], Sequence[object]]:
    if not names:
        return lambda _: ()
    return itemgetter(*names) if len(names) > 1 else lambda values: (values[names[0]],)


def _reader(statement: Executable, dialect: str) -> tuple[SimpleResultMetaData, _Read | None]:
    """The names of what is found; and what turns SQLite's numbers into truth values, where there are some."""
    columns = tuple(statement.selected_columns) if isinstance(statement, Select) else ()
    names = SimpleResultMetaData([str(column.key) for column in columns])
    if dialect != "sqlite":
        return names, None
    flags = frozenset(index for index, column in enumerate(columns) if isinstance(column.type, Boolean))
    return names, _Truths(flags) if flags else None


class _Truths:
    """Turns the numbers at these places into truth values."""

    __slots__ = ("_places",)

    def __init__(self, places: frozenset[int]) -> None:
        self._places = places

    def __call__(self, row: Sequence[object]) -> Sequence[object]:
        places = self._places
        return [bool(value) if index in places and value is not None else value for index, value in enumerate(row)]
