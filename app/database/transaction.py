"""What rooms that share a transaction are handed: reads, writes, and rows that are written together with others'.

A function of any room that takes a Transaction joins the caller's commit: it stands or falls with all the rest.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, CursorResult, Executable

Row = Mapping[str, object]
Mark = tuple[int, Mapping[Executable, int]]


class Transaction:
    """One unit of work. `connection` is for reading; what is written through it could not be undone by itself."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._rows: dict[Executable, list[Row]] = {}
        self._executed = 0

    def execute(self, statement: Executable, values: Row | Sequence[Row]) -> CursorResult[tuple[object, ...]]:
        """Write at once: for rows that the same group looks for, or whose outcome decides."""
        self._executed += 1
        return self.connection.execute(statement, values)

    def add(self, statement: Executable, *rows: Row) -> None:
        """Write rows that nobody else in the group looks for, after all work of the group."""
        self._rows.setdefault(statement, []).extend(rows)

    def write(self) -> None:
        """Write what was added, in the order in which the statements first came."""
        rows, self._rows = self._rows, {}
        for statement, listed in rows.items():
            # Nobody may undo these by themselves any more.
            self.execute(statement, listed)

    def mark(self) -> Mark:
        """How far it is, to come back to."""
        return self._executed, {statement: len(rows) for statement, rows in self._rows.items()}

    def forget_since(self, mark: Mark) -> bool:
        """Drop what was added since; False where something was written meanwhile, which only a rollback undoes."""
        executed, counts = mark
        if executed != self._executed:
            return False
        kept = ((statement, rows) for statement, rows in self._rows.items() if statement in counts)
        self._rows = {statement: rows[: counts[statement]] for statement, rows in kept}
        return True
