"""One thread that writes: whatever waits is put into one transaction, so that many requests share one commit.

Work that the database refuses is undone with its whole group, and then each piece is tried by itself, as long as there
is a database to try it on. A piece that raises leaves nothing behind, whatever rooms had a hand in it.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from app.database.errors import DatabaseUnavailableError
from app.database.transaction import Transaction

_T = TypeVar("_T")
_P = ParamSpec("_P")
_LARGEST_GROUP = 256
_GATHERING_SECONDS = 0.004
"""How long the first piece of a group waits for others, a commit costing more than what is in it, where some came
together before; a lone one does not wait."""
_BEHIND_SECONDS = 2.0
"""What waits longer says that the database is locked, or cannot keep up."""
_DOUBT_SECONDS = 5.0
"""So long after a failure the next thing that waits is taken for a sign of another."""
_SHORTEST_DOUBT_SECONDS = 0.25
_PATIENCE_SECONDS = 0.2
"""How long what nobody waits for may wait for a group."""


@dataclass(slots=True)
class _Item(Generic[_T]):
    work: Callable[[Transaction], _T]
    future: asyncio.Future[_T]
    loop: asyncio.AbstractEventLoop
    asked: float
    decides: bool
    patient: bool = False
    result: _T | None = None
    error: Exception | None = None
    is_lost: bool = False
    """It is the database that failed, not the piece."""

    def tell(self) -> None:
        """Tell the waiting coroutine, on its own loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]  # what `work` returned


class _UndoneError(Exception):
    """A piece raised after it had written: its writes must go, and with them the transaction."""


class Writer:
    """Takes work from any number of coroutines and commits it in groups."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._items: queue.SimpleQueue[_Item[Any] | None] = queue.SimpleQueue()
        self._ended = False
        self._oldest: float | None = None
        self._failed = float("-inf")
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    @property
    def is_behind(self) -> bool:
        """Whether what is asked now would wait, most likely in vain: others do already."""
        # One attribute is read or replaced as a whole, so no lock is needed between the threads.
        oldest = self._oldest  # changed by the thread at any time
        waits = 0.0 if oldest is None else time.monotonic() - oldest
        return waits > (_SHORTEST_DOUBT_SECONDS if self.failed_lately else _BEHIND_SECONDS)

    @property
    def failed_lately(self) -> bool:
        """Whether a commit failed so recently that the next one is likely to fail too."""
        return time.monotonic() - self._failed < _DOUBT_SECONDS

    async def is_available(self, seconds: float) -> bool:
        """Whether the database takes writes, as far as it can be told within so many seconds."""
        if self.is_behind or self.failed_lately:
            return False
        try:
            async with asyncio.timeout(seconds):
                await self.write(_ping)
        except (TimeoutError, DatabaseUnavailableError):
            return False
        return True

    async def write(self, work: Callable[Concatenate[Transaction, _P], _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What `work` returns once it is durable, raising DatabaseUnavailableError when it is not.

        All that `work` does is one unit: where it raises, nothing of it is written.
        """
        return await self._ask(lambda transaction: work(transaction, *args, **kwargs), decides=True)

    async def post(
        self, work: Callable[Concatenate[Transaction, _P], None], *args: _P.args, **kwargs: _P.kwargs
    ) -> None:
        """As `write`, for work that only adds rows and decides nothing: it comes before whatever decides."""
        await self._ask(lambda transaction: work(transaction, *args, **kwargs), decides=False)

    async def post_patiently(
        self, work: Callable[Concatenate[Transaction, _P], None], *args: _P.args, **kwargs: _P.kwargs
    ) -> None:
        """As `post`, for what is not worth a commit of its own, as long as it precedes whatever is asked later."""
        await self._ask(lambda transaction: work(transaction, *args, **kwargs), decides=False, patient=True)

    async def catch_up(self) -> None:
        """Wait until everything that was asked before this is written or refused."""
        await self._ask(_nothing, decides=False)

    async def _ask(self, work: Callable[[Transaction], _T], *, decides: bool, patient: bool = False) -> _T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()
        self._items.put(_Item(work, future, loop, time.monotonic(), decides, patient))
        return await future

    def close(self) -> None:
        """Commit all that waits, then end: outcomes of paid work are among it."""
        # Behind all that waits already, so outcomes of paid images are written before the thread ends.
        self._items.put(None)
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        busy = False
        while not self._ended:
            group = self._first()
            # Only while several come together: a lone request should not pay for a group that does not form.
            if busy and not self._ended:
                time.sleep(_GATHERING_SECONDS)
            group += self._waiting(_LARGEST_GROUP - len(group))
            if group:
                self._oldest = min((item.asked for item in group if not item.patient), default=time.monotonic())
                self._commit(group)
                self._oldest = None
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
        has_begun = False
        try:
            with self._engine.begin() as connection:
                has_begun = True
                transaction = Transaction(connection)
                # First what has happened, so that whoever decides in the same group knows of it.
                _do_all(transaction, (item for item in group if not item.decides))
                _do_all(transaction, (item for item in group if item.decides))
        except Exception as error:  # noqa: BLE001 - whatever it is, everybody must be told and this thread go on
            if len(group) > 1 and has_begun:
                self._commit_each(group)
                return
            if isinstance(error, _UndoneError):
                return
            is_lost = not has_begun or isinstance(error, OperationalError)
            self._failed = time.monotonic() if is_lost else self._failed
            for item in group:
                # Nobody knows whether the commit stands; every write may be repeated for that reason (0051).
                item.error, item.is_lost = DatabaseUnavailableError(str(error)), is_lost

    def _commit_each(self, group: list[_Item[Any]]) -> None:
        """Each piece of a group by itself. What the database as a whole refuses is refused to the rest unasked.

        Otherwise each of them would wait for a locked database as long as the first.
        """
        refused: DatabaseUnavailableError | None = None
        for item in group:
            # One timeout for the group: with a locked database each further piece would wait for it again.
            if refused is not None:
                item.error = refused
                continue
            self._commit([item])
            if item.is_lost and isinstance(item.error, DatabaseUnavailableError):
                refused = item.error


def _do_all(transaction: Transaction, items: Iterable[_Item[Any]]) -> None:
    for item in items:
        _do(transaction, item)
    transaction.write()


def _do(transaction: Transaction, item: _Item[Any]) -> None:
    item.error, item.is_lost = None, False
    mark = transaction.mark()
    try:
        item.result = item.work(transaction)
    except SQLAlchemyError:
        raise
    except Exception as error:
        item.error = error
        # Refusals are many when the gateway is full: what only read or added rows must not cost others their commit.
        if not transaction.forget_since(mark):
            raise _UndoneError from error


def _nothing(_: Transaction) -> None:
    """Do nothing: a place in line."""


def _ping(transaction: Transaction) -> None:
    transaction.connection.execute(text("SELECT 1"))


def _tell(group: list[_Item[Any]]) -> None:
    """Tell all who wait, each loop once: waking it costs more than what it is told."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Item[Any]]] = {}
    for item in group:
        by_loop.setdefault(item.loop, []).append(item)
    # Told only after the commit: nothing is sent to Runware for a claim that is not durable.
    for loop, items in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever waited
            loop.call_soon_threadsafe(_tell_each, items)


def _tell_each(items: list[_Item[Any]]) -> None:
    for item in items:
        item.tell()
