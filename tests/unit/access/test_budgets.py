"""Accounts on real databases: never one request too many, and always worth what the ledger says."""

import asyncio
import json
import uuid
from decimal import Decimal

import pytest
from sqlalchemy import func, insert, select, update

from app.access.budgets import Accounts, RefusedError, read_account, restate_account
from app.database.key_tables import accounts, api_keys, ledger_entries, notices
from app.database.transaction import Transaction
from app.domain.answer import TaskCost
from app.domain.caller import ApiKey
from app.domain.values import replace
from app.journal.records import Intent, Lease, Settlement, Status
from app.ledger.periods import SECONDS_OF_A_DAY
from tests.support.journals import Clock, open_journal

PRICE = Decimal("0.02")
NANOS = 20_000_000
UNPRICED = Decimal("0.25")


def key_row(key_id: str = "key_a", budget: Decimal | None = None, **limits: object) -> dict[str, object]:
    """A row of a key, as an administrator would leave it."""
    return {
        "id": key_id,
        "name": key_id,
        "digest": uuid.uuid4().hex,
        "last_four": "abcd",
        "created_at": 1.0,
        "is_admin": False,
        "budget": None if budget is None else int(budget.scaleb(9)),
        "period": "day",
        "models": "[]",
        "defaults": "{}",
        "forbid_unpriced": False,
    } | limits


def intent(key_id: str = "key_a", *, keyed: bool = False, estimate: Decimal | None = PRICE, n: int = 1) -> Intent:
    key = ApiKey(key_id, key_id, "abcd", 1.0)
    return Intent(
        f"req_{uuid.uuid4().hex}",
        key_id,
        uuid.uuid4().hex if keyed else None,
        uuid.uuid4().hex,
        "generations",
        "m",
        "runware:1@1",
        n,
        (str(uuid.uuid4()),),
        estimate,
        "{}",
        key=key,
    )


class Process:
    """What charges accounts in one process."""

    def __init__(self, url: str, clock: Clock, owner: str = "a") -> None:
        self.journal = open_journal(url, clock, owner)
        self.accounts = Accounts(UNPRICED, clock)
        self.clock = clock

    def _accept(self, transaction: Transaction, wanted: Intent):
        joined = self.journal.claims.join(transaction, wanted)
        if joined is not None:
            return joined
        charge = self.accounts.charge(transaction, wanted)
        return self.journal.claims.open(transaction, wanted, charge.at, charge.reserve)

    async def claim(self, wanted: Intent):
        names = self.journal.claims.names_of(wanted)
        return await self.journal.writer.decide(names, (wanted.tenant,), self._accept, wanted)

    async def try_claim(self, wanted: Intent) -> str:
        try:
            await self.claim(wanted)
        except RefusedError as refused:
            return refused.error.code
        return "accepted"

    async def add_key(self, **fields: object) -> None:
        await self.journal.writer.write(_add_key, self.clock(), key_row(**fields))

    async def settle(self, claim, cost: Decimal | None, status: Status = Status.COMPLETED) -> None:
        record = claim.record
        costs = [TaskCost(record.task_ids[0], cost or Decimal(0), is_complete=cost is not None)]
        known = None if cost is not None else Decimal(0)
        end = Settlement(status, "{}", None, cost, known)
        await self.journal.writer.post(self.journal.outcomes.settle, Lease(record.id, record.fence), end, costs)

    async def account(self, key_id: str = "key_a"):
        return await self.journal.reader.read(lambda connection: read_account(connection, key_id))

    async def rows(self, statement):
        return await self.journal.reader.read(lambda connection: connection.execute(statement).all())

    async def is_worth_its_entries(self, key_id: str = "key_a") -> bool:
        account = await self.account(key_id)
        sums = select(
            func.coalesce(func.sum(ledger_entries.c.spent), 0), func.coalesce(func.sum(ledger_entries.c.reserved), 0)
        ).where(ledger_entries.c.tenant == key_id, ledger_entries.c.day >= account.first_day)
        return (account.spent, account.reserved) == tuple((await self.rows(sums))[0])


def _add_key(transaction: Transaction, now: float, row: dict[str, object]) -> None:
    transaction.execute(insert(api_keys), row)
    restate_account(transaction, str(row["id"]), now)


def _change(transaction: Transaction, now: float, **values: object) -> None:
    transaction.lock_accounts(("key_a",))
    transaction.execute(update(api_keys).where(api_keys.c.id == "key_a").values(values), {})
    restate_account(transaction, "key_a", now)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def url(database):
    return database.fresh()


@pytest.fixture
def here(url, clock):
    process = Process(url, clock)
    yield process
    process.journal.close()


@pytest.fixture
def there(url, clock, here):
    process = Process(url, clock, "b")
    yield process
    process.journal.close()


@pytest.mark.parametrize("keyed", [False, True], ids=["without keys", "with Idempotency-Keys"])
def test_two_hundred_at_once_on_a_budget_for_fifty_are_fifty_on_two_processes(here, there, keyed):
    async def course():
        await here.add_key(budget=50 * PRICE)
        asked = [(here, there)[place % 2].try_claim(intent(keyed=keyed)) for place in range(200)]
        outcomes = await asyncio.gather(*asked)
        assert (outcomes.count("accepted"), outcomes.count("budget_exceeded")) == (50, 150)
        account = await here.account()
        assert (account.reserved, account.remaining) == (50 * NANOS, 0)
        assert await here.is_worth_its_entries()

    asyncio.run(course())


@pytest.mark.parametrize(
    ("limits", "n", "accepted"),
    [
        pytest.param({"rpm": 50}, 1, 50, id="requests a minute"),
        pytest.param({"images_per_minute": 60}, 3, 20, id="images a minute"),
        pytest.param({"concurrency": 7}, 1, 7, id="at once"),
    ],
)
@pytest.mark.parametrize("keyed", [False, True], ids=["without keys", "with Idempotency-Keys"])
def test_two_hundred_at_once_never_pass_a_limit_on_two_processes(here, there, limits, n, accepted, keyed):
    async def course():
        await here.add_key(**limits)
        asked = [(here, there)[place % 2].try_claim(intent(keyed=keyed, n=n)) for place in range(200)]
        outcomes = await asyncio.gather(*asked)
        assert (outcomes.count("accepted"), outcomes.count("rate_limit_exceeded")) == (accepted, 200 - accepted)
        assert await here.is_worth_its_entries()

    asyncio.run(course())


def test_what_ends_makes_room_for_as_many_as_are_paid_for(here):
    async def course():
        await here.add_key(budget=2 * PRICE, concurrency=2)
        cheap, failed = await here.claim(intent()), await here.claim(intent())
        assert await here.try_claim(intent()) == "budget_exceeded"
        await here.settle(cheap, PRICE / 2)
        await here.settle(failed, Decimal(0), Status.FAILED)
        account = await here.account()
        assert (account.spent, account.reserved, account.running) == (NANOS // 2, 0, 0)
        assert [await here.try_claim(intent()) for _ in range(2)] == ["accepted", "budget_exceeded"]
        assert await here.is_worth_its_entries()

    asyncio.run(course())


def test_an_unknown_cost_stays_taken_and_a_withdrawn_claim_gives_back(here):
    async def course():
        await here.add_key(budget=3 * PRICE)
        unknown, taken_back = await here.claim(intent()), intent()
        await here.claim(taken_back)
        await here.settle(unknown, None)
        claims = here.journal.claims
        await here.journal.writer.write_locked(claims.names_of(taken_back), claims.withdraw, taken_back)
        account = await here.account()
        assert (account.spent, account.reserved) == (NANOS, 0)
        assert await here.is_worth_its_entries()

    asyncio.run(course())


def test_joins_and_refusals_take_nothing(here):
    async def course():
        await here.add_key(budget=PRICE, rpm=10, images_per_minute=10)
        wanted = intent(keyed=True)
        first = await here.claim(wanted)
        again = await here.claim(replace(wanted, request_id="req_again"))
        assert (again.is_new, again.record.id) == (False, first.record.id)
        assert await here.try_claim(intent()) == "budget_exceeded"
        account = await here.account()
        assert (account.tokens.requests, account.tokens.images, account.reserved) == (9, 9, NANOS)

    asyncio.run(course())


def test_a_new_day_is_a_new_budget_and_what_began_before_midnight_is_of_the_day_before(here, clock):
    async def course():
        clock.now = 20_000 * SECONDS_OF_A_DAY - 1.0
        await here.add_key(budget=PRICE)
        late = await here.claim(intent())
        clock.now += 2
        early = await here.claim(intent())
        clock.now -= 2  # a replica whose clock is behind
        assert await here.try_claim(intent()) == "budget_exceeded"
        await here.settle(late, PRICE)
        account = await here.account()
        assert (account.spent, account.reserved) == (0, NANOS)
        await here.settle(early, PRICE)
        assert (await here.account()).spent == NANOS
        assert await here.is_worth_its_entries()

    asyncio.run(course())


def test_without_a_price_the_highest_one_seen_is_reserved_else_what_the_operator_says(here):
    async def course():
        await here.add_key(budget=Decimal(2))
        first = await here.claim(intent(estimate=None, n=2))
        assert (await here.account()).reserved == 500_000_000
        await here.settle(first, Decimal("1.40"))
        assert await here.try_claim(intent(estimate=None)) == "budget_exceeded"  # 0.70 for an image, 0.60 is left
        await here.journal.writer.write(_change, here.clock(), forbid_unpriced=True)
        assert await here.try_claim(intent(estimate=None)) == "unpriced_model"
        assert await here.try_claim(intent()) == "accepted"

    asyncio.run(course())


def test_a_revoked_key_buys_nothing_however_long_a_process_believes_it(here):
    async def course():
        await here.add_key(budget=2 * PRICE)
        running = await here.claim(intent())
        await here.journal.writer.write(_change, here.clock(), revoked_at=2.0)
        assert await here.try_claim(intent()) == "invalid_api_key"
        await here.settle(running, PRICE)
        account = await here.account()
        assert (account.spent, account.reserved) == (NANOS, 0)
        assert await here.is_worth_its_entries()

    asyncio.run(course())


def test_changed_limits_hold_from_their_commit_on_and_a_changed_period_is_summed_up_anew(here, clock):
    async def course():
        clock.now = 20_003 * SECONDS_OF_A_DAY + 10.0  # a Tuesday
        await here.add_key(budget=PRICE)
        await here.settle(await here.claim(intent()), PRICE)
        clock.now += SECONDS_OF_A_DAY
        await here.settle(await here.claim(intent()), PRICE)
        await here.journal.writer.write(_change, here.clock(), period="week", budget=3 * NANOS)
        account = await here.account()
        assert (account.spent, account.remaining) == (2 * NANOS, NANOS)
        assert [await here.try_claim(intent()) for _ in range(2)] == ["accepted", "budget_exceeded"]
        assert await here.is_worth_its_entries()

    asyncio.run(course())


def test_an_account_that_was_lost_is_worth_what_the_ledger_says(here):
    async def course():
        await here.add_key(budget=2 * PRICE)
        await here.settle(await here.claim(intent()), PRICE)
        await here.journal.writer.write(lambda transaction: transaction.execute(accounts.delete(), {}) and None)
        assert [await here.try_claim(intent()) for _ in range(2)] == ["accepted", "budget_exceeded"]
        assert await here.is_worth_its_entries()

    asyncio.run(course())


def test_an_owner_is_warned_once_at_80_and_once_at_100_percent_of_a_period(here, clock):
    async def course():
        await here.add_key(budget=10 * PRICE, webhook_url="https://example.com/hook")
        for _ in range(10):
            await here.claim(intent())
        told = [json.loads(row.body) for row in await here.rows(select(notices).order_by(notices.c.created_at))]
        assert sorted(one["data"]["threshold"] for one in told) == [80, 100]
        assert {one["type"] for one in told} == {"key.budget_warning"}
        assert sorted(one["data"]["budget"]["remaining"] for one in told) == [0, 0.04]
        clock.now += SECONDS_OF_A_DAY
        for _ in range(8):
            await here.claim(intent())
        assert len(await here.rows(select(notices))) == 3

    asyncio.run(course())


def test_a_cost_above_what_was_reserved_is_warned_of_where_it_is_settled(here):
    async def course():
        await here.add_key(budget=10 * PRICE)
        await here.settle(await here.claim(intent()), 12 * PRICE)
        (row,) = await here.rows(select(notices))
        assert (row.url, json.loads(row.body)["data"]["threshold"]) == ("", 100)

    asyncio.run(course())


def test_a_refusal_near_the_end_of_a_budget_tells_that_it_is_used_up_and_only_then(here):
    async def course():
        await here.add_key(budget=Decimal("0.09"))
        for _ in range(4):
            await here.claim(intent())
        with pytest.raises(RefusedError) as refused:
            await here.claim(intent())
        assert refused.value.is_unwarned
        for _ in range(2):
            await here.journal.writer.write(here.accounts.warn_used_up, "key_a")
        told = [json.loads(row.body)["data"]["threshold"] for row in await here.rows(select(notices))]
        assert sorted(told) == [80, 100]
        with pytest.raises(RefusedError) as again:
            await here.claim(intent())
        assert not again.value.is_unwarned

    asyncio.run(course())
