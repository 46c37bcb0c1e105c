"""Whatever happens to requests, in any order, no money is lost or made: the ledger, a model of it, and every balance agree.

Reserve, settle, release, crash and takeover, stale ends, late bills, claims taken back, images fetched again, keys revoked
and changed, days that pass, old rows that go: each may be written once or twice, as after a commit in doubt.
"""

import asyncio
import uuid
from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import insert, select, text, update

from app.access.budgets import Accounts, RefusedError, read_account, restate_account
from app.database.key_tables import accounts, api_keys
from app.database.tables import requests
from app.domain.answer import TaskCost
from app.domain.caller import ApiKey
from app.domain.money import to_nanos
from app.journal.outcomes import OpenBills
from app.journal.records import Intent, Lease, Receipt, Settlement, Status
from app.ledger.entries import SECONDS_OF_A_DAY, Ledger
from app.ledger.retention import Retention
from app.ledger.verification import verify_ledger
from tests.support.journals import ByHand, Clock, as_process, open_journal

TTL = 3 * SECONDS_OF_A_DAY
BUDGET, UNPRICED = Decimal("0.2"), Decimal("0.05")
TABLES = ("tasks", "requests", "ledger_entries", "daily_totals", "highest_prices", "accounts", "api_keys", "notices")
OWNERS = ("key_budget", "key_free", "settings")
costs = st.integers(0, 90_000_000).map(lambda nanos: Decimal(nanos).scaleb(-9))
places = st.integers(0, 10**6)
twice = st.integers(1, 2)
# Whose it is, what it may and what it will cost, whether it is taken back, and how often that is written.
orders = st.tuples(
    st.sampled_from(OWNERS), st.none() | costs, costs, st.sampled_from(["kept"] * 4 + ["taken back"]), twice
)

# Which request, how it ends, whether its holder had lost it, and how often that is written.
ends = st.tuples(places, st.sampled_from(["known", "unknown", "free"]), st.sampled_from([False] * 3 + [True]), twice)


@dataclass
class Expected:
    """One request as it must stand: nano-dollars."""

    wanted: Intent
    lease: Lease
    reserve: int
    cost: Decimal
    """What it truly costs."""
    is_open: bool = True
    reserved: int = 0
    spent: int = 0
    is_known: bool = False


class World:
    """One database with two processes on it, kept for all examples: emptying tables is quicker than making them."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.runner = asyncio.Runner()
        self.journal = open_journal(url, self.clock, "here")
        self.accounts = Accounts(UNPRICED, self.clock)
        self.here, self.there = (ByHand(self.journal), ByHand(as_process(self.journal, self.clock, "there")))

    def run(self, work):
        return self.runner.run(work)

    def write(self, work, *arguments):
        return self.run(self.journal.writer.write(work, *arguments))

    def post(self, work, *arguments):
        return self.ask(self.journal.writer.post, work, *arguments)

    def ask(self, way, *arguments):
        async def asked():
            return await way(*arguments)

        return self.run(asked())

    def read(self, question):
        return self.run(self.journal.reader.read(question))

    def close(self) -> None:
        self.runner.close()
        self.journal.close()


class Money(RuleBasedStateMachine):
    """What is expected of each request, and what was removed."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.there: list[Expected] = []
        self.removed = 0
        self.revoked: set[str] = set()

    @initialize(first=st.lists(orders, min_size=3, max_size=3))
    def begin(self, first):
        self.world.clock.now = 1_000_000.0

        def empty(transaction):
            for table in TABLES:
                transaction.execute(text(f"DELETE FROM {table}"), {})
            for key_id, budget in (("key_budget", to_nanos(BUDGET)), ("key_free", None)):
                row = {
                    "id": key_id,
                    "name": key_id,
                    "digest": key_id,
                    "last_four": "abcd",
                    "created_at": 1.0,
                    "is_admin": False,
                }
                limits = {"budget": budget, "period": "day", "models": "[]", "defaults": "{}", "forbid_unpriced": False}
                transaction.execute(insert(api_keys), row | limits)
                restate_account(transaction, key_id, self.world.clock())

        self.world.write(empty)
        for order in first:
            self._claim(*order)

    @rule(orders=st.lists(orders, min_size=1, max_size=4), hours=st.sampled_from([0, 0, 25]))
    def claim(self, orders, hours):
        self.world.clock.now += hours * 3600  # in the next period of the key, perhaps
        for order in orders:
            self._claim(*order)

    def _claim(self, owner, estimate, cost, fate, times):
        wanted = Intent(
            f"req_{uuid.uuid4().hex}", owner, None, uuid.uuid4().hex, "generations", "m", "runware:1@1", 1,
            (str(uuid.uuid4()),), estimate, "{}", key=ApiKey(owner, owner, "abcd", 1.0) if owner.startswith("key_") else None,
        )  # fmt: skip
        journal, made = self.world.journal, []

        def accept(transaction):
            charge = self.world.accounts.charge(transaction, wanted)
            made.append(charge.reserve)
            return journal.claims.open(transaction, wanted, charge.at, charge.reserve)

        names = journal.claims.names_of(wanted)
        tenants = () if wanted.key is None else (owner,)
        try:
            claim = self.world.ask(journal.writer.decide, names, tenants, accept)
        except RefusedError as refused:
            assert owner in self.revoked or refused.error.code == "budget_exceeded"
            return
        assert owner not in self.revoked
        if fate == "taken back":
            for _ in range(times):
                self.world.run(self.world.here.withdraw(wanted))
            return
        lease = Lease(wanted.request_id, claim.record.fence)
        self.there.append(Expected(wanted, lease, made[0], cost, reserved=made[0]))

    @precondition(lambda self: self.there)
    @rule(some=st.lists(ends, min_size=1, max_size=4))
    def settle(self, some):
        for end in some:
            self._settle(*end)

    def _settle(self, place, end, is_stale, times):
        one = self._pick(place)
        lease = Lease(one.lease.request_id, one.lease.fence - 1) if is_stale else one.lease
        task, known = one.wanted.task_ids[0], to_nanos(one.cost) // 2
        if one.spent and end == "free":
            return  # what was paid for once never turns out to be free
        if end == "unknown" and not one.is_known:
            part = Decimal(known).scaleb(-9)
            settlement = Settlement(Status.COMPLETED, "{}", None, None, part)
            booked = [TaskCost(task, part, is_complete=False)]
        else:
            cost = Decimal(0) if end == "free" else one.cost
            settlement = Settlement(
                Status.FAILED if end == "free" else Status.COMPLETED, None if end == "free" else "{}", None, cost
            )
            booked = [TaskCost(task, cost, is_complete=True)]
        if not one.is_open and not is_stale and end == "free":
            return
        for _ in range(times):
            self.world.run(self.world.here.settle(lease, settlement, booked))
        if is_stale:
            return
        one.is_open, one.reserved = False, 0
        one.is_known = settlement.cost is not None
        one.spent = to_nanos(settlement.cost) if settlement.cost is not None else max(one.reserve, known)

    @precondition(lambda self: self.there)
    @rule(place=places, is_dead=st.booleans())
    def take_over(self, place, is_dead):
        """Its process crashed; another one has it from now on, or looked too early and takes nothing."""
        one = self._pick(place)
        seen = [
            sighting
            for sighting in self.world.run(self.world.there.list_watched())
            if sighting.request_id == one.lease.request_id
        ]
        if not is_dead:
            self.world.run(self.world.here.renew([one.lease.request_id]))
        for record in self.world.run(self.world.there.take_over(seen)):
            one.lease = Lease(record.id, record.fence)

    @precondition(lambda self: self.there)
    @rule(place=places, times=twice)
    def bill_late(self, place, times):
        one = self._pick(place)
        bills = OpenBills(1, self.world.clock)
        if one.is_open and not one.spent:
            return  # only what has ended is asked for
        cost = Decimal(one.spent).scaleb(-9) if one.is_known else one.cost
        for _ in range(times):
            booked = [TaskCost(one.wanted.task_ids[0], cost, is_complete=True)]
            self.world.post(bills.complete, one.lease.request_id, booked, cost)
        if not one.is_open:
            one.is_known, one.spent = True, to_nanos(cost)

    @precondition(lambda self: self.there)
    @rule(place=places)
    def give_up_the_bill(self, place):
        """Runware never said what it cost."""
        given_up = update(requests).where(requests.c.id == self._pick(place).lease.request_id).values(bill_next=None)
        self.world.write(lambda t: t.execute(given_up, {}))

    @precondition(lambda self: self.there)
    @rule(place=places)
    def fetch_again(self, place):
        one = self._pick(place)
        record = self.world.run(self.world.here.find_request(one.lease.request_id))
        if record.answer is None or not one.spent:
            return
        self.world.run(self.world.here.reopen(record, callers=1))
        one.is_open, one.lease = True, Lease(record.id, record.fence + 1)

    @rule(key_id=st.sampled_from(OWNERS[:2]), period=st.sampled_from(["day", "week", "month", "total"]))
    def change(self, key_id, period):
        self.change_key(key_id, period)

    def change_key(self, key_id, period):
        def change(transaction):
            transaction.lock_accounts((key_id,))
            transaction.execute(update(api_keys).where(api_keys.c.id == key_id).values(period=period), {})
            restate_account(transaction, key_id, self.world.clock())

        self.world.write(change)

    @precondition(lambda self: not self.revoked)
    @rule(key_id=st.sampled_from(OWNERS[:2]))
    def revoke(self, key_id):
        gone = update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=self.world.clock.now)
        self.world.write(lambda t: t.execute(gone, {}))
        self.revoked.add(key_id)

    @precondition(lambda self: self.revoked)
    @rule()
    def believe_again(self):
        """As a new key of the same owner would: so that an example does not end with the first revocation."""
        back = update(api_keys).values(revoked_at=None)
        self.world.write(lambda t: t.execute(back, {}))
        self.revoked.clear()

    @precondition(lambda self: self.there)
    @rule(place=places, hours=st.sampled_from([0, 1, 13, 24, 70]))
    def what_costs_nothing(self, place, hours):
        """An answer arrives, the ledger is followed once more, time passes."""
        request_id = self._pick(place).lease.request_id
        self.world.run(self.world.here.acknowledge(request_id, Receipt.DELIVERED))
        self.world.post(lambda t: t.follow(Ledger(self.world.clock).follow, request_id))
        self.world.clock.now += hours * 3600

    @rule(times=twice, hours=st.sampled_from([0, 75]), period=st.sampled_from(["day", "total"]))
    def remove_old(self, times, hours, period):
        self.world.clock.now += hours * 3600
        retention = Retention(TTL, self.world.clock)
        old = self.world.read(retention.find_old)
        for _ in range(times):
            self.world.write(retention.remove, old)
        for one in [one for one in self.there if one.lease.request_id in old]:
            assert not one.is_open
            self.removed += one.spent
            self.there.remove(one)
        self.world.write(retention.remove_left_over, self.world.read(retention.find_left_over))
        # What is gone still counts in a period that reaches back to it.
        for key_id in OWNERS[:2]:
            self.change_key(key_id, period)

    @invariant()
    def every_balance_agrees(self):
        found = self.world.run(verified(self.world))
        assert found.is_exact, found.differences
        assert found.requests == len(self.there)
        assert to_nanos(found.reserved) == sum(one.reserved for one in self.there)
        assert to_nanos(found.spent) == sum(one.spent for one in self.there)
        assert to_nanos(found.removed) == self.removed

    @invariant()
    def nothing_is_owed(self):
        rows = self.world.read(lambda c: c.execute(select(accounts.c.reserved, accounts.c.spent)).all())
        assert all(amount >= 0 for row in rows for amount in row)
        budgeted = self.world.read(lambda c: read_account(c, "key_budget"))
        assert budgeted is None or budgeted.remaining >= 0

    def _pick(self, place: int) -> Expected:
        return self.there[place % len(self.there)]


async def verified(world: World):
    return await world.journal.reader.read(verify_ledger)


@pytest.mark.parametrize(("kind", "examples"), [("sqlite", 40), ("postgres", 12)], ids=["sqlite", "postgres"])
def test_money_is_conserved_to_the_last_digit_in_any_order_of_events(request, tmp_path, kind, examples):
    url = f"sqlite:///{tmp_path / 'journal.db'}" if kind == "sqlite" else request.getfixturevalue("postgres").fresh()
    world = World(url)
    try:
        run_state_machine_as_test(
            lambda: Money(world),
            settings=settings(
                max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
    finally:
        world.close()
