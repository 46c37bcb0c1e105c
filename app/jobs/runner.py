"""Carries requests out apart from their callers: each is claimed first, runs to its end, and is settled.

A caller waits as long as he says and may come back; whoever asks again joins the same work. Leaves the making of
images to the coroutine it is given, what is durable to the journal, and kept images to `results`.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from app.access.admission import Ticket
from app.database.errors import DatabaseUnavailableError
from app.domain.answer import Answer
from app.errors import (
    ConflictingKeyError,
    GatewayError,
    InternalError,
    InvalidRequestError,
    JournalError,
    StillProcessingError,
    UnavailableError,
)
from app.jobs.endings import Endings
from app.jobs.job import Job
from app.jobs.receipts import DeliveryReceipts
from app.jobs.result_store import ResultStore, needs_refetch
from app.jobs.write_queue import WriteQueue
from app.journal.claims import LEASE_SECONDS, Claim, Journal
from app.journal.records import Intent, KeyReusedError, NothingToJoinError, Receipt, Record
from app.ledger.bill import RunningBill
from app.observability.logs import get_logger
from app.observability.stages import begin_request

_logger = get_logger("works")
_POLL_SECONDS = 0.25
"""How often work of another process is looked at."""
_SHORTEST_GOODBYE_SECONDS = 1.0
"""What is left to the last writes at shutdown, however long the work took."""


class JobRunner:
    """All work this process does, and the way to that of others. `clock` is unix seconds."""

    def __init__(
        self,
        journal: Journal,
        results: ResultStore,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._results = results
        self._clock = clock
        self._running: dict[str, asyncio.Task[Answer]] = {}
        self._waiting: dict[str, int] = {}
        self._scribe = WriteQueue()
        self._endings = Endings(journal, results, self._scribe)
        self.partings = DeliveryReceipts(journal, results, self._scribe, self._running.get)
        self._renewing: asyncio.Task[None] | None = None

    async def answer(self, intent: Intent, job: Job, wait: float) -> Answer:
        """The answer to a claimed or joined request, raising the GatewayError it ended with.

        Raises StillProcessingError after `wait` seconds, and what `claim` raises.
        """
        until = self._clock() + wait
        claim = await self.claim(intent, job)
        replayed = not claim.is_new and intent.key_hash is not None
        try:
            answer = await self.join(claim.record, until - self._clock())
        except GatewayError as error:
            error.request_id = claim.record.id
            error.replayed = replayed and not isinstance(error, StillProcessingError)
            raise
        except asyncio.CancelledError:
            self.partings.leave(claim.record.id, Receipt.BROKEN)
            raise
        return replace(answer, replayed=True) if replayed else answer

    async def claim(self, intent: Intent, job: Job) -> Claim:
        """A claim on the request, with its work begun when it is new.

        Raises ConflictingKeyError for a key that belongs to another request, what `job.admit` raises where there is
        nothing to join, and JournalError when nothing can be written down: then nothing is sent either. A caller who
        goes away meanwhile changes nothing: what was claimed is carried out.
        """
        claiming = asyncio.create_task(self._claim_and_begin(intent, job))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            claiming.add_done_callback(self._leave_after)
            raise

    def begin(self, request_id: str, job: Job) -> None:
        """Begin work in the background; it goes on when nobody waits any more."""
        self._begin(request_id, job, job.admit())

    def _begin(self, request_id: str, job: Job, ticket: Ticket) -> None:
        task = asyncio.create_task(self._carry_out(request_id, job, ticket))
        self._running[request_id] = task
        task.add_done_callback(lambda _: self._running.pop(request_id, None))
        task.add_done_callback(_consume)

    def start(self) -> None:
        """Begin to keep this process's leases."""
        self._renewing = asyncio.create_task(self._renew())

    async def join(self, record: Record, wait: float) -> Answer:
        """The end of a request, wherever it runs, within `wait` seconds."""
        until = self._clock() + wait
        running = self._running.get(record.id)
        if running is not None:
            return await self._wait_for(record.id, running, wait)
        while not record.status.final or needs_refetch(record):
            if record.status.final:
                await self.partings.stored(record.id)
                record = await self._look(record)
                if needs_refetch(record):
                    await self._scribe.write(record.id, partial(self._journal.reopen, record, callers=1))
            if self._clock() >= until:
                raise StillProcessingError
            await asyncio.sleep(_POLL_SECONDS)
            record = await self._look(record)
        return await self._results.replay(record)

    async def _look(self, record: Record) -> Record:
        """What the journal says by now."""
        try:
            found = await self._journal.find(record.id)
        except DatabaseUnavailableError:
            return record
        if found is None:
            message = "The request could not be written down, and nothing was sent. Send it again."
            raise UnavailableError(message, code="not_started", retry_after=1, should_retry=True)
        return found

    async def _wait_for(self, request_id: str, running: asyncio.Task[Answer], wait: float) -> Answer:
        self._waiting[request_id] = self._waiting.get(request_id, 0) + 1
        try:
            done, _ = await asyncio.wait({running}, timeout=max(wait, 0))
        finally:
            self._waiting[request_id] -= 1
            if not self._waiting[request_id]:
                del self._waiting[request_id]
        if not done or running.cancelled():
            raise StillProcessingError
        return running.result()

    async def rejoin(self, request_id: str, by: str) -> None:
        """Note that a caller collects the answer with the call `by`, before it is sent to him."""
        await self._journal.rejoin(request_id, by)

    async def forget(self, record: Record) -> None:
        """Delete the images and the prompt of a request, raising InvalidRequestError while it runs."""
        if not record.status.final:
            message = "This request is still being carried out; forget it when it has ended."
            raise InvalidRequestError(message, code="request_running")
        await self._results.forget(record)
        await self._journal.purge(record.id)

    async def close(self, grace: float) -> None:
        """Let what runs end within `grace` seconds; the rest is left to whoever starts next."""
        until = self._clock() + grace
        if self._running:
            await asyncio.wait(self._running.values(), timeout=grace)
        left = list(self._running)
        for task in list(self._running.values()):
            task.cancel()
        await self._scribe.close(max(until - self._clock(), _SHORTEST_GOODBYE_SECONDS))
        if self._renewing is not None:
            self._renewing.cancel()
        if left:
            await self._journal.release_leases(left)

    async def _claim_and_begin(self, intent: Intent, job: Job) -> Claim:
        try:
            ticket = job.admit()
        except GatewayError as refusal:
            return await self._only_join(replace(intent, joins_only=True), refusal)
        try:
            claim = await self._settled_claim(replace(intent, queued=True) if ticket.waits else intent)
        except BaseException:
            ticket.release()
            raise
        if claim.is_new:
            self._begin(claim.record.id, job, ticket)
        else:
            ticket.release()
        return claim

    async def _only_join(self, intent: Intent, refusal: GatewayError) -> Claim:
        """What may be joined even though nothing new may be begun."""
        try:
            return await self._settled_claim(intent)
        except NothingToJoinError:
            raise refusal from None

    async def _settled_claim(self, intent: Intent) -> Claim:
        """A claim that knows of all that has happened here before."""
        try:
            while True:
                if intent.key_hash is None:  # whom it may join depends on who went away
                    await self._scribe.flush()
                claim = await self._claim_where_it_lives(intent)
                if not (claim.is_new and intent.key_hash is None and self._scribe.lags):
                    return claim
                await self._journal.withdraw(intent)  # somebody's going was refused meanwhile, and not seen
        except KeyReusedError:
            raise ConflictingKeyError from None
        except DatabaseUnavailableError:
            _logger.exception("the journal does not answer", id=intent.request_id)
            self._scribe.enqueue(intent.request_id, lambda: self._journal.withdraw(intent))
            raise JournalError from None

    async def _claim_where_it_lives(self, intent: Intent) -> Claim:
        """A claim; where it hangs on a process that may be dead, after its lease has moved or ended."""
        claim = await self._journal.claim(intent)
        lease = claim.record.lease_until
        while claim.unsettled:
            if claim.record.lease_until > lease:  # its process lives, and so does the connection it reports
                intent = replace(intent, retries=False)
            else:
                await asyncio.sleep(_POLL_SECONDS)
            claim = await self._journal.claim(intent)
        return claim

    def _leave_after(self, claiming: asyncio.Task[Claim]) -> None:
        if not claiming.cancelled() and claiming.exception() is None:
            self.partings.leave(claiming.result().record.id, Receipt.BROKEN)

    async def _carry_out(self, request_id: str, job: Job, ticket: Ticket) -> Answer:
        begin_request(request_id)
        try:
            if ticket.waits:
                await ticket.wait_turn()
                await self._scribe.write(request_id, lambda: self._journal.begin(request_id))
            return await self._carry_on(request_id, job)
        finally:
            ticket.release()
            if job.on_end is not None:
                job.on_end()

    async def _carry_on(self, request_id: str, job: Job) -> Answer:
        bill = RunningBill(job.earlier_costs)
        try:
            answer = await job.work(request_id, bill)
        except StillProcessingError:
            await self._endings.leave_to_others(request_id, bill.current)
            raise
        except GatewayError as error:
            await self._endings.write_failure(request_id, error, bill.current)
            raise
        except Exception:
            _logger.exception("unexpected fault")
            if not job.last:
                await self._endings.leave_to_others(request_id, bill.current)
                raise StillProcessingError from None
            fault = InternalError("The gateway failed unexpectedly.", should_retry=False)
            await self._endings.write_failure(request_id, fault, bill.current)
            raise fault from None
        keeps = job.keeps or not self._waiting.get(request_id)
        await self._endings.write_answer(request_id, answer, bill.current, keeps=keeps)
        return answer

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            try:
                await self._journal.renew()
            except DatabaseUnavailableError:
                _logger.exception("leases cannot be renewed")


def _consume(task: asyncio.Task[Any]) -> None:
    """Take the exception of a background task, which is told elsewhere."""
    if not task.cancelled():
        task.exception()
