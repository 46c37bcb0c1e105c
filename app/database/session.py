"""The writer's own connection, kept from one transaction to the next: taking it anew costs more than a small group.

Owns how transactions begin and end on it, and when it is believed no more. Leaves what they do to `group_commit`.
"""

import time

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from app.database.prepared import BEGIN, Driver

_TRUSTED_SECONDS = 0.5
"""So long after its last use a server's connection is taken to be there; later it is asked, or opened anew."""


class WriteSession:
    """Transactions of one thread, one after the other. What fails is SQLAlchemy's error."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_file = engine.dialect.name == "sqlite"
        self._connection: Connection | None = None
        self._used = 0.0

    @property
    def is_lost(self) -> bool:
        """Whether the connection broke within the last transaction."""
        return self._connection is not None and self._connection.invalidated

    def begin(self) -> Connection:
        """A connection in a new transaction; on SQLite with the one lock, which is waited for."""
        connection = self._connection
        if connection is None or connection.invalidated or not self._is_trusted():
            self.close()
            # From the pool, which asks the server first: a failover cuts connections that nobody uses (0141).
            connection = self._connection = self._engine.connect()
        if self._is_file:
            Driver.of(connection).command(connection, BEGIN)
        return connection

    def commit(self) -> None:
        """Make it durable."""
        connection = self._connection
        if connection is not None:
            # Rare statements run through SQLAlchemy, which then believes that the transaction is its own.
            if connection.in_transaction():
                connection.commit()
            else:
                Driver.of(connection).commit(connection)
        self._used = time.monotonic()

    def rollback(self) -> None:
        """Leave nothing of it; a connection that cannot even do that is not used again."""
        connection = self._connection
        if connection is None or connection.invalidated:
            return
        try:
            # Also one that is not active any more: what could not be committed, as on a full disk, keeps every later
            # statement from the connection until it is rolled back.
            if connection.get_transaction() is not None:
                connection.rollback()
            Driver.of(connection).rollback(connection)
        except DBAPIError as error:
            connection.invalidate(error)
        self._used = time.monotonic()

    def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _is_trusted(self) -> bool:
        return self._is_file or time.monotonic() - self._used < _TRUSTED_SECONDS
