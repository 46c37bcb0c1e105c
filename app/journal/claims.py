"""Claims requests, so that one that was bought before is joined instead of bought again; notes who came and went.

The rules: a key that is remembered leads to its first request; without a key, a retry joins the same caller's equal
request whose connection broke before everything was delivered, once; a connection still open is never joined.
Everything here works on the caller's transaction, so other rooms' rows stand or fall with a claim.
"""

import time
from collections.abc import Callable

from msgspec import Struct
from sqlalchemy import Row, delete

from app.database.prepared import listed
from app.database.tables import tasks
from app.database.transaction import Transaction
from app.domain.money import to_nanos
from app.journal import statements as sql
from app.journal.processes import is_dead, name_process
from app.journal.records import (
    Intent,
    KeyExpiredError,
    KeyReusedError,
    NothingToJoinError,
    Receipt,
    Record,
    Sighting,
    Status,
)
from app.journal.rows import new_record, to_record, to_row, to_sighting, write_money
from app.ledger.entries import Ledger
from app.ledger.openings import Opening

_SET_SECONDS = 1.0
"""So far a wall clock is never moved by keeping it right slowly."""


class Claim(Struct, frozen=True):
    """The request to answer with: a new one to carry out, or an earlier one to join.

    With `rivals` it is neither yet: the callers of these equal requests are still there, as far as anybody knows. Claim
    again when that is certain; `record` is one of them.
    """

    record: Record
    is_new: bool
    rivals: tuple[Sighting, ...] = ()


class BrokenConnections:
    """The connections whose requests may be adopted without a word. `window` is in seconds; `wall` is unix seconds."""

    def __init__(self, window: float, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        self._window = window
        self._wall = wall
        self._steady = steady
        self._broken: dict[str, float] = {}
        self._difference = wall() - steady()
        self._unsure_until = float("-inf")

    def note(self, request_id: str) -> None:
        """Remember a break that this process saw itself, by the clock that nobody sets."""
        now = self._steady()
        # Taken out first, so that it moves to the end: the order is what makes the cleanup below cheap.
        self._broken.pop(request_id, None)
        self._broken[request_id] = now
        while now - next(iter(self._broken.values())) > self._window:  # the oldest come first
            del self._broken[next(iter(self._broken))]

    def since(self) -> float:
        """The moment, in unix seconds, from which breaks count; all do while the wall clock cannot be believed."""
        wall, steady = self._wall(), self._steady()
        # The wall clock was set. For one window everything counts as recent: joining what was bought is cheaper than
        # buying again.
        if abs(wall - steady - self._difference) > _SET_SECONDS:
            self._difference, self._unsure_until = wall - steady, steady + self._window
        return 0.0 if steady < self._unsure_until else wall - self._window

    def is_recent(self, row: Row[tuple[object, ...]]) -> bool:
        """Whether the connection of a request that was found broke within the window."""
        seen = self._broken.get(row.id)
        if seen is not None:
            return self._steady() - seen <= self._window
        # Seen by another process: only the wall clock is common to both.
        return bool(row.broken_at >= self._wall() - self._window)


class Claims:
    """The rules of claims, for one process by the name `owner`. `clock` is unix seconds, `steady` never goes back."""

    def __init__(
        self,
        *,
        key_ttl: float,
        adopt_window: float,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        owner: str | None = None,
        ledger: Ledger | None = None,
        may_have_ended: Callable[[str], bool] = is_dead,
    ) -> None:
        self._key_ttl = key_ttl
        self._clock = clock
        self._ledger = ledger or Ledger(clock)
        self._broken = BrokenConnections(adopt_window, clock, steady)
        self.owner = owner or name_process()
        self._may_have_ended = may_have_ended

    def join(self, transaction: Transaction, intent: Intent) -> Claim | None:
        """A claim on what was bought before, None where the request is new and is to be opened.

        Raises KeyReusedError, NothingToJoinError or KeyExpiredError: forget the key, and claim again with other task
        ids, since those of the first time lead to its images.
        """
        now, connection = self._clock(), transaction.connection
        # One transaction from this look to the insert, under the names of `names_of`: no equal claim can come between
        # (0086).
        if intent.key_hash is not None:
            may_overtake, earlier = False, self._by_key(transaction, intent, now)
        else:
            may_be_adopted = self._may_be_adopted(transaction, intent)
            may_overtake = (may_be_adopted or intent.retries) and not intent.is_another
            earlier = self._adoptable(transaction, intent, now) if may_be_adopted else None
        if earlier is not None:
            # In this transaction: a second retry must already see this caller (0062).
            transaction.add(sql.JOIN, (earlier.id, intent.request_id))
            return Claim(to_record(connection, earlier), is_new=False)
        if may_overtake:
            waiting = self._rivals(transaction, intent, now)
            if waiting:
                rivals = tuple(to_sighting(row) for row in waiting)
                return Claim(to_record(connection, waiting[0]), is_new=False, rivals=rivals)
        # The queue is full or Runware is unreachable; what is bought already can be had all the same.
        if intent.joins_only:
            raise NothingToJoinError
        return None

    def open(
        self, transaction: Transaction, intent: Intent, at: float | None = None, reserve: int | None = None
    ) -> Claim:
        """A claim on a request that is new, in the transaction in which it was sought; `reserve` is nano-dollars.

        `at` is when it counts as made, where that was decided with what is reserved.
        """
        now = self._clock() if at is None else at
        held = to_nanos(intent.reserve) if reserve is None else reserve
        row = to_row(intent, self.owner, now, now + self._key_ttl, held)
        self._insert(transaction, row, intent)
        estimate = write_money(intent.estimate)
        self._ledger.open_request(
            transaction,
            Opening(intent.request_id, intent.tenant, now, held, intent.executed_model, intent.n, estimate),
        )
        return Claim(new_record(intent, self.owner, now), is_new=True)

    def names_of(self, intent: Intent) -> tuple[str, ...]:
        """What no two claims may hold at once: by what an earlier request would be found.

        A request under a key is found by its key alone, and no other request is: so each claim has one name.
        """
        if intent.key_hash:
            return (f"{intent.tenant} key {intent.key_hash}",)
        return (_equals_of(intent.tenant) + intent.fingerprint,)

    def forget_key(self, transaction: Transaction, request_id: str) -> None:
        """Let a key lead to this request no more: it is older than keys are remembered."""
        transaction.add(sql.FORGET_KEY, {"request_id": request_id})

    def withdraw(self, transaction: Transaction, intent: Intent) -> None:
        """Take back a claim whose writing may or may not have succeeded; nothing was sent for it.

        Under the claim's own names: a commit that nobody heard of may still be under way, and is waited for (0051).
        """
        by, own = {"by": intent.request_id}, {"request_id": intent.request_id}
        equal = {"tenant": intent.tenant, "fingerprint": intent.fingerprint}
        joined = transaction.connection.execute(sql.JOINED, equal | by).scalars()
        transaction.add(sql.UNJOIN, *({"request_id": one, "now": self._clock()} | by for one in joined))
        transaction.add(sql.WITHDRAW_TASKS, own)
        transaction.add(sql.WITHDRAW, own)
        transaction.follow(self._ledger.follow, intent.request_id)

    def acknowledge(self, transaction: Transaction, request_id: str, receipt: Receipt) -> None:
        """Write down how one caller left; only LOST lets the next equal request be its retry."""
        # Also on a clock nobody sets, for the claims that this process decides.
        if receipt is Receipt.LOST:
            self._broken.note(request_id)
            transaction.add(sql.ACKNOWLEDGE_LOST, (self._clock(), request_id))
        elif receipt is Receipt.DELIVERED:
            transaction.add(sql.ACKNOWLEDGE_DELIVERED, (self._clock(), request_id))
        else:
            transaction.add(sql.ACKNOWLEDGE_DEFERRED, (request_id,))

    def retract(self, transaction: Transaction, request_id: str) -> None:
        """Take back "delivered": the connection was reset after its last byte, so a retry must find the answer."""
        self._broken.note(request_id)
        transaction.add(sql.RETRACT, {"request_id": request_id, "now": self._clock()})

    def rejoin(self, transaction: Transaction, request_id: str, by: str) -> None:
        """A caller collects the answer of a request by its id; `by` is the id of that call."""
        transaction.add(sql.JOIN, (request_id, by))

    def _insert(self, transaction: Transaction, row: tuple[object, ...], intent: Intent) -> None:
        # Request and tasks in one commit: a task id that is not durable must never be sent (0007).
        task_rows = [(task_id, intent.request_id, position) for position, task_id in enumerate(intent.task_ids)]
        if intent.key_hash is None:  # not to be joined before somebody went away
            transaction.add(sql.INSERT_REQUEST, row)
            transaction.add(sql.INSERT_TASKS, *task_rows)
        else:  # derived ids may be those of a request whose key was released or forgotten
            transaction.run(sql.INSERT_REQUEST, row)
            transaction.execute(delete(tasks).where(tasks.c.uuid.in_(intent.task_ids)), {})
            transaction.run(sql.INSERT_TASKS, *task_rows)

    def _by_key(self, transaction: Transaction, intent: Intent, now: float) -> Row[tuple[object, ...]] | None:
        rows = transaction.find(sql.BY_KEY, {"tenant": intent.tenant, "key": intent.key_hash})
        if not rows:
            return None
        row = rows[0]
        # An open request keeps its key: expiry in the middle of the work would buy it again (0058).
        if row.key_until < now and Status(row.status).final:
            raise KeyExpiredError(row.id)
        # After the expiry check: an old key may be used for anything.
        if row.fingerprint != intent.fingerprint:
            raise KeyReusedError
        return row

    def _adoptable(self, transaction: Transaction, intent: Intent, now: float) -> Row[tuple[object, ...]] | None:
        """The oldest equal request that nobody got, if this call may be its retry."""
        # A marked retry may come late, after long backoffs. An unmarked one is only believed right after a break
        # (0062).
        since = 0.0 if intent.retries else self._broken.since()
        equal = {"tenant": intent.tenant, "fingerprint": intent.fingerprint, "now": now, "broken_since": since}
        # Few: ordering them in SQL tempts SQLite to a full scan.
        rows = transaction.find(sql.ADOPTABLE, equal)
        taken = _joined_in(transaction) if rows else set()
        free = [row for row in rows if row.id not in taken]
        recent = free if intent.retries else [row for row in free if self._broken.is_recent(row)]
        # The oldest, so that two retries of two broken requests each find one in turn.
        return min(recent, key=lambda row: row.created_at, default=None)

    def _rivals(self, transaction: Transaction, intent: Intent, now: float) -> list[Row[tuple[object, ...]]]:
        """Equal requests with callers, as far as anybody knows, of whom this one may be the retry all the same."""
        waiting = self._waiting(transaction, intent, now)
        # Marked as a retry, yet its first attempt still has a caller: either the end of that connection has not been
        # noticed, or these are two callers. `jobs.claiming` finds out (0062).
        if intent.retries:
            return waiting
        # Connections end with their process. Its callers may ask again before the takeover that says so (0210).
        return [row for row in waiting if self._is_orphan(row.owner)]

    def _waiting(self, transaction: Transaction, intent: Intent, now: float) -> list[Row[tuple[object, ...]]]:
        """Equal requests whose callers are still there, as far as anybody knows."""
        # What it may have overtaken may be in the same group. Only what is new is written: a write that changed rows of
        # others here could no longer take them in order (0086).
        transaction.write_only(sql.INSERT_REQUEST, sql.INSERT_TASKS)
        equal = {"tenant": intent.tenant, "fingerprint": intent.fingerprint, "now": now}
        rows, taken = transaction.connection.execute(sql.WAITING, equal).all(), _joined_in(transaction)
        return [row for row in rows if row.connected > 0 or row.id in taken]

    def _may_be_adopted(self, transaction: Transaction, intent: Intent) -> bool:
        """Whether there may be an equal request to adopt; asked once for all claims of the tenant in a group."""
        if _equals_of(intent.tenant) + intent.fingerprint not in transaction.names:
            return True  # claimed alone
        return intent.fingerprint in transaction.ask_once(self._left_alone, intent.tenant)

    def _left_alone(self, transaction: Transaction, tenant: str) -> frozenset[str]:
        """Of which equal requests that are claimed in this group there is one that its callers left, or its process."""
        equals, connection = _equals_of(tenant), transaction.connection
        wanted = [name.removeprefix(equals) for name in transaction.names if name.startswith(equals)]
        values = {"tenant": tenant, "fingerprints": listed(connection, wanted), "own": self.owner}
        found = transaction.look(sql.UNDELIVERED[connection.dialect.name], values)
        # Each process once, however many equal requests it has: the system is asked for it.
        orphans = {owner for owner in {owner for _, owner, is_left in found if not is_left} if self._is_orphan(owner)}
        return frozenset(fingerprint for fingerprint, owner, is_left in found if is_left or owner in orphans)

    def _is_orphan(self, owner: str) -> bool:
        return owner != self.owner and self._may_have_ended(owner)


def _equals_of(tenant: str) -> str:
    return f"{tenant} fingerprint "


def _joined_in(transaction: Transaction) -> set[object]:
    """What claims of the same group have joined; their rows do not say so yet."""
    return {request_id for request_id, _ in transaction.added(sql.JOIN)}
