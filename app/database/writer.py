"""One thread that writes: whatever waits is put into one transaction, so that many requests share one commit.

Each piece of work stands in a savepoint of its own: one that fails leaves the others alone.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

_T = TypeVar("_T")
_LARGEST_GROUP = 256


class DatabaseUnavailableError(Exception):
    """The database did not take what was to be written."""


@dataclass(slots=True)
class _Item(Generic[_T]):
    work: Callable[[Connection], _T]
    future: asyncio.Future[_T]
    loop: asyncio.AbstractEventLoop
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

    def close(self) -> None:
        """Finish what waits, then end."""
        self._items.put(None)
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        while True:
            item = self._items.get()
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
        try:
            with self._engine.begin() as connection:
                for item in group:
                    self._do(connection, item)
        except SQLAlchemyError as error:
            for item in group:
                item.error = DatabaseUnavailableError(type(error).__name__)
        for item in group:
            item.settle()

    def _do(self, connection: Connection, item: _Item[Any]) -> None:
        try:
            with connection.begin_nested():
                item.result = item.work(connection)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asked, not to this thread
            item.error = error
