"""Reads beside the writer, so that a long look at the past keeps nobody from buying an image."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.database.errors import DatabaseUnavailableError
from app.database.transaction import READS
from app.database.writer import Writer

_T = TypeVar("_T")
_AT_ONCE = 2
_LONGEST_WAIT_SECONDS = 20.0


class Reader:
    """Takes questions from any number of coroutines; a few are answered at a time, the others wait."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine.execution_options(**{READS: True})
        self._writer = writer
        # Two, so that one slow sum does not hold up every page, and a flood of questions does not fill the pool of
        # connections.
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="journal-reader")
        self._front = ThreadPoolExecutor(1, thread_name_prefix="journal-front")

    async def read(self, question: Callable[[Connection], _T]) -> _T:
        """What `question` finds of everything that was posted before, raising DatabaseUnavailableError."""
        # A caller finds its own request in the list: what was posted before is committed when this returns.
        await self._writer.catch_up()
        return await self._ask(self._threads, question)

    async def peek(self, question: Callable[[Connection], _T]) -> _T:
        """As `read`, of what is committed by now, beside whatever else is asked: for what every caller waits for."""
        return await self._ask(self._front, question)

    def close(self) -> None:
        """Finish what is being read."""
        self._front.shutdown(cancel_futures=True)
        self._threads.shutdown(cancel_futures=True)

    async def _ask(self, threads: ThreadPoolExecutor, question: Callable[[Connection], _T]) -> _T:
        try:
            # A server that stands still answers nothing and breaks nothing off. The thread stays with it; whoever asked
            # does not (0141).
            async with asyncio.timeout(_LONGEST_WAIT_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(threads, self._read, question)
        except TimeoutError:
            raise DatabaseUnavailableError("the database does not answer") from None

    def _read(self, question: Callable[[Connection], _T]) -> _T:
        try:
            with self._engine.begin() as connection:
                return question(connection)
        # Also what the system refuses: without a descriptor the driver opens no connection, and says so in its words.
        except (SQLAlchemyError, OSError) as error:
            raise DatabaseUnavailableError(str(error)) from None
