"""The statements that every request runs: rows are tuples, as the driver takes them.

Owns in which form a statement and its rows go to each driver, and what a change says of its request. Leaves running
them to `prepared`.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol, cast

import msgspec
from sqlalchemy import (
    BindParameter,
    Boolean,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Insert,
    String,
    Text,
    bindparam,
    column,
    func,
    literal_column,
    select,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.visitors import replacement_traverse
from sqlalchemy.types import TypeEngine

Tuple = tuple[object, ...]
OF_A_REQUEST: Final = ("request_id", "of_request")
"""What the value is called that names the request that a row changes."""
_ROWS: Final = "rows"
_NUL: Final = rb"\u0000"
_LONGEST: Final = 4 * 1024 * 1024
"""Bytes of a text that the server is to take apart: it needs some times as much memory meanwhile."""
_TARGETS: Final = ("task_id", "of_key", *OF_A_REQUEST)


class Change(Protocol):
    """What a piece does to one request."""

    @property
    def request_id(self) -> str:
        """The request."""

    @property
    def account(self) -> str | None:
        """The tenant whose account it concerns, empty for none; None where the database is to be asked."""


class Statement:
    """A statement that every request runs: its rows are tuples, whose values are in the order of `names`.

    Best in the order of its text. `place` is where a row says which request it changes, None where it changes none;
    `target` is where it says which row it changes, None where it adds one.
    """

    __slots__ = ("construct", "is_insert", "names", "place", "target")

    def __init__(self, construct: Executable, *names: str) -> None:
        self.construct = construct
        self.names = names
        self.is_insert = construct.is_insert
        changed = [] if self.is_insert else [name for name in _TARGETS if name in names]
        self.target = names.index(changed[0]) if changed else None
        places = [] if self.is_insert else [place for place, name in enumerate(names) if name in OF_A_REQUEST]
        self.place = places[0] if places else None


class Ordered:
    """One statement as one driver takes it, its values in order."""

    __slots__ = ("_fixed", "_order", "text")

    def __init__(self, connection: Connection, statement: Statement) -> None:
        dialect, names = connection.dialect, statement.names
        if not dialect.positional:  # psycopg takes values by their place as well
            dialect = cast("Any", type(dialect))(paramstyle="format")
        compiled = compile_for(dialect, statement.construct, names)
        self.text = str(compiled)
        fixed = constants_of(compiled)
        order = [[*names, *fixed].index(name) for name in compiled.positiontup]
        self._fixed = tuple(fixed.values())
        # As they are, where the statement has each of them once and in this order.
        self._order = None if order == list(range(len(names))) else order

    def bind(self, row: Tuple) -> Tuple:
        """The values of one execution, as the driver takes them."""
        if self._order is None:
            return row
        row += self._fixed
        return tuple([row[place] for place in self._order])

    def execute(self, cursor: DBAPICursor, rows: Sequence[Tuple]) -> None:
        """Once for each row."""
        if len(rows) == 1:
            cursor.execute(self.text, self.bind(rows[0]))
        else:
            cursor.executemany(self.text, rows if self._order is None else [self.bind(row) for row in rows])


class AtOnce:
    """All rows for PostgreSQL as one text: psycopg handles each execution in Python, which costs more than all rows.

    Numbers with a fraction must be finite: JSON has no others.
    """

    __slots__ = ("_each", "_fixed", "_places", "_target", "text")

    def __init__(self, connection: Connection, statement: Statement) -> None:
        dialect = cast("Any", type(connection.dialect))(paramstyle="format")
        binds = compile_for(dialect, statement.construct, statement.names).binds
        types = [binds[name].type for name in statement.names]
        compiled = compile_for(dialect, _from_given(statement, types), ())
        self.text = str(compiled)
        self._places, self._fixed = compiled.positiontup, constants_of(compiled)
        self._target = statement.target
        self._each = Ordered(connection, statement)

    def execute(self, cursor: DBAPICursor, rows: Sequence[Tuple]) -> None:
        """All of them, whichever comes first; one after the other where they cannot go together."""
        given = _as_text(rows) if self._go_together(rows) else None
        if given is None:
            self._each.execute(cursor, rows)
        else:
            values = self._fixed | {_ROWS: given}
            cursor.execute(self.text, [values[name] for name in self._places])

    def _go_together(self, rows: Sequence[Tuple]) -> bool:
        """Whether there are several, and no two of them change the same row: one statement would change it once."""
        target = self._target
        return len(rows) > 1 and (target is None or len({row[target] for row in rows}) == len(rows))


def as_taken(connection: Connection, statement: Statement) -> Ordered | AtOnce:
    """A statement in the form that is cheapest for the driver of this connection."""
    # What changes rows and does not say which might change one of them twice.
    is_safe = statement.is_insert or statement.target is not None
    return (AtOnce if is_safe and connection.dialect.name == "postgresql" else Ordered)(connection, statement)


def _as_text(rows: Sequence[Tuple]) -> str | None:
    """All rows as JSON; None for those that the server would not take, or only with much memory."""
    text = msgspec.json.encode(rows)
    # The server's fault would show what stands around a NUL, which may be a prompt; the driver's own does not.
    return None if len(text) > _LONGEST or _NUL in text else text.decode()


def _from_given(statement: Statement, types: Sequence[TypeEngine[Any]]) -> Executable:
    """The statement with the values of all rows instead of those of one."""
    given = func.jsonb_array_elements(cast_to(bindparam(_ROWS, type_=Text), JSONB))
    rows = given.table_valued(column("item", JSONB), with_ordinality="place").render_derived(name="given")
    # As a text of any length: what is too long for its column is refused, and not cut.
    types = [Text() if isinstance(type_, String) else type_ for type_ in types]
    texts = [rows.c.item.op("->>")(literal_column(str(place))) for place in range(len(types))]
    values = {name: cast_to(text, type_) for name, text, type_ in zip(statement.names, texts, types, strict=True)}
    construct = cast("Any", statement.construct)
    if statement.is_insert:
        # In their order, which numbers follow.
        query = select(*values.values()).order_by(rows.c.place)
        return cast("Executable", construct.from_select(list(values), query, include_defaults=False))

    def of_row(element: object, **_: object) -> ColumnElement[Any] | None:
        return values.get(element.key) if isinstance(element, BindParameter) else None

    # True of every row, and taken for rare: otherwise PostgreSQL expects a hundred rows, and rather reads all of a
    # table than search for so many.
    all_rows = literal_column("given.place BETWEEN 1 AND 2147483647", Boolean)
    return cast("Executable", replacement_traverse(construct.where(all_rows), {}, of_row))


def compile_for(dialect: Dialect, statement: Executable, columns: Sequence[str]) -> Any:
    """The text of a constant statement and the places of its values, raising TypeError for one that is not."""
    keys = columns if isinstance(statement, Insert) else None
    compiled = cast("Any", dialect.statement_compiler)(dialect, statement, column_keys=keys)
    if "POSTCOMPILE" in str(compiled):
        message = f"this is not one statement, but one for each execution: {compiled}"
        raise TypeError(message)
    return compiled


def constants_of(compiled: Any) -> dict[str, object]:
    """What stands in the statement itself."""
    return {name: bound.value for name, bound in compiled.binds.items() if not bound.required}
