"""One thread that writes: whatever waits is put into one transaction, so that many requests share one commit.

Work that the database refuses is undone with its whole group, and then each piece is tried by itself. A piece that
raises anything else must not have written before.
"""

import asyncio
import contextlib
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
_Rows = Sequence[tuple[Executable, Mapping[str, object]]]
_LARGEST_GROUP = 256
_GATHERING_SECONDS = 0.004
"""How long the first piece of a group waits for others, a commit costing more than what is in it, where some came
together before; a lone one does not wait."""
_PATIENCE_SECONDS = 0.2
"""How long what nobody waits for may wait for a group."""


class Transaction:
    """What a piece of work is given. Rows that are added are written together, after all work of the group."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._rows: dict[Executable, list[Mapping[str, object]]] = {}

    def add(self, statement: Executable, *rows: Mapping[str, object]) -> None:
        """Write rows that nobody else in the group looks for."""
        self._rows.setdefault(statement, []).extend(rows)

    def write(self) -> None:
        """Write what was added, in the order in which the statements first came."""
        rows, self._rows = self._rows, {}
        for statement, listed in rows.items():
            self.connection.execute(statement, listed)


@dataclass(slots=True)
class _Item(Generic[_T]):
    work: Callable[[Transaction], _T] | None
    future: asyncio.Future[_T]
    loop: asyncio.AbstractEventLoop
    writes: _Rows = ()
    patient: bool = False
    result: _T | None = None
    error: Exception | None = None

    def tell(self) -> None:
        """Tell the waiting coroutine, on its own loop."""
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
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """What `work` returns once it is durable, raising DatabaseUnavailableError when it is not."""
        return await self.decide(lambda transaction: work(transaction.connection))

    async def decide(self, work: Callable[[Transaction], _T]) -> _T:
        """As `write`, for work whose rows may be written together with those of others."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()
        self._items.put(_Item(work, future, loop))
        return await future

    async def post(self, *writes: tuple[Executable, Mapping[str, object]], patient: bool = False) -> None:
        """Write rows that nobody decides upon; those of one statement are written together, before any other work.

        `patient`: not worth a commit of its own, as long as it comes before whatever is asked later.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._items.put(_Item(None, future, loop, writes=writes, patient=patient))
        await future

    def close(self) -> None:
        """Finish what waits, then end."""
        self._items.put(None)
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        busy = False
        while not self._ended:
            group = self._first()
            if busy and not self._ended:
                time.sleep(_GATHERING_SECONDS)
            group += self._waiting(_LARGEST_GROUP - len(group))
            if group:
                self._commit(group)
                _tell(group)
            busy = sum(not item.patient for item in group) > 1

    def _first(self) -> list[_Item[Any]]:
        """What comes next, at least one piece that does not want to wait; whatever came when patience ends."""
        group: list[_Item[Any]] = []
        until = None
        while True:
            try:
                item = self._items.get(timeout=None if until is None else max(until - time.monotonic(), 0))
            except queue.Empty:
                return group
            if item is None:
                self._ended = True
                return group
            group.append(item)
            if not item.patient or len(group) >= _LARGEST_GROUP:
                return group
            until = until or time.monotonic() + _PATIENCE_SECONDS

    def _waiting(self, most: int) -> list[_Item[Any]]:
        """What has come meanwhile."""
        group: list[_Item[Any]] = []
        while len(group) < most and not self._items.empty():
            item = self._items.get()
            if item is None:
                self._ended = True
                break
            group.append(item)
        return group

    def _commit(self, group: list[_Item[Any]]) -> None:
        """All of a group in one transaction; where one item breaks it, each in its own."""
        try:
            with self._engine.begin() as connection:
                transaction = Transaction(connection)
                for item in group:  # first what has happened, so that whoever decides in the same group knows of it
                    for statement, values in item.writes:
                        transaction.add(statement, values)
                transaction.write()
                for item in group:
                    _do(transaction, item)
                transaction.write()
        except SQLAlchemyError as error:
            if len(group) > 1:
                for item in group:
                    self._commit([item])
                return
            group[0].error = DatabaseUnavailableError(str(error))


def _do(transaction: Transaction, item: _Item[Any]) -> None:
    item.error = None
    if item.work is None:
        return
    try:
        item.result = item.work(transaction)
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001 - it belongs to whoever asked, not to this thread
        item.error = error


def _tell(group: list[_Item[Any]]) -> None:
    """Tell all who wait, each loop once: waking it costs more than what it is told."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Item[Any]]] = {}
    for item in group:
        by_loop.setdefault(item.loop, []).append(item)
    for loop, items in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever waited
            loop.call_soon_threadsafe(_tell_each, items)


def _tell_each(items: list[_Item[Any]]) -> None:
    for item in items:
        item.tell()
