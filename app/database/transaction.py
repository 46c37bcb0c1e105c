"""What rooms that share a transaction are handed: reads, writes, and rows that are written together with others'.

A function of any room that takes a Transaction joins the caller's commit: it stands or falls with all the rest. Owns
in which order locks are taken on PostgreSQL; SQLite has one lock, which the transaction holds from its start.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, TypeVar, cast, overload

from sqlalchemy import BigInteger, Connection, CursorResult, Executable, Select, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.database.key_tables import accounts
from app.database.prepared import BEGIN, Driver, Found, to_array
from app.database.statement import OF_A_REQUEST, Change, Statement, Tuple
from app.database.tables import requests
from app.observability.metrics import Ending

_T = TypeVar("_T")
Row = Mapping[str, object]
Mark = tuple[int, int]
Follow = Callable[["Transaction", Collection[str]], None]
"""What is done for requests once all that was added is written."""
Store = Callable[["Transaction", Mapping[str, _T]], None]
"""Writes values by their names."""
_C = TypeVar("_C", bound=Change)
Together = Callable[["Transaction", Sequence[_C]], None]
"""Writes what all pieces of a group have for it."""
_Grouped = defaultdict[Any, list[Any]]
ENDS_CHANNEL = "spillway_ends"
READS = "spillway_reads"
"""The execution option of an engine whose transactions only read, and wait for no writer."""
_NUMBERS = func.unnest(bindparam("numbers", type_=ARRAY(BigInteger))).column_valued("number")
_TRY_NAMES = select(_NUMBERS).where(func.pg_try_advisory_xact_lock(_NUMBERS))
_LOCK_NAMES = select(func.pg_advisory_xact_lock(_NUMBERS))
_ACCOUNTS = select(accounts.c.key_id).where(
    accounts.c.key_id.in_(
        select(requests.c.tenant).where(requests.c.id == func.any(bindparam("ids", type_=ARRAY(requests.c.id.type))))
    )
)
_LOCK_ROWS = (
    select(requests.c.id, requests.c.joined_by)
    .where(requests.c.id == func.any(bindparam("ids", type_=ARRAY(requests.c.id.type))))
    .order_by(requests.c.id)
    .with_for_update()
)
# Only where somebody joined: PostgreSQL lets one notifying transaction commit at a time, and most requests are never
# joined (0088).
_NOTIFY = select(func.pg_notify(ENDS_CHANNEL, requests.c.id)).where(
    requests.c.id == func.any(bindparam("ids", type_=ARRAY(requests.c.id.type))), requests.c.joined_by.is_not(None)
)


def begin_transaction(connection: Connection) -> None:
    """Take what a transaction holds from its start."""
    reads = connection.get_execution_options().get(READS)
    if connection.dialect.name == "sqlite":
        # The writer begins on the driver itself (`session`); what SQLAlchemy runs in it is a part of that.
        if not cast("Any", connection.connection.dbapi_connection).in_transaction:
            # IMMEDIATE takes the write lock at the start. A transaction that read first and wrote later could fail in
            # between, after it had decided on an old state (0050).
            connection.exec_driver_sql("BEGIN" if reads else BEGIN)
    elif reads:
        # One snapshot for all statements of a read, so that pages and sums never mix two states.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


class _Stage(IntEnum):
    """When something of a transaction is written."""

    WRITE = 0
    STORE = 1
    FOLLOW = 2


class Transaction:
    """One unit of work. `connection` is for reading; what is written through it could not be undone by itself."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._driver = Driver.of(connection)
        self._locks = connection.dialect.name == "postgresql"
        # In one list, so that it can be taken back: what is done at which stage, by what, with which value.
        self._log: list[tuple[_Stage, Any, Any]] = []
        self._newest: dict[tuple[Store[Any], str], Any] = {}
        self._executed = 0
        self._answers: dict[tuple[Callable[..., Any], str], Any] = {}
        self._ended: list[str] = []
        self.names: Collection[str] = ()
        """What the decisions of this transaction hold, all of them together."""
        self.endings: list[Ending] = []
        """What is to be counted once it is durable."""
        self.once_durable: list[Callable[[], None]] = []
        """What may be remembered then."""
        self.followed: frozenset[str] = frozenset()
        """The requests of which something else than what is gathered is to follow, while that is written."""
        self._alone: set[str] = set()

    def execute(self, statement: Executable, values: Row | Sequence[Row]) -> CursorResult[tuple[object, ...]]:
        """Write at once: for rows that are new, or that `lock_rows` has locked."""
        self._executed += 1
        return self.connection.execute(statement, values)

    @overload
    def run(self, statement: Statement, *rows: Tuple) -> int: ...
    @overload
    def run(self, statement: Executable, *rows: Row) -> int: ...
    def run(self, statement: Executable | Statement, *rows: object) -> int:
        """As `execute`, of a statement that never changes; how many rows that changed."""
        self._executed += 1
        return self._driver.run(self.connection, statement, rows)

    def find(self, statement: Select[Any], values: Row) -> Sequence[Found]:
        """All rows of a query that never changes."""
        return self._driver.find(self.connection, statement, values)

    def look(self, statement: Select[Any], values: Row) -> Sequence[Sequence[Any]]:
        """As `find`, as plain values."""
        return self._driver.look(self.connection, statement, values)

    def ask_once(self, question: Callable[["Transaction", str], _T], about: str) -> _T:
        """What a question is answered with, for all decisions of the group: none of them changes what it is about."""
        asked = (question, about)
        if asked not in self._answers:
            self._answers[asked] = question(self, about)
        answer: _T = self._answers[asked]
        return answer

    @overload
    def add(self, statement: Statement, *rows: Tuple) -> None: ...
    @overload
    def add(self, statement: Executable, *rows: Row) -> None: ...
    def add(self, statement: Executable | Statement, *rows: object) -> None:
        """Write rows after all work of the group, in the order in which the statements first came.

        A row of a request names it as `request_id` or `of_request`.
        """
        for row in rows:
            self._log.append((_Stage.WRITE, statement, row))

    def gather(self, work: Together[_C], about: _C) -> None:
        """Have `work` write at once what all pieces of the group have for it, in its place among the rows."""
        self._log.append((_Stage.WRITE, work, about))

    def added(self, statement: Statement) -> Sequence[Tuple]:
        """What was added and is not written yet."""
        return [row for _, key, row in self._log if key is statement]

    def keep(self, store: Store[_T], name: str, value: _T) -> None:
        """Have `store` write a value once at the end of the group, instead of what was kept by this name before.

        So what every piece of a group decides upon is read once and written once.
        """
        self._log.append((_Stage.STORE, store, (name, value)))
        self._newest[store, name] = value

    def kept(self, store: Store[_T], name: str) -> _T | None:
        """What was last kept by this name, and is not written yet."""
        newest: _T | None = self._newest.get((store, name))
        return newest

    def announce_ends(self, request_ids: Iterable[str]) -> None:
        """Let other processes know with the commit that these requests have ended."""
        if self._locks:
            self._ended.extend(request_ids)

    def follow(self, work: Follow, request_id: str) -> None:
        """Have `work` done once for all requests it is named for, when everything else of the group is written.

        It sees them as they will be, so what follows from several changes of one request follows once.
        """
        self._log.append((_Stage.FOLLOW, work, request_id))

    def write(self) -> None:
        """Write what was added, in the order in which the statements first came."""
        log, self._log, self._newest = self._log, [], {}
        stages: tuple[_Grouped, _Grouped, _Grouped] = (defaultdict(list), defaultdict(list), defaultdict(list))
        for stage, key, value in log:
            stages[stage][key].append(value)
        writes, stores, follows = stages
        self.followed = frozenset(request_id for request_ids in follows.values() for request_id in request_ids)
        if self._locks:
            self._lock_all(writes)
        for key, values in writes.items():
            self._write(key, values)
        for store, values in stores.items():
            store(self, dict(values))
        # What was gathered may have asked for more.
        for _, work, request_id in self._log:
            follows[work].append(request_id)
        self._log = []
        for work, request_ids in follows.items():
            work(self, frozenset(request_ids))
        ended = [request_id for request_id in self._ended if request_id not in self._alone]
        if ended:
            self.look(_NOTIFY, {"ids": to_array(ended)})
        self._ended = []

    def write_only(self, *statements: Statement) -> None:
        """Write what was added of these; they may only insert, where anything else is to follow."""
        for statement in statements:
            rows = self.added(statement)
            if rows:
                self._write(statement, rows)
        self._log = [step for step in self._log if step[1] not in statements]

    def _write(self, key: Executable | Statement | Together[Any], values: Sequence[Any]) -> None:
        # Nobody may undo these by themselves any more.
        self._executed += 1
        if isinstance(key, Executable | Statement):
            self._driver.run(self.connection, key, values)
        else:
            key(self, values)

    def _lock_all(self, writes: _Grouped) -> None:
        changed = {name for key, values in writes.items() for name in _named(key, values)}
        gathered: list[Change] = [value for key, values in writes.items() if callable(key) for value in values]
        followed = {*self.followed, *(change.request_id for change in gathered)}
        # Accounts before rows, as decisions take them; tenants without one wait for nobody (0114).
        tenants = {change.account for change in gathered if change.account}
        unknown = {*self.followed, *(change.request_id for change in gathered if change.account is None)}
        if unknown:
            tenants |= {key_id for (key_id,) in self.look(_ACCOUNTS, {"ids": to_array(unknown)})}
        self.lock_accounts(tenants)
        # All rows before the first of them is changed, in one order for all processes: groups of two replicas that
        # touch the same requests wait for one another, and never in a circle (0086).
        self.lock_rows(changed, followed)

    def lock_rows(self, request_ids: Collection[str], followed: Collection[str] = ()) -> None:
        """Let nobody else change these requests until the end; once in a transaction, before anything is changed."""
        # One row has no order. One that is followed is locked all the same: what is read of it afterwards must be what
        # stands, also where the write before found that it is another's by now.
        if self._locks and (len(request_ids) > 1 or followed):
            rows = self.look(_LOCK_ROWS, {"ids": to_array(sorted({*request_ids, *followed}))})
            # Nobody joins what is locked: of these ends no other process waits to hear.
            self._alone.update(request_id for request_id, joined_by in rows if joined_by is None)

    def lock_accounts(self, tenants: Iterable[str]) -> None:
        """Let nobody else spend for these tenants until the end; waits, so before any row is locked."""
        if not self._locks:
            return
        names = sorted(_number(f"account {tenant}") for tenant in set(tenants))
        if names:
            self.look(_LOCK_NAMES, {"numbers": to_array(map(str, names))})

    def lock_names(self, names: Iterable[str]) -> frozenset[str]:
        """Those of the names that nobody else holds, until the end of the transaction. Waits for none.

        So no key ever waits for another one, and the holder of one can be waiting for nobody here.
        """
        if not self._locks:
            return frozenset(names)
        numbers = {_number(name): name for name in names}
        got = self.look(_TRY_NAMES, {"numbers": to_array(map(str, sorted(numbers)))})
        return frozenset(numbers[number] for (number,) in got)

    def mark(self) -> Mark:
        """How far it is, to come back to."""
        return self._executed, len(self._log)

    def forget_since(self, mark: Mark) -> bool:
        """Drop what was added since; False where something was written meanwhile, which only a rollback undoes."""
        executed, logged = mark
        if executed != self._executed:
            return False
        dropped = self._log[logged:]
        del self._log[logged:]
        if any(stage is _Stage.STORE for stage, _, _ in dropped):
            kept = [(store, named) for stage, store, named in self._log if stage is _Stage.STORE]
            self._newest = {(store, name): value for store, (name, value) in kept}
        return True


def _named(key: Executable | Statement | Together[Any], values: Sequence[Any]) -> Iterable[str]:
    """The requests that these values change."""
    if isinstance(key, Statement):
        return [] if key.place is None else [row[key.place] for row in values]
    if isinstance(key, Executable):
        names = [row.get(name) for row in values for name in OF_A_REQUEST]
        return [] if key.is_insert else [name for name in names if isinstance(name, str)]
    return ()


def _number(name: str) -> int:
    """PostgreSQL locks numbers. Two names with one number, one pair in 2⁶⁴, would only wait for each other."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
