"""One thread that writes: whatever waits is put into one transaction, so that many requests share one commit.

Work that the database refuses is undone with its whole group, and then each piece is tried by itself. A piece that
raises anything else must not have written before.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, Executable
from sqlalchemy.exc import SQLAlchemyError

from app.database.errors import DatabaseUnavailableError

_T = TypeVar("_T")
_LARGEST_GROUP = 256
_GATHERING_SECONDS = 0.002
"""How long the first piece of a group waits for others: a commit costs more than what is in it."""


@dataclass(slots=True)
class _Item(Generic[_T]):
    work: Callable[[Connection], _T]
    future: asyncio.Future[_T]
    loop: asyncio.AbstractEventLoop
    writes: Sequence[tuple[Executable, Mapping[str, object]]] = ()
    result: _T | None = None
    error: Exception | None = None

    def settle(self) -> None:
        """Tell the waiting coroutine, on its own loop."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]  # what `work` returned


class Writer:
    """Takes work from any number of coroutines and commits it in groups."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._items: queue.SimpleQueue[_Item[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """What `work` returns once it is durable, raising DatabaseUnavailableError when it is not."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()
        self._items.put(_Item(work, future, loop))
        return await future

    async def post(self, *writes: tuple[Executable, Mapping[str, object]]) -> None:
        """Write rows that nobody decides upon; those of one statement are written together, before any other work."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._items.put(_Item(_nothing, future, loop, writes=writes))
        await future

    def close(self) -> None:
        """Finish what waits, then end."""
        self._items.put(None)
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        while True:
            item = self._items.get()
            time.sleep(_GATHERING_SECONDS)
            group: list[_Item[Any]] = []
            while item is not None:
                group.append(item)
                if len(group) >= _LARGEST_GROUP or self._items.empty():
                    break
                item = self._items.get()
            if group:
                self._commit(group)
            if item is None:
                return

    def _commit(self, group: list[_Item[Any]]) -> None:
        """All of a group in one transaction; where one item breaks it, each in its own."""
        try:
            with self._engine.begin() as connection:
                _write_together(connection, group)
                for item in group:
                    self._do(connection, item)
        except SQLAlchemyError as error:
            if len(group) > 1:
                for item in group:
                    self._commit([item])
                return
            group[0].error = DatabaseUnavailableError(str(error))
        for item in group:
            item.settle()

    def _do(self, connection: Connection, item: _Item[Any]) -> None:
        item.error = None
        try:
            item.result = item.work(connection)
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asked, not to this thread
            item.error = error


def _nothing(_: Connection) -> None:
    """What there is to do for rows that were written together."""


def _write_together(connection: Connection, group: list[_Item[Any]]) -> None:
    """First what has happened, so that whoever decides in the same group knows of it."""
    rows: dict[Executable, list[Mapping[str, object]]] = {}
    for item in group:
        for statement, values in item.writes:
            rows.setdefault(statement, []).append(values)
    for statement, listed in rows.items():
        connection.execute(statement, listed)
