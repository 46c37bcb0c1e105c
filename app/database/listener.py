"""Hears from PostgreSQL which requests other processes have ended. SQLite tells nobody: there `listen` returns at once.

What was said while nobody listened is lost, so those that wait must ask from time to time as well.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from app.database.transaction import ENDS_CHANNEL
from app.observability.logs import get_logger

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_logger = get_logger("database")
_RECONNECT_SECONDS = 1.0


class EndListener:
    """One session that only listens."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.is_listening = False
        """Whether ends are heard of at once, as far as this process knows."""

    async def listen(self, heard: Callable[[str], None]) -> None:
        """Call `heard` with the id of each request that was joined and has ended, until cancelled."""
        if self._engine.dialect.name != "postgresql":
            return
        import psycopg  # noqa: PLC0415 - a tenth of a second that SQLite need not pay (0178)

        while True:
            try:
                await self._listen_once(psycopg.AsyncConnection, heard)
            # Also a server that is away: waiting callers ask meanwhile, and need no error.
            except (psycopg.Error, OSError):
                _logger.warning("ends of other processes are not heard of; they are asked for until the next attempt")
            finally:
                self.is_listening = False
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen_once(self, sessions: "type[AsyncConnection[Any]]", heard: Callable[[str], None]) -> None:
        _, options = self._engine.dialect.create_connect_args(self._engine.url)
        async with await sessions.connect(**options, autocommit=True) as connection:
            await connection.execute(f"LISTEN {ENDS_CHANNEL}")
            self.is_listening = True
            async for notice in connection.notifies():
                heard(notice.payload)
