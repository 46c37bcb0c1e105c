"""Commits pieces of work together: posts first, then what changes rows by itself, then decisions.

Work that the database refuses is undone with its whole batch, and then each piece is tried by itself, as long as there
is a database to try it on. A piece that raises leaves nothing behind, whatever rooms had a hand in it. Leaves to
`transaction` which locks there are, and owns which pieces may share them.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from app.database.errors import DatabaseUnavailableError
from app.database.pieces import Kind, Piece, Pieces
from app.database.session import WriteSession
from app.database.transaction import Transaction
from app.observability.metrics import Ending, Metrics

_GAVE_UP = frozenset({"55P03", "57014"})
"""PostgreSQL: a lock was not available, and a statement was canceled."""
_READ_ONLY = "25006"
_LONGEST_ASIDE_SECONDS = 15.0
"""A process that was stopped in a transaction loses its session after ten seconds, and its names with it."""
_kind_of: Callable[[Piece[Any]], Kind] = attrgetter("kind")


class _UndoneError(Exception):
    """A piece raised after it had written: its writes must go, and with them the transaction."""


class GroupCommit:
    """Commits groups, one at a time."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._session = WriteSession(engine)
        self._metrics = metrics
        # SQLite has one lock for all: whatever comes together takes it once.
        self._is_one_lock = engine.dialect.name == "sqlite"
        self.failed = float("-inf")
        """When the database last refused everything, in monotonic seconds."""

    def commit(self, group: Pieces, arriving: Callable[[], Pieces] = list) -> None:
        """A group in as many transactions as its locks need. What the database as a whole refuses is asked once.

        Otherwise each of them would wait for a locked database as long as the first. Where there is one lock, what is
        `arriving` while it is waited for goes with it.
        """
        refused: DatabaseUnavailableError | None = None
        for batch in self._batches(group):
            refused = self._commit(batch, arriving) if refused is None else _refuse(batch, refused)

    def _batches(self, group: Pieces) -> Iterable[Pieces]:
        # First what has happened, so that each decision in the same group knows of it (0051, 0052, 0062).
        ordered = _in_order(group)
        if self._is_one_lock:
            return [ordered] if ordered else []
        # Apart, so that each takes its locks in one order: names, then rows, each of them at once (0086).
        return _together(ordered)

    def _commit(
        self, batch: Pieces, arriving: Callable[[], Pieces] = list, *, again: bool = False
    ) -> DatabaseUnavailableError | None:
        """All in one transaction; where one piece breaks it, each in its own. What the database refused to all."""
        has_begun = is_ending = False
        began = time.perf_counter()
        try:
            transaction = Transaction(self._session.begin())
            has_begun = True
            if self._is_one_lock:  # the longer it was waited for, the more share this commit
                batch = _in_order([*batch, *arriving()])
            self._carry_out(transaction, batch)
            is_ending = True
            self._session.commit()
        except Exception as error:  # noqa: BLE001 - whatever it is, every caller must learn of it and this thread go on
            self._session.rollback()
            # Cut while nobody used it, as by a failover: of what did not even begin to end, nothing stands.
            if self._session.is_lost and not (is_ending or again):
                return self._commit(batch, again=True)
            if len(batch) > 1 and has_begun and not _has_waited_long(error):
                return self._commit_each(batch)
            # Nobody knows whether the commit stands; every write may be repeated for that reason (0051).
            refused = DatabaseUnavailableError(str(error))
            if not isinstance(error, _UndoneError):
                _refuse(batch, refused)
            if not has_begun or isinstance(error, OperationalError) or _takes_no_writes(error):
                self.failed = time.monotonic()
                self._metrics.journal_failed()
                return refused
        else:
            self._metrics.journal_committed(len(batch), time.perf_counter() - began)
            for ending in _by_model(transaction.endings):
                self._metrics.request_settled(ending)
            for remember in transaction.once_durable:
                remember()
        return None

    def _carry_out(self, transaction: Transaction, batch: Pieces) -> None:
        ready = batch if self._is_one_lock else _lock(transaction, batch)
        transaction.lock_accounts(account for piece in ready for account in piece.accounts)
        transaction.names = frozenset([name for piece in ready if piece.kind is Kind.DECIDE for name in piece.names])
        for pieces in _together(ready):
            for piece in pieces:
                _do(transaction, piece)
            transaction.write()

    def close(self) -> None:
        """Give the connection back; by the thread that commits."""
        self._session.close()

    def _commit_each(self, batch: Pieces) -> DatabaseUnavailableError | None:
        refused: DatabaseUnavailableError | None = None
        for piece in batch:
            # One timeout for all: with a locked database each further piece would wait for it again.
            refused = self._commit([piece]) if refused is None else _refuse([piece], refused)
        return refused


def _takes_no_writes(error: Exception) -> bool:
    """Whether it is a replica, or was set to be read only: what hosted servers do whose disk is full."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == _READ_ONLY


def _has_waited_long(error: Exception) -> bool:
    """Whether PostgreSQL gave up waiting, as for a table that somebody holds: each piece would wait as long again."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    # By their codes: the driver is loaded where there is such a server only (0178).
    return getattr(cause, "sqlstate", None) in _GAVE_UP


def _lock(transaction: Transaction, batch: Pieces) -> Pieces:
    """Those that hold all their names; the others are set aside, and in the end refused."""
    wanted = {name for piece in batch for name in piece.names}
    held = transaction.lock_names(wanted) if wanted else frozenset[str]()
    ready = []
    for piece in batch:
        piece.is_aside = not held.issuperset(piece.names)
        if not piece.is_aside:
            ready.append(piece)
        elif time.monotonic() - piece.asked > _LONGEST_ASIDE_SECONDS:
            piece.is_aside, piece.error = False, DatabaseUnavailableError("an equal request is being claimed elsewhere")
    return ready


def _refuse(batch: Pieces, refused: DatabaseUnavailableError) -> DatabaseUnavailableError:
    for piece in batch:
        piece.error, piece.is_aside = refused, False
    return refused


def _in_order(group: Pieces) -> Pieces:
    """Those that do something, by their kinds."""
    return sorted([piece for piece in group if piece.kind is not Kind.PLACE], key=_kind_of)


def _together(ordered: Pieces) -> Iterator[Pieces]:
    """Pieces in the order of their kinds, those that are written together; what changes rows as it goes by itself."""
    for kind, pieces in groupby(ordered, _kind_of):
        if kind is Kind.WRITE:
            yield from ([piece] for piece in pieces)
        else:
            yield list(pieces)


def _by_model(endings: Sequence[Ending]) -> Iterable[Ending]:
    """One for each model, which is what is counted."""
    sums: dict[str, tuple[int, int, int]] = {}
    for air, made, failed, nanos in endings:
        before = sums.get(air, (0, 0, 0))
        sums[air] = before[0] + made, before[1] + failed, before[2] + nanos
    return [Ending(air, *counts) for air, counts in sums.items()]


def _do(transaction: Transaction, piece: Piece[Any]) -> None:
    piece.error, mark = None, transaction.mark()
    try:
        piece.result = piece.work(transaction, *piece.args, **piece.kwargs)
    except SQLAlchemyError:
        raise
    except Exception as error:  # it belongs to the caller, not to this thread
        piece.error = error
        # Refusals are many when the gateway is full: what only read or added rows must not cost others their commit.
        if not transaction.forget_since(mark):
            raise _UndoneError from error
