"""What rooms that share a transaction are handed: reads, writes, and rows that are written together with others'.

A function of any room that takes a Transaction joins the caller's commit: it stands or falls with all the rest. Owns
in which order locks are taken on PostgreSQL; SQLite has one lock, which the transaction holds from its start.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import BigInteger, Connection, CursorResult, Executable, Select, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.database.key_tables import accounts
from app.database.prepared import BEGIN, Driver, Found
from app.database.tables import requests
from app.observability.metrics import Ending

_T = TypeVar("_T")
Row = Mapping[str, object]
Mark = tuple[int, int, int, int, int]
Follow = Callable[["Transaction", Collection[str]], None]
"""What is done for requests once all that was added is written."""
Store = Callable[["Transaction", Mapping[str, _T]], None]
"""Writes values by their names."""
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
    select(requests.c.id)
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


class Transaction:
    """One unit of work. `connection` is for reading; what is written through it could not be undone by itself."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._driver = Driver.of(connection)
        self._locks = connection.dialect.name == "postgresql"
        self._rows: dict[Executable, list[Row]] = {}
        self._added: list[Executable] = []
        """Of each row that was added, in order, to take them back by."""
        self._ended: list[str] = []
        self._followed: list[tuple[Follow, str]] = []
        self._kept: list[tuple[Store[Any], str, object]] = []
        self._newest: dict[tuple[Store[Any], str], object] = {}
        self._executed = 0
        self._answers: dict[tuple[Callable[..., Any], str], Any] = {}
        self.names: Collection[str] = ()
        """What the decisions of this transaction hold, all of them together."""
        self.endings: list[Ending] = []
        """What is to be counted once it is durable."""

    def execute(self, statement: Executable, values: Row | Sequence[Row]) -> CursorResult[tuple[object, ...]]:
        """Write at once: for rows that are new, or that `lock_rows` has locked."""
        self._executed += 1
        return self.connection.execute(statement, values)

    def run(self, statement: Executable, *rows: Row) -> int:
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
        if (question, about) not in self._answers:
            self._answers[question, about] = question(self, about)
        return cast("_T", self._answers[question, about])

    def add(self, statement: Executable, *rows: Row) -> None:
        """Write rows after all work of the group. A row of a request names it as `request_id` or `of_request`."""
        known = self._rows.get(statement)
        if known is None:
            known = self._rows[statement] = []
        for row in rows:
            known.append(row)
            self._added.append(statement)

    def added(self, statement: Executable) -> Sequence[Row]:
        """What was added and is not written yet."""
        return self._rows.get(statement, ())

    def keep(self, store: Store[_T], name: str, value: _T) -> None:
        """Have `store` write a value once at the end of the group, instead of what was kept by this name before.

        So what every piece of a group decides upon is read once and written once.
        """
        self._kept.append((store, name, value))
        self._newest[store, name] = value

    def kept(self, store: Store[_T], name: str) -> _T | None:
        """What was last kept by this name, and is not written yet."""
        return cast("_T | None", self._newest.get((store, name)))

    def announce_end(self, request_id: str) -> None:
        """Let other processes know with the commit that this request has ended."""
        self._ended.append(request_id)

    def follow(self, work: Follow, request_id: str) -> None:
        """Have `work` done once for all requests it is named for, when everything else of the group is written.

        It sees them as they will be, so what follows from several changes of one request follows once.
        """
        self._followed.append((work, request_id))

    def write(self) -> None:
        """Write what was added, in the order in which the statements first came."""
        followed = {request_id for _, request_id in self._followed}
        if self._locks:
            # Accounts before rows, as decisions take them; tenants without one wait for nobody (0114).
            if followed:
                self.lock_accounts(key_id for (key_id,) in self.look(_ACCOUNTS, {"ids": list(followed)}))
            # All rows before the first of them is changed, in one order for all processes: groups of two replicas that
            # touch the same requests wait for one another, and never in a circle (0086).
            changed = [statement for statement in self._rows if not statement.is_insert]
            self.lock_rows({name for statement in changed for name in self._named(statement)}, followed)
        self.write_only(*self._rows)
        self._store()
        self._follow()
        if self._locks and self._ended:
            self.look(_NOTIFY, {"ids": self._ended})
        self._ended = []

    def write_only(self, *statements: Executable) -> None:
        """Write what was added of these; they may only insert, where anything else is to follow."""
        for statement in statements:
            rows = self._rows.pop(statement, None)
            if rows:
                # Nobody may undo these by themselves any more.
                self._executed += 1
                self._driver.run(self.connection, statement, rows)

    def lock_rows(self, request_ids: Collection[str], followed: Collection[str] = ()) -> None:
        """Let nobody else change these requests until the end; once in a transaction, before anything is changed."""
        # One row has no order. One that is followed is locked all the same: what is read of it afterwards must be what
        # stands, also where the write before found that it is another's by now.
        if self._locks and (len(request_ids) > 1 or followed):
            self.look(_LOCK_ROWS, {"ids": sorted({*request_ids, *followed})})

    def lock_accounts(self, tenants: Iterable[str]) -> None:
        """Let nobody else spend for these tenants until the end; waits, so before any row is locked."""
        names = sorted(_number(f"account {tenant}") for tenant in set(tenants))
        if self._locks and names:
            self.look(_LOCK_NAMES, {"numbers": names})

    def lock_names(self, names: Iterable[str]) -> frozenset[str]:
        """Those of the names that nobody else holds, until the end of the transaction. Waits for none.

        So no key ever waits for another one, and the holder of one can be waiting for nobody here.
        """
        if not self._locks:
            return frozenset(names)
        numbers = {_number(name): name for name in names}
        got = self.look(_TRY_NAMES, {"numbers": sorted(numbers)})
        return frozenset(numbers[number] for (number,) in got)

    def mark(self) -> Mark:
        """How far it is, to come back to."""
        return self._executed, len(self._added), len(self._followed), len(self._kept), len(self._ended)

    def forget_since(self, mark: Mark) -> bool:
        """Drop what was added since; False where something was written meanwhile, which only a rollback undoes."""
        executed, added, followed, kept_before, ended = mark
        if executed != self._executed:
            return False
        while len(self._added) > added:
            statement = self._added.pop()
            self._rows[statement].pop()
            if not self._rows[statement]:
                del self._rows[statement]
        del self._followed[followed:]
        del self._ended[ended:]
        if len(self._kept) > kept_before:
            del self._kept[kept_before:]
            self._newest = {(store, name): value for store, name, value in self._kept}
        return True

    def _store(self) -> None:
        by_store: dict[Store[Any], dict[str, object]] = {}
        for (store, name), value in self._newest.items():
            by_store.setdefault(store, {})[name] = value
        self._kept, self._newest = [], {}
        for store, values in by_store.items():
            store(self, values)

    def _follow(self) -> None:
        by_work: dict[Follow, dict[str, None]] = {}
        for work, request_id in self._followed:
            by_work.setdefault(work, {})[request_id] = None
        self._followed = []
        for work, request_ids in by_work.items():
            work(self, request_ids.keys())

    def _named(self, statement: Executable) -> Iterable[str]:
        for row in self._rows[statement]:
            name = row.get("request_id") or row.get("of_request")
            if isinstance(name, str):
                yield name


def _number(name: str) -> int:
    """PostgreSQL locks numbers. Two names with one number, one pair in 2⁶⁴, would only wait for each other."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
