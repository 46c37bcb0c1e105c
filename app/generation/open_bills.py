"""Asks Runware again what it did not say at first: the unknown parts of the bills of requests that have ended.

Nothing is sent to be made, and no image is fetched. Which requests are due, and when again, is in the journal.
"""

import time
from collections.abc import Callable

from app.database.errors import DatabaseUnavailableError
from app.database.writer import Writer
from app.domain.answer import TaskCost
from app.generation.gather import gather_in_order
from app.journal.outcomes import OpenBills
from app.journal.records import Record, Status
from app.ledger.bill import Bill, total_cost
from app.observability.background import Loop
from app.observability.logs import get_logger
from app.runware.client import RunwareClient
from app.runware.keys import RunwareKey

_logger = get_logger("bills")
_LOOKS_EVERY_SECONDS = 5.0
_LONGEST_QUESTION_SECONDS = 60.0


class BillCompleter:
    """Looks for open bills from time to time. `monotonic` is the client's clock."""

    def __init__(
        self,
        writer: Writer,
        bills: OpenBills,
        runware: RunwareClient,
        monotonic: Callable[[], float] = time.monotonic,
        looks_every: float = _LOOKS_EVERY_SECONDS,
    ) -> None:
        self._writer = writer
        self._bills = bills
        self._runware = runware
        self._monotonic = monotonic
        trouble, passing = "open bills cannot be looked for", DatabaseUnavailableError
        self.loop = Loop(self._look, looks_every, _logger, trouble, passing=passing, pauses_first=True)
        """What was being asked when it is stopped is asked again by the process that looks next."""

    async def _look(self) -> None:
        # `take_due` counts a try for each record: none is spent while nobody could answer.
        due = [] if self._runware.unreachable else await self._take_due()
        await gather_in_order([self._try_one(record) for record in due])

    async def _take_due(self) -> list[Record]:
        return await self._writer.write(self._bills.take_due, self._is_known)

    def _is_known(self, tenant: str) -> bool:
        """Whether Runware can be asked in a tenant's name."""
        return self._runware.keys.key_of(tenant) is not None

    async def _try_one(self, record: Record) -> None:
        try:
            await self._complete(record)
        except Exception:  # one odd bill must not keep the others open
            _logger.exception("a bill cannot be completed", request=record.id)

    async def _complete(self, record: Record) -> None:
        """Ask for every unknown part, and write the bill down once it is whole."""
        bill, key = Bill.of(record.costs), self._runware.keys.key_of(record.tenant)
        if key is None:  # forgotten since the bill was found due
            return
        for cost in record.costs:
            if not cost.is_complete:
                await self._ask(record, cost, key, bill)
        total = total_cost(bill.costs)
        if total is not None:
            await self._writer.post(self._bills.complete, record.id, bill.costs, total)
            _logger.info("Runware reported the cost after all", id=record.id, cost=total)

    async def _ask(self, record: Record, cost: TaskCost, key: RunwareKey, bill: Bill) -> None:
        try:
            until = self._monotonic() + _LONGEST_QUESTION_SECONDS
            result = await self._runware.find_costs(cost.task_id, key, until)
        except TimeoutError:
            return
        if result is not None:
            bill.add(cost.task_id, result.costs, is_complete=result.is_billed)
        elif record.status is Status.FAILED and not cost.known:  # nothing came of it, and nobody knows of it
            bill.add(cost.task_id, (), is_complete=True)
