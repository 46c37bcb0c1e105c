"""A journal driven by hand: each call is a transaction of its own, as the jobs would open it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from app.database.transaction import Transaction
from app.domain.answer import TaskCost
from app.journal.claims import Claim, Claims
from app.journal.journal import Journal
from app.journal.leases import Leases
from app.journal.processes import is_dead
from app.journal.records import Intent, KeyExpiredError, Lease, Receipt, Record, Settlement, Sighting
from tests.support.databases import open_migrated

KEY_TTL, WINDOW = 1000.0, 60.0


class Clock:
    """Time that tests move."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def open_journal(url: str, clock: Callable[[], float] | None = None, owner: str | None = None) -> Journal:
    """A journal with short memories on a database with its tables made, on a clock of the test."""
    clock = clock or Clock()
    return Journal.on(open_migrated(url), key_ttl=KEY_TTL, adopt_window=WINDOW, clock=clock, steady=clock, owner=owner)


def as_process(
    journal: Journal, clock: Callable[[], float], owner: str, may_have_ended: Callable[[str], bool] = is_dead
) -> Journal:
    """The journal as another process would use it."""
    claims = Claims(
        key_ttl=KEY_TTL, adopt_window=WINDOW, clock=clock, steady=clock, owner=owner, may_have_ended=may_have_ended
    )
    return replace(journal, claims=claims, leases=Leases(owner, clock))


def join_or_open(transaction: Transaction, claims: Claims, intent: Intent) -> Claim:
    """A claim that spends for nobody's account."""
    return claims.join(transaction, intent) or claims.open(transaction, intent)


class ByHand:
    """One call, one transaction."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._post, self._write, self._decide = journal.writer.post, journal.writer.write, journal.writer.decide

    async def claim(self, intent: Intent) -> Claim:
        try:
            return await self._decide(
                self.journal.claims.names_of(intent), (), join_or_open, self.journal.claims, intent
            )
        except KeyExpiredError as expired:
            await self._post(self.journal.claims.forget_key, expired.earlier_id)
            raise

    async def withdraw(self, intent: Intent) -> None:
        await self.journal.writer.write_locked(
            self.journal.claims.names_of(intent), self.journal.claims.withdraw, intent
        )

    async def acknowledge(self, request_id: str, receipt: Receipt) -> None:
        await self._post(self.journal.claims.acknowledge, request_id, receipt)

    async def retract(self, request_id: str) -> None:
        await self._post(self.journal.claims.retract, request_id)

    async def rejoin(self, request_id: str, by: str) -> None:
        await self._post(self.journal.claims.rejoin, request_id, by)

    async def begin_work(self, lease: Lease) -> None:
        await self._post(self.journal.outcomes.begin_work, lease)

    async def settle(self, lease: Lease, settlement: Settlement, costs: Sequence[TaskCost]) -> None:
        await self._post(self.journal.outcomes.settle, lease, settlement, costs)

    async def book_costs(self, lease: Lease, costs: Sequence[TaskCost]) -> None:
        await self._post(self.journal.outcomes.book_costs, lease, costs)

    async def reopen(self, record: Record, callers: int = 0) -> None:
        await self._post(self.journal.outcomes.reopen, record, callers)

    async def find_request(self, request_id: str) -> Record | None:
        return await self.journal.history.find_request(request_id)

    async def renew(self, request_ids: Collection[str]) -> dict[str, Lease | None]:
        return await self._write(self.journal.leases.renew, request_ids)

    async def confirm(self, lease: Lease) -> bool:
        return await self._write(self.journal.leases.confirm, lease)

    async def release(self, leases: Sequence[Lease]) -> None:
        await self._post(self.journal.leases.release, leases)

    async def list_watched(self) -> list[Sighting]:
        return await self.journal.reader.read(self.journal.leases.list_watched)

    async def take_over(self, sightings: Sequence[Sighting]) -> list[Record]:
        return await self._write(self.journal.leases.take_over, sightings)
