"""One thread that writes: whatever waits is put into one group, so that many requests share one commit."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Engine, delete

from app.database.engine import truncate_log
from app.database.errors import DatabaseUnavailableError
from app.database.gathering import Gathering
from app.database.group_commit import GroupCommit
from app.database.pieces import Kind, Names, Piece, Pieces, Told, Waiters
from app.database.tables import requests
from app.database.transaction import Transaction
from app.observability.metrics import Metrics

_T = TypeVar("_T")
_P = ParamSpec("_P")
_LARGEST_GROUP = 256
_BEHIND_SECONDS = 2.0
"""What waits longer says that the database is locked, or cannot keep up."""
_DOUBT_SECONDS = 5.0
"""So long after a failure the next thing that waits is taken for a sign of another."""
_SHORTEST_DOUBT_SECONDS = 0.25
_PATIENCE_SECONDS = 0.2
"""How long what nobody waits for may wait for a group."""
_ASIDE_SECONDS = 0.01
"""How soon a decision is tried again whose name another process holds; it holds it for one commit."""


class Writer:
    """Takes work from any number of coroutines and commits it in groups."""

    def __init__(self, engine: Engine, metrics: Metrics | None = None) -> None:
        self._engine = engine
        self._group_commit = GroupCommit(engine, metrics or Metrics.off())
        self._items: queue.SimpleQueue[Piece[Any] | None] = queue.SimpleQueue()
        self._aside: Pieces = []
        self._late: Pieces = []
        self._waiters: Waiters | None = None
        self._last: Piece[Any] | None = None
        self._ended = False
        self._oldest: float | None = None
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
    def backlog(self) -> int:
        """How much waits to be written, about."""
        return self._items.qsize() + len(self._aside)

    @property
    def failed_lately(self) -> bool:
        """Whether a commit failed so recently that the next one is likely to fail too."""
        return time.monotonic() - self._group_commit.failed < _DOUBT_SECONDS

    async def is_available(self, seconds: float) -> bool:
        """Whether the database takes writes, as far as that shows within so many seconds."""
        if self.is_behind or self.failed_lately:
            return False
        try:
            async with asyncio.timeout(seconds):
                await self.write(_ping)
        except (TimeoutError, DatabaseUnavailableError):
            return False
        return True

    def post(
        self, work: Callable[Concatenate[Transaction, _P], None], *args: _P.args, **kwargs: _P.kwargs
    ) -> asyncio.Future[None]:
        """Write the rows that `work` adds, raising DatabaseUnavailableError where they are not durable.

        Nobody decides upon them: they are written together with others', before whatever decides.
        """
        return self._ask(Kind.POST, work, args, kwargs)

    async def post_patiently(
        self, work: Callable[Concatenate[Transaction, _P], None], *args: _P.args, **kwargs: _P.kwargs
    ) -> None:
        """As `post`, for what is not worth a commit of its own, as long as it precedes whatever is asked later."""
        await self._ask(Kind.POST, work, args, kwargs, patient=True)

    async def write(self, work: Callable[Concatenate[Transaction, _P], _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What `work` returns once it is durable, raising DatabaseUnavailableError when it is not.

        All that `work` does is one unit: where it raises, nothing of it is written.
        """
        return await self._ask(Kind.WRITE, work, args, kwargs)

    async def write_locked(
        self,
        names: Names,
        work: Callable[Concatenate[Transaction, _P], _T],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """As `write`, while no other process decides or writes with one of these names."""
        return await self._ask(Kind.WRITE, work, args, kwargs, names)

    def decide(
        self,
        names: Names,
        accounts: Names,
        work: Callable[Concatenate[Transaction, _P], _T],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> asyncio.Future[_T]:
        """As `write_locked`, for work that changes no row of others before the end: many share a commit.

        What came together is decided one after the other, each knowing what the ones before it added. Meanwhile no
        other process spends for the tenants in `accounts`.
        """
        return self._ask(Kind.DECIDE, work, args, kwargs, names, accounts)

    async def scrub(self) -> None:
        """Leave nothing in the database's own files of what was deleted, as far as that can be had now.

        SQLite keeps changed pages in its log until they are written over. PostgreSQL does this in its own time.
        """
        if self._engine.dialect.name == "sqlite":
            await asyncio.to_thread(truncate_log, self._engine)

    async def catch_up(self) -> None:
        """Wait until everything that was asked before is written or refused, and its caller knows."""
        last = self._last
        if last is not None and not last.is_told:
            await self._ask(Kind.PLACE, _nothing, (), {})

    def submit(
        self,
        told: Told,
        work: Callable[Concatenate[Transaction, _P], None],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> None:
        """As `post`, for whoever is `told` of it later instead of waiting."""
        self._tell_later(told, work, args, kwargs, patient=False)

    def submit_patiently(
        self,
        told: Told,
        work: Callable[Concatenate[Transaction, _P], None],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> None:
        """As `post_patiently`, for whoever is `told` of it later instead of waiting."""
        self._tell_later(told, work, args, kwargs, patient=True)

    def _ask(
        self,
        kind: Kind,
        work: Callable[..., _T],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        names: Names = (),
        accounts: Names = (),
        *,
        patient: bool = False,
    ) -> asyncio.Future[_T]:
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        waiters = self._waiters_on(future.get_loop())
        self._put(Piece(kind, work, args, kwargs, time.monotonic(), waiters, future, names, accounts, patient))
        return future

    def _tell_later(
        self,
        told: Told,
        work: Callable[..., None],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        *,
        patient: bool,
    ) -> None:
        waiters = self._waiters_on(asyncio.get_running_loop())
        self._put(Piece(Kind.POST, work, args, kwargs, time.monotonic(), waiters, told, patient=patient))

    def _waiters_on(self, loop: asyncio.AbstractEventLoop) -> Waiters:
        waiters = self._waiters
        if waiters is None or waiters.loop is not loop:
            waiters = self._waiters = Waiters(loop)
        return waiters

    def _put(self, piece: Piece[Any]) -> None:
        piece.waiters.add(piece)
        self._last = piece
        self._items.put(piece)

    def close(self) -> None:
        """Commit all that waits, then end: outcomes of paid work are among it."""
        # Behind all that waits already, so outcomes of paid images are written before the thread ends.
        self._items.put(None)
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        try:
            self._commit_groups()
        finally:
            self._group_commit.close()

    def _commit_groups(self) -> None:
        gathering = Gathering(self._items.qsize)
        while self._aside or not self._ended:
            group = self._first()
            if group and not self._ended:
                gathering.wait_for_more()
            group += self._waiting(_LARGEST_GROUP - len(group))
            asked = [piece.asked for piece in group if not piece.patient]
            # What waits for a key says nothing of the database.
            self._oldest = min(asked, default=time.monotonic())
            # Nobody waits any more for what a database that stood still kept too long: it is not begun (0141).
            group = [*self._aside, *group]
            self._late = []
            self._group_commit.commit([piece for piece in group if not piece.is_given_up], self._arrived)
            group += self._late
            self._oldest = None
            self._aside = [piece for piece in group if piece.is_aside and not piece.is_given_up]
            _tell([piece for piece in group if piece.is_given_up or not piece.is_aside])
            gathering.end(len(asked))

    def _first(self) -> Pieces:
        """What comes next, at least one piece that does not want to wait; whatever came when patience ends."""
        group: Pieces = []
        if self._ended:
            time.sleep(_ASIDE_SECONDS)
            return group
        until = time.monotonic() + _ASIDE_SECONDS if self._aside else None
        while True:
            try:
                piece = self._items.get(timeout=None if until is None else max(until - time.monotonic(), 0))
            except queue.Empty:
                return group
            if piece is None:
                self._ended = True
                return group
            group.append(piece)
            if not piece.patient or len(group) >= _LARGEST_GROUP:
                return group
            until = until or time.monotonic() + _PATIENCE_SECONDS

    def _arrived(self) -> Pieces:
        """What has come while SQLite's one lock was waited for."""
        self._late = self._waiting(_LARGEST_GROUP)
        return self._late

    def _waiting(self, limit: int) -> Pieces:
        """What has come meanwhile."""
        group: Pieces = []
        while len(group) < limit and not self._items.empty():
            piece = self._items.get()
            if piece is None:
                self._ended = True
                break
            group.append(piece)
        return group


def _nothing(_: Transaction) -> None:
    """Do nothing: a place in line."""


def _ping(transaction: Transaction) -> None:
    # A write, of nothing: a table that another program holds can still be read.
    transaction.execute(delete(requests).where(requests.c.id == ""), {})


def _tell(group: Pieces) -> None:
    """Notify all that wait, each loop once: waking it costs more than the news."""
    # Told only after the commit: nothing is sent to Runware for a claim that is not durable.
    for waiters in {piece.waiters for piece in group}:
        pieces = [piece for piece in group if piece.waiters is waiters]
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it its callers
            waiters.loop.call_soon_threadsafe(waiters.tell, pieces)
