"""A journal whose requests one key pays, and what its ledger says."""

import uuid
from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy import insert, select, update

from app.database.key_tables import accounts, ledger_entries
from app.database.tables import requests
from app.domain.answer import TaskCost
from app.domain.money import to_nanos
from app.domain.values import replace
from app.domain.verification import Verification
from app.journal.journal import Journal
from app.journal.records import Intent, Lease, Settlement, Status
from app.ledger.verification import verify_ledger
from tests.support.journals import ByHand, Clock, join_or_open

KEY = "key_a"
RESERVE, COST = Decimal("0.03"), Decimal("0.0123")
DONE = Settlement(Status.COMPLETED, "{}", None, COST)
PART = Decimal("0.01")
UNKNOWN = Settlement(Status.COMPLETED, "{}", None, None, PART)
FREE = Settlement(Status.FAILED, None, "{}", Decimal(0))


@dataclass
class Books:
    """A journal whose requests one key pays, and what its ledger says."""

    journal: Journal
    clock: Clock
    hand: ByHand = field(init=False)

    def __post_init__(self) -> None:
        self.hand = ByHand(self.journal)

    async def open_account(self, period_start: int = 0) -> None:
        row = {"key_id": KEY, "period_start": period_start, "spent": 0, "reserved": 0}
        await self.journal.writer.write(lambda t: t.execute(insert(accounts), row))

    async def claim(self, wanted: Intent) -> Lease:
        """As the unit of work of a claim does it: the account is charged in its transaction."""

        def accept(transaction):
            claim = join_or_open(transaction, self.journal.claims, wanted)
            more = {"reserved": accounts.c.reserved + to_nanos(wanted.reserve)}
            transaction.execute(update(accounts).where(accounts.c.key_id == wanted.tenant).values(more), {})
            return claim

        names = self.journal.claims.names_of(wanted)
        claim = await self.journal.writer.decide(names, (wanted.tenant,), accept)
        return Lease(wanted.request_id, claim.record.fence)

    async def entries(self, request_id: str) -> list[tuple[str, int, int, bool]]:
        table = ledger_entries.c
        query = (
            select(table.kind, table.reserved, table.spent, table.is_estimated)
            .where(table.request_id == request_id)
            .order_by(table.id)
        )
        return [tuple(row) for row in await self.journal.reader.read(lambda c: c.execute(query).all())]

    async def account(self) -> tuple[int, int]:
        query = select(accounts.c.reserved, accounts.c.spent)
        return tuple(await self.journal.reader.read(lambda c: c.execute(query).one()))

    async def verify(self) -> Verification:
        return await self.journal.reader.read(verify_ledger)

    async def damage(self, request_id: str, **values: object) -> None:
        statement = update(requests).where(requests.c.id == request_id).values(values)
        await self.journal.writer.write(lambda t: t.execute(statement, {}))


def intent(**values: object) -> Intent:
    own = {
        "request_id": f"req_{uuid.uuid4().hex}",
        "task_ids": (str(uuid.uuid4()),),
        "reserve": RESERVE,
        "estimate": RESERVE,
    }
    blank = Intent("", KEY, None, uuid.uuid4().hex, "generations", "m", "runware:1@1", 1, (), None, "{}")
    return replace(blank, **(own | values))


def known(wanted: Intent, cost: Decimal = COST) -> list[TaskCost]:
    return [TaskCost(wanted.task_ids[0], cost, is_complete=True)]
