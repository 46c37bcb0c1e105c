"""What authentication, limits, budget and ledger add to each request, beside what the journal costs anyway.

`python -m benchmarks.accounts` measures one process on an SQLite file in the system's temporary folder; with the
address of an empty PostgreSQL database as argument on that. CPU is the process's own, writer thread and commits
included; the rows are measured by turns, so that whatever else the machine does meets all of them, and the medians are
printed.
"""

import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from sqlalchemy import insert

from app.access.authentication import KeyAuthenticator
from app.access.budgets import Accounts, restate_account
from app.access.key_cache import KeyCache
from app.access.key_format import digest_of, make_id, make_key
from app.access.key_uses import KeyUses
from app.database.engine import open_engine
from app.database.key_tables import api_keys
from app.database.schema import migrate
from app.database.transaction import Transaction
from app.domain.answer import TaskCost
from app.domain.caller import ApiKey
from app.domain.ids import GrowingIds
from app.domain.money import to_nanos
from app.journal.claims import Claim, Claims
from app.journal.journal import Journal
from app.journal.outcomes import Outcomes
from app.journal.records import Intent, Lease, Settlement, Status
from app.ledger.entries import Ledger
from app.ledger.openings import Ended, Opening
from app.server.middleware import RequestIds

_REQUESTS, _AT_ONCE, _ROUNDS = 640, 64, 3
_ids, _task_ids = RequestIds(), GrowingIds()
_PRICE = Decimal("0.0013")
_DONE = Settlement(Status.COMPLETED, '{"images": []}' + " " * 600, None, _PRICE)
_KEY_ID = make_id(bytes(10))
_KEY = make_key(_KEY_ID, bytes(24))


class _NoLedger(Ledger):
    """Writes nothing: what the journal costs without one."""

    def open_request(self, _: Transaction, opening: Opening) -> None:
        """Only what an end wants to know."""
        self._openings.note(opening)

    def settle(self, transaction: Transaction, ended: Sequence[Ended]) -> None:
        """Nothing."""

    def follow(self, transaction: Transaction, request_ids: Collection[str]) -> None:
        """Nothing."""


@dataclass(frozen=True)
class _Row:
    """One way to carry out the same requests."""

    name: str
    journal: Journal
    accounts: Accounts | None = None
    authenticator: KeyAuthenticator | None = None


def _intent(tenant: str, key: ApiKey | None) -> Intent:
    return Intent(
        request_id=_ids(),
        tenant=tenant,
        key_hash=None,
        fingerprint=uuid.uuid4().hex,
        endpoint="generations",
        model="flux.1-schnell",
        executed_model="runware:100@1",
        n=1,
        task_ids=(_task_ids(),),
        estimate=_PRICE,
        plan="{}" + " " * 400,
        key=key,
    )


def _accept(transaction: Transaction, claims: Claims, accounts: Accounts | None, intent: Intent) -> Claim:
    joined = claims.join(transaction, intent)
    if joined is not None:
        return joined
    if accounts is None:
        return claims.open(transaction, intent, reserve=to_nanos(_PRICE))
    charge = accounts.charge(transaction, intent)
    return claims.open(transaction, intent, charge.at, charge.reserve)


async def _one(row: _Row) -> None:
    tenant, key = "bench", None
    if row.authenticator is not None:
        caller = await row.authenticator.authenticate({"authorization": f"Bearer {_KEY}"})
        tenant, key = caller.tenant, caller.key
    intent, journal = _intent(tenant, key), row.journal
    names, accounts = journal.claims.names_of(intent), () if key is None else (tenant,)
    record = (await journal.writer.decide(names, accounts, _accept, journal.claims, row.accounts, intent)).record
    cost = TaskCost(intent.task_ids[0], _PRICE, is_complete=True)
    await journal.writer.post(journal.outcomes.settle, Lease(record.id, record.fence), _DONE, [cost])


async def _run(row: _Row) -> float:
    """CPU seconds of a request."""

    async def work() -> None:
        for _ in range(_REQUESTS // _AT_ONCE):
            await _one(row)

    started = time.process_time()
    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return (time.process_time() - started) / (_REQUESTS // _AT_ONCE * _AT_ONCE)


def _add_key(transaction: Transaction) -> None:
    row = {"id": _KEY_ID, "name": "bench", "digest": digest_of(_KEY), "last_four": _KEY[-4:], "created_at": 1.0}
    limits = {"budget": 10**15, "period": "month", "rpm": 10**8, "images_per_minute": 10**8, "concurrency": 10**6}
    rest = {"is_admin": False, "models": "[]", "defaults": "{}", "forbid_unpriced": False}
    transaction.execute(insert(api_keys), row | limits | rest)
    restate_account(transaction, _KEY_ID, time.time())


async def _measure(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    journal = Journal.on(engine, key_ttl=86_400, adopt_window=60)
    await journal.writer.write(_add_key)
    cache, uses = KeyCache(journal.reader), KeyUses(journal.writer)
    authenticator = KeyAuthenticator((), (), cache=cache, uses=uses)
    none = _NoLedger()
    bare = replace(journal, claims=Claims(key_ttl=86_400, adopt_window=60, ledger=none), outcomes=Outcomes(ledger=none))
    rows = (
        _Row("journal alone", bare),
        _Row("with the ledger", journal),
        _Row("with key, limits, budget", journal, Accounts(Decimal("0.25")), authenticator),
    )
    for row in rows:
        await _run(row)  # warm
    measured = [[await _run(row) for row in rows] for _ in range(_ROUNDS)]
    costs = [statistics.median(column) * 1e6 for column in zip(*measured, strict=True)]
    print(f"{'':28} {'CPU us':>8} {'added':>8} {'ratio':>7}")
    for row, cost in zip(rows, costs, strict=True):
        print(f"{row.name:28} {cost:8.0f} {cost - costs[0]:8.0f} {cost / costs[0]:7.2f}")
    await uses.close()
    await cache.close()
    await asyncio.to_thread(journal.close)


def main() -> None:
    """The table."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{Path(folder) / 'journal.db'}"))


if __name__ == "__main__":
    main()
