"""Writes down how a request ended: with an answer or an error, and with its bill; or that nobody knows yet."""

from app.domain.answer import Answer
from app.errors import GatewayError
from app.jobs.codec import encode_error, encode_result
from app.jobs.leases import LeaseKeeper
from app.jobs.result_store import ResultStore, has_all_images
from app.jobs.write_queue import WriteQueue
from app.journal.outcomes import Outcomes
from app.journal.records import Lease, Settlement, Status
from app.ledger.bill import Costs, known_cost, total_cost


class Endings:
    """Writes through the queue, so that no caller waits for a database that is away."""

    def __init__(self, outcomes: Outcomes, results: ResultStore, keeper: LeaseKeeper, queue: WriteQueue) -> None:
        self._outcomes = outcomes
        self._results = results
        self._keeper = keeper
        self._queue = queue

    async def write_answer(self, lease: Lease, answer: Answer, costs: Costs, *, keeps: bool) -> None:
        """A good end; with `keeps` the images that were embedded are kept too."""
        stored = await self._results.store(answer.result, images=keeps)
        status = Status.PARTIAL if stored.failures else Status.COMPLETED
        images_kept = has_all_images(stored)
        await self._write(lease, status, costs, answer=encode_result(stored), images_kept=images_kept)

    async def write_failure(self, lease: Lease, error: GatewayError, costs: Costs) -> None:
        """A bad end; where the caller may try again and surely nothing was bought, the key is free again."""
        # A cost that is unknown is no zero: the task may exist, and a new attempt would pay for it again (0065).
        releases = error.is_transient and not error.may_have_spent and total_cost(costs) == 0
        await self._write(lease, Status.FAILED, costs, error=encode_error(error, may_retry=releases), releases=releases)

    async def leave_to_others(self, lease: Lease, costs: Costs) -> None:
        """Nobody knows what was bought: it is looked for as what a dead process left behind.

        What is known of the bill goes along, so that whoever resolves it never takes it for not sent.
        """
        # Costs before the lease: once it is released, this process may write nothing more of the request (0059).
        await self._queue.post(lease.request_id, self._outcomes.book_costs, lease, costs)
        await self._queue.write(lease.request_id, lambda: self._keeper.release(lease))

    async def _write(
        self,
        lease: Lease,
        status: Status,
        costs: Costs,
        *,
        answer: str | None = None,
        images_kept: bool | None = None,
        error: str | None = None,
        releases: bool = False,
    ) -> None:
        total = total_cost(costs)
        known = known_cost(costs) if total is None else None
        settlement = Settlement(status, answer, error, total, known, releases=releases, images_kept=images_kept)
        await self._queue.post(lease.request_id, self._outcomes.settle, lease, settlement, costs)
