"""How requests end: begun, settled with their bills, reopened where their images are lost, forgotten.

Works on the caller's transaction. What a holder writes names its lease, and whoever lost it writes nothing. Leaves to
`claims` who may join, to `bills` what is still unknown of a cost.
"""

import time
from collections.abc import Callable, Sequence

from app.database.transaction import Transaction
from app.domain.answer import TaskCost
from app.journal import statements as sql
from app.journal.bills import bookings
from app.journal.records import Lease, Record, Settlement
from app.journal.rows import write_money


class Outcomes:
    """Writes ends. `clock` is unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def begin_work(self, transaction: Transaction, lease: Lease) -> None:
        """A request that waited for its turn is carried out now."""
        transaction.add(sql.BEGIN, {"request_id": lease.request_id, "held_fence": lease.fence})

    def settle(self, transaction: Transaction, lease: Lease, settlement: Settlement, costs: Sequence[TaskCost]) -> None:
        """Write down how a request ended, and what each task cost; nothing where another process has it by now."""
        held: dict[str, object] = {"request_id": lease.request_id, "held_fence": lease.fence}
        # One transaction: the end, the key and the costs agree whenever anybody reads them.
        transaction.add(
            sql.SETTLE,
            held
            | {
                "now": self._clock(),
                "new_status": settlement.status.value,
                "new_answer": settlement.answer,
                "new_images_kept": settlement.images_kept,
                "new_error": settlement.error,
                "new_cost": write_money(settlement.cost),
                "new_known_cost": write_money(settlement.known_cost),
                "new_bill_next": None if settlement.known_cost is None else self._clock(),
            },
        )
        transaction.announce_end(lease.request_id)
        if settlement.releases:
            transaction.add(sql.FREE_KEY, held)
        for statement, values in bookings(costs, lease):
            transaction.add(statement, values)
        if settlement.error is not None:
            transaction.add(sql.BOOK_UNSENT, {"of_request": lease.request_id, "held_fence": lease.fence})

    def book_costs(self, transaction: Transaction, lease: Lease, costs: Sequence[TaskCost]) -> None:
        """Write down what is known of the cost of tasks whose request has not ended."""
        for statement, values in bookings(costs, lease):
            transaction.add(statement, values)

    def reopen(self, transaction: Transaction, record: Record, callers: int = 0) -> None:
        """Have the images of an answer that did not arrive brought here again, unless somebody did that already.

        With more than so many `callers` nothing is done: they have the answer from elsewhere.
        """
        values = {"request_id": record.id, "held_fence": record.fence, "now": self._clock(), "callers": callers}
        transaction.add(sql.REOPEN, values)

    def store_answer(self, transaction: Transaction, request_id: str, answer: str, *, images_kept: bool) -> None:
        """Replace a stored answer by one that names its images."""
        values = {"request_id": request_id, "new_answer": answer, "new_images_kept": images_kept}
        transaction.add(sql.KEEP_ANSWER, values)

    def purge_payloads(self, transaction: Transaction, request_id: str) -> None:
        """Forget prompt and images of a request; its metadata stays."""
        transaction.add(sql.PURGE, {"request_id": request_id})
