"""The rules of claims, driven by hand and by a state machine against a model of them."""

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import sqlite

from app.database.engine import open_engine
from app.database.errors import DatabaseUnavailableError
from app.database.schema import migrate, open_database
from app.database.statement import Statement
from app.database.tables import requests, tasks
from app.domain.answer import TaskCost
from app.domain.values import replace
from app.journal import statements
from app.journal.journal import Journal
from app.journal.outcomes import DUE as BILLS_DUE
from app.journal.outcomes import WAITING_TENANTS
from app.journal.processes import Predecessors, is_dead, name_process
from app.journal.records import (
    Intent,
    KeyExpiredError,
    KeyReusedError,
    Lease,
    NothingToJoinError,
    Receipt,
    Settlement,
    Status,
)
from app.journal.webhooks import DUE
from tests.support.databases import Database
from tests.support.journals import KEY_TTL, WINDOW, ByHand, Clock, as_process, open_journal


def intent(fingerprint: str = "f", key: str | None = None, *, retries: bool = False, tenant: str = "t") -> Intent:
    return Intent(
        f"req_{uuid.uuid4().hex}", tenant, key, fingerprint, "generations", "m", "runware:100@1", 1, (str(uuid.uuid4()),), None, "{}", retries
    )  # fmt: skip


def lease_of(claim) -> Lease:
    return Lease(claim.record.id, claim.record.fence)


DONE = Settlement(Status.COMPLETED, "{}", None, Decimal("0.1"))
FREED = Settlement(Status.FAILED, None, "{}", None, releases=True)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(database, clock):
    made = open_journal(database.fresh(), clock)
    yield made
    made.close()


@pytest.fixture
def journal(opened):
    return ByHand(opened)


def test_a_key_leads_to_its_first_request_until_it_is_forgotten(journal, clock):
    async def course():
        first = await journal.claim(intent(key="k"))
        assert (await journal.claim(intent(key="k"))).record.id == first.record.id
        with pytest.raises(KeyReusedError):
            await journal.claim(intent("other", key="k"))
        clock.now += KEY_TTL + 1
        assert (await journal.claim(intent(key="k"))).record.id == first.record.id, "it still runs"
        await journal.settle(lease_of(first), DONE, [])
        with pytest.raises(KeyExpiredError) as expired:
            await journal.claim(intent(key="k"))
        assert expired.value.earlier_id == first.record.id, "its task ids would lead to the first images"
        assert (await journal.claim(intent("other", key="k"))).is_new

    asyncio.run(course())


def test_a_released_key_is_free_again(journal):
    async def course():
        first = await journal.claim(intent(key="k"))
        await journal.settle(lease_of(first), FREED, [])
        assert (await journal.claim(intent("other", key="k"))).is_new

    asyncio.run(course())


def test_a_retry_asks_after_an_equal_request_whose_caller_is_still_there(opened, clock):
    async def course():
        here, there = (ByHand(as_process(opened, clock, name)) for name in "ab")
        first = await there.claim(intent())
        rivals = (await here.claim(intent(retries=True))).rivals
        assert [(one.request_id, one.owner) for one in rivals] == [(first.record.id, "b")]
        assert (await there.claim(intent(retries=True))).rivals == rivals, "at the same process too"
        assert (await here.claim(intent())).is_new, "only what is called a retry"
        await there.acknowledge(first.record.id, Receipt.LOST)
        assert (await here.claim(intent(retries=True))).record.id == first.record.id

    asyncio.run(course())


def test_whoever_asks_again_is_asked_after_an_equal_request_of_a_process_that_has_ended(opened, clock):
    async def course():
        there = ByHand(as_process(opened, clock, "there"))
        first = await there.claim(intent())
        other = await there.claim(intent())
        ended = {"nobody"}
        here = ByHand(as_process(opened, clock, "here", ended.__contains__))
        assert (await here.claim(intent("own"))).is_new
        assert (await here.claim(intent())).is_new, "the other process runs, and its callers are there"
        ended |= {"there", "here"}
        assert (await here.claim(intent("own"))).is_new, "whatever it believes, it runs itself"
        assert (await here.claim(intent("another"))).is_new
        assert (await here.claim(intent(key="k"))).is_new
        rivals = (await here.claim(intent())).rivals
        assert {one.request_id for one in rivals} == {first.record.id, other.record.id}
        assert (await here.claim(replace(intent(), is_another=True))).is_new
        await there.acknowledge(first.record.id, Receipt.DELIVERED)
        left = (await here.claim(intent())).rivals
        assert [one.request_id for one in left] == [other.record.id]
        await here.take_over(left)
        claim = await here.claim(intent())
        assert (claim.record.id, claim.rivals) == (other.record.id, ()), "joined"

    asyncio.run(course())


def test_writes_that_wait_share_a_commit_and_one_that_fails_leaves_the_others(opened, journal):
    def broken(_: object) -> None:
        raise KeyReusedError

    async def course():
        work = [journal.claim(intent(str(number))) for number in range(200)]
        results = await asyncio.gather(*work, opened.writer.write(broken), return_exceptions=True)
        assert isinstance(results[-1], KeyReusedError)
        assert all(result.is_new for result in results[:-1])

    asyncio.run(course())


def test_a_long_look_at_the_past_keeps_nobody_from_writing_and_sees_what_came_before(opened, journal):
    looking, release_leases = threading.Event(), threading.Event()

    def count(connection: Connection) -> tuple[int, int]:
        before = connection.scalar(select(func.count()).select_from(requests))
        looking.set()
        assert release_leases.wait(20)
        return before, connection.scalar(select(func.count()).select_from(requests))

    async def course():
        await journal.claim(intent("earlier"))
        counting = asyncio.create_task(opened.reader.read(count))
        await asyncio.to_thread(looking.wait, 20)
        assert (await journal.claim(intent("meanwhile"))).is_new
        release_leases.set()
        assert await counting == (1, 1), "one look at one moment"

    asyncio.run(course())


def test_a_database_that_is_gone_is_an_error_for_everybody_who_waits(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'never migrated.db'}")
    journal = Journal.on(engine, key_ttl=1, adopt_window=1)

    async def course():
        with pytest.raises(Exception, match="no such table"):
            await ByHand(journal).claim(intent())

    asyncio.run(course())
    journal.close()
    assert issubclass(DatabaseUnavailableError, Exception)


def test_a_database_that_is_locked_at_the_start_is_waited_for(tmp_path):
    path = tmp_path / "journal.db"
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseUnavailableError, match="locked"):
        open_database(f"sqlite:///{path}?timeout=0.05", wait_seconds=0)
    threading.Timer(0.3, lambda: (holder.execute("ROLLBACK"), holder.close())).start()
    open_database(f"sqlite:///{path}?timeout=0.05")[0].dispose()


def test_a_claim_nobody_heard_the_end_of_is_taken_back_whether_it_stands_or_not(journal):
    async def course():
        unheard = intent(key="k")
        await journal.claim(unheard)
        await journal.withdraw(unheard)
        await journal.withdraw(unheard)
        assert await journal.find_request(unheard.request_id) is None
        first = await journal.claim(intent())
        await journal.acknowledge(first.record.id, Receipt.LOST)
        retry = intent(retries=True)
        assert (await journal.claim(retry)).record.id == first.record.id
        assert (await journal.claim(intent(retries=True))).rivals, "a connection still open is not adopted"
        await journal.withdraw(retry)
        await journal.withdraw(retry)
        assert (await journal.claim(intent(retries=True))).record.id == first.record.id

    asyncio.run(course())


def test_writing_twice_that_a_caller_came_or_went_counts_him_once(journal):
    async def course():
        first = await journal.claim(intent())
        for _ in range(2):
            await journal.acknowledge(first.record.id, Receipt.LOST)
        for _ in range(2):
            await journal.rejoin(first.record.id, "req_again")
        assert (await journal.claim(intent(retries=True))).rivals, "it is there"
        await journal.acknowledge(first.record.id, Receipt.LOST)
        assert (await journal.claim(intent(retries=True))).record.id == first.record.id

    asyncio.run(course())


def test_claims_of_two_processes_at_the_same_moment_lead_to_one_request(database):
    url = database.fresh()
    opened = [open_journal(url), open_journal(url)]
    journals = [ByHand(one) for one in opened]

    async def course():
        for round_ in range(30):
            claims = await asyncio.gather(*(journals[i % 2].claim(intent(key=f"k{round_}")) for i in range(6)))
            assert sum(claim.is_new for claim in claims) == 1
            assert len({claim.record.id for claim in claims}) == 1
            first = await journals[0].claim(intent(f"f{round_}"))
            await journals[0].acknowledge(first.record.id, Receipt.LOST)
            adoptions = await asyncio.gather(
                *(journals[i % 2].claim(intent(f"f{round_}", retries=True)) for i in range(4))
            )
            assert sum(claim.record.id == first.record.id and not claim.rivals for claim in adoptions) == 1

    asyncio.run(course())
    for one in opened:
        one.close()


def test_a_process_is_known_to_be_dead_only_when_it_is():
    assert not is_dead(name_process())
    assert not is_dead("elsewhere:1:2:3")
    assert not is_dead("nonsense")
    with subprocess.Popen(
        [sys.executable, "-c", "from app.journal.processes import name_process as n; print(n())"],
        stdout=subprocess.PIPE,
        text=True,
    ) as gone:
        name = gone.stdout.read().strip()
        os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(name), "though nobody has asked how it ended"
    assert is_dead(name)
    machine, _, started, rest = name.split(":")
    assert is_dead(f"{machine}:{os.getpid()}:{started}:{rest}"), "the number is another's now"


def test_a_new_process_may_have_taken_the_place_of_any_that_it_cannot_see():
    clock = Clock()
    predecessors = Predecessors(15, clock)
    assert predecessors.may_have_ended("elsewhere:1:2:3"), "such as the container before this one"
    assert not predecessors.may_have_ended(name_process())
    assert not predecessors.may_have_ended(""), "nobody's"
    clock.now += 30
    assert not predecessors.may_have_ended("elsewhere:1:2:3"), "had it ended, somebody would have its leases by now"


def test_of_each_process_it_is_asked_once_whether_it_has_ended_however_many_equal_requests_it_has(opened, clock):
    asked = list[str]()
    there = ByHand(as_process(opened, clock, "there"))
    here = ByHand(as_process(opened, clock, "here", lambda name: bool(asked.append(name))))

    async def course():
        for _ in range(5):
            await there.claim(intent())
        assert (await here.claim(intent())).is_new
        assert asked == ["there"]

    asyncio.run(course())


@dataclass
class Asked:
    """One logical request in the model of the rules."""

    id: str
    fingerprint: str
    key: str | None
    born: float
    status: Status = Status.PROCESSING
    callers: int = 1
    delivered: bool = False
    broken_at: float | None = None
    fence: int = 1
    holder: int | None = 0
    tasks: tuple[str, ...] = field(default=())


def cost_of(one: Asked, cost: str) -> TaskCost:
    return TaskCost(one.tasks[0], Decimal(cost), is_complete=True)


class Claims(RuleBasedStateMachine):
    """Callers ask, go away, come back and are served, in any order; time passes; keys are remembered, freed and expire;
    processes die and others take over; what was delivered turns out not to have arrived.
    """

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.clock = Clock()
        self.opened = open_journal(database.fresh())
        self.here = -1
        self.next_process()
        self.asked: list[Asked] = []

    def next_process(self) -> None:
        """Claims are made by another process from now on."""
        self.here += 1
        owner = f"process {self.here}"
        self.journal = ByHand(as_process(self.opened, self.clock, owner))

    def teardown(self) -> None:
        self.opened.close()

    def do(self, work):
        return asyncio.run(work)

    def expected(self, fingerprint: str, key: str | None, *, retries: bool) -> Asked | type[Exception] | None:
        """What the rules say: the request to join, none for a new one, or a refusal."""
        now = self.clock.now
        if key is not None:
            for one in self.asked:
                if one.key == key:
                    if one.status.final and one.born + KEY_TTL < now:
                        return KeyExpiredError
                    return one if one.fingerprint == fingerprint else KeyReusedError
            return None
        for one in sorted(self.asked, key=lambda one: one.born):
            equal = one.fingerprint == fingerprint and one.key is None and one.born + KEY_TTL >= now
            left = (
                not one.delivered and one.callers <= 0 and one.broken_at is not None and one.status is not Status.FAILED
            )
            if equal and left and (retries or one.broken_at >= now - WINDOW):
                return one
        return None

    @rule(fingerprint=st.sampled_from("fg"), key=st.sampled_from([None, None, "k", "l"]), retries=st.booleans())
    def ask(self, fingerprint, key, retries):
        self.clock.now += 1
        wanted = intent(fingerprint, key, retries=retries)
        expected = self.expected(fingerprint, key, retries=retries)
        if expected is KeyReusedError:
            with pytest.raises(KeyReusedError):
                self.do(self.journal.claim(wanted))
            return
        if expected is KeyExpiredError:
            with pytest.raises(KeyExpiredError):
                self.do(self.journal.claim(wanted))
            for one in self.asked:
                one.key = None if one.key == key else one.key
            expected = None
        if expected is None:
            with pytest.raises(NothingToJoinError):
                self.do(self.journal.claim(replace(wanted, joins_only=True, retries=False)))
        claim = self.do(self.journal.claim(wanted))
        if claim.rivals:
            there = {one.id for one in self.asked if one.fingerprint == fingerprint and one.callers > 0}
            assert retries
            assert {one.request_id for one in claim.rivals} <= there
            claim = self.do(self.journal.claim(replace(wanted, retries=False)))
        assert claim.is_new == (expected is None)
        if expected is None:
            self.asked.append(
                Asked(claim.record.id, fingerprint, key, self.clock.now, holder=self.here, tasks=claim.record.task_ids)
            )
        else:
            assert claim.record.id == expected.id
            expected.callers += 1

    @rule(data=st.data(), settlement=st.sampled_from([DONE, FREED, replace(DONE, status=Status.PARTIAL)]))
    def end(self, data, settlement):
        running = [one for one in self.asked if one.status is Status.PROCESSING]
        if running:
            one = data.draw(st.sampled_from(running))
            self.do(self.journal.settle(Lease(one.id, one.fence), settlement, [cost_of(one, "0.1")]))
            one.status = settlement.status
            one.key = None if settlement.releases else one.key

    @rule(data=st.data(), receipt=st.sampled_from(Receipt))
    def leave(self, data, receipt):
        waiting = [one for one in self.asked if one.callers > 0]
        if waiting:
            one = data.draw(st.sampled_from(waiting))
            if receipt is Receipt.DELIVERED and not one.status.final:
                receipt = Receipt.LOST
            self.do(self.journal.acknowledge(one.id, receipt))
            one.callers -= 1
            one.delivered |= receipt is Receipt.DELIVERED
            one.broken_at = self.clock.now if receipt is Receipt.LOST else one.broken_at

    @rule(data=st.data(), reopen=st.booleans())
    def turn_out_undelivered(self, data, reopen):
        served = [one for one in self.asked if one.delivered and one.status is Status.COMPLETED]
        if served:
            one = data.draw(st.sampled_from(served))
            self.do(self.journal.retract(one.id))
            if reopen:
                record = self.do(self.journal.find_request(one.id))
                self.do(self.journal.reopen(replace(record, fence=record.fence - 1)))
                self.do(self.journal.reopen(record, callers=one.callers))
                self.do(self.journal.reopen(record, callers=one.callers))
                one.fence, one.holder, one.status = one.fence + 1, None, Status.PROCESSING
            one.delivered, one.broken_at = False, self.clock.now

    @rule(data=st.data(), settlement=st.sampled_from([DONE, FREED]))
    def end_what_another_took(self, data, settlement):
        taken = [one for one in self.asked if one.fence > 1]
        if taken:
            one = data.draw(st.sampled_from(taken))
            stale = Lease(one.id, data.draw(st.integers(0, one.fence - 1)))
            self.do(self.journal.settle(stale, settlement, [cost_of(one, "0.7")]))
            self.do(self.journal.book_costs(stale, [cost_of(one, "0.7")]))
            self.do(self.journal.begin_work(stale))
            self.do(self.journal.release([stale]))
            assert not self.do(self.journal.confirm(stale))
            record = self.do(self.journal.find_request(one.id))
            assert (record.status, record.fence) == (one.status, one.fence)
            assert "0.7" not in self.costs_of(one)

    def costs_of(self, one: Asked) -> list[str]:
        select_costs = select(tasks.c.cost).where(tasks.c.request_id == one.id)
        return self.do(self.opened.reader.read(lambda connection: list(connection.execute(select_costs).scalars())))

    @rule(data=st.data())
    def release(self, data):
        held = [one for one in self.asked if not one.status.final and one.holder is not None]
        if held:
            one = data.draw(st.sampled_from(held))
            self.do(self.journal.release([Lease(one.id, one.fence)]))
            one.fence, one.holder, one.callers, one.broken_at = one.fence + 1, None, 0, self.clock.now

    @rule(dies=st.booleans())
    def take_over(self, dies):
        if dies:
            self.next_process()
        seen = self.do(self.journal.list_watched())
        watched = {one.request_id for one in seen}
        taken = {record.id: record for record in self.do(self.journal.take_over(seen))}
        assert self.do(self.journal.take_over(seen)) == [], "each once"
        for one in self.asked:
            unserved = one.callers > 0 and not one.delivered and one.status is not Status.FAILED
            assert (one.id in watched) == (one.id in taken) == (not one.status.final or unserved)
            if one.id in taken:
                one.callers, one.broken_at, one.fence, one.holder = 0, self.clock.now, one.fence + 1, self.here
                assert taken[one.id].fence == one.fence

    @rule(seconds=st.sampled_from([10.0, WINDOW + 1, KEY_TTL + 1]))
    def wait(self, seconds):
        self.clock.now += seconds
        before = {one.request_id: one.beat for one in self.do(self.journal.list_watched())}
        kept = self.do(self.journal.renew([one.id for one in self.asked]))
        after = {one.request_id: one.beat for one in self.do(self.journal.list_watched())}
        assert set(kept) == set(before)
        for one in self.asked:
            if one.id in before:
                moves = one.status.final or one.holder == self.here
                assert after[one.id] - before[one.id] == moves, "only its holder keeps work alive"

    @invariant()
    def what_is_written_is_what_happened(self):
        for one in self.asked[-3:]:
            record = self.do(self.journal.find_request(one.id))
            assert (record.status, record.delivered_at is not None) == (one.status, one.delivered)


def test_claims_follow_the_rules_in_any_order_of_events(database):
    run_state_machine_as_test(
        lambda: Claims(database),
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.parametrize(
    "name",
    [
        "ADOPTABLE",
        "WAITING",
        "BY_KEY",
        "WATCHED",
        "RENEW",
        "TAKE",
        "SETTLE",
        "SETTLE_FIRST",
        "BOOK_HELD",
        "BOOK_TASK",
        "JOINED",
        "WEBHOOKS",
        "BILLS",
        "OWING",
        "UNDELIVERED",
    ],
)
def test_what_every_request_asks_of_the_journal_needs_no_look_at_all_requests(tmp_path, name):
    engine = open_engine(f"sqlite:///{tmp_path / 'journal.db'}")
    migrate(engine)
    statement = {
        "WEBHOOKS": DUE,
        "BILLS": BILLS_DUE,
        "OWING": WAITING_TENANTS,
        "UNDELIVERED": statements.UNDELIVERED["sqlite"],
    }.get(name)
    statement = getattr(statements, name) if statement is None else statement
    if isinstance(statement, Statement):
        statement = statement.construct
    text = str(statement.compile(dialect=sqlite.dialect(paramstyle="named")))
    text = re.sub(r"__\[POSTCOMPILE_\w+\]", "'processing', 'queued'", text)
    values = dict.fromkeys(re.findall(r":(\w+)", text), 1) | {"fingerprints": "[]"}
    with engine.connect() as connection:
        plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
    engine.dispose()
    assert not [
        step
        for step in plan
        if step.startswith("SCAN requests") or ("requests_key (tenant=? AND key_hash=?)" in step and name != "BY_KEY")
    ]
