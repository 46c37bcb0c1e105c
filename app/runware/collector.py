"""Asks Runware what became of a task until it has ended, also of one that another process sent.

Sends a task again only under its own taskUUID, and only when Runware keeps not knowing it.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from app.runware.exchange import OK, OversizedError, Run, RunwareExchange
from app.runware.failures import Kind, ProviderFailure, to_failure
from app.runware.keys import RunwareKey
from app.runware.retry import RetryPolicy, poll_delay
from app.runware.tasks import TaskResult, encode, get_task_details, largest_answer
from app.runware.transport import TransportError
from app.runware.wire import Reply, UnreadableReplyError, decode_details

_POLL_SECONDS = 30.0
# Polls without news after which a task that shows neither progress nor all its images is taken as it is.
_SETTLED_POLLS = 3


@dataclass(slots=True)
class _Progress:
    """What polling for a task found so far; `empty` are those in which Runware did not know it."""

    wanted: int
    polls: int = 0
    empty: int = 0
    last: Reply = field(default_factory=Reply)
    _settled: int = 0

    def ends_with(self, reply: Reply) -> bool:
        """Whether the task has ended with what Runware says now."""
        count = len(reply.images)
        # Some models deliver fewer images than asked for and say nothing. When several polls have no news, that is the
        # result.
        unchanged = count == len(self.last.images) and not reply.processing
        self._settled = self._settled + 1 if unchanged else 0
        self.last = reply
        complete = count + len(reply.faults) >= self.wanted
        return complete or (not reply.processing and (bool(reply.faults) or self._settled >= _SETTLED_POLLS))


class Collector:
    """Collects over exchanges. `clock` is monotonic seconds; `sync_wait` bounds the wait for a task sent again."""

    def __init__(
        self,
        exchange: RunwareExchange,
        retry: RetryPolicy,
        sync_wait: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = exchange
        self._retry = retry
        self._sync_wait = sync_wait
        self._clock = clock

    async def recover(self, task_uuid: str, key: RunwareKey, number_results: int, deadline: float) -> TaskResult | None:
        """What became of a task that another process sent; None when Runware has never heard of it.

        Nothing is sent again. Raises TimeoutError when Runware does not say before `deadline`.
        """
        run = Run(task_uuid, key, number_results, largest_answer(number_results), deadline, b"")
        unknown = polls = 0
        while self._clock() < deadline:
            try:
                reply = await self.ask(run)
            except OversizedError:
                return run.end_unread()
            if reply is not None and (reply.images or reply.faults) and not reply.processing:
                return run.end(reply)
            # A task may take a moment to appear: one "unknown" is no proof that it was never sent.
            if reply is not None and not reply.processing:
                unknown += 1
                if unknown >= self._retry.empty_polls:
                    return await self._look_up(run)
            polls += 1
            await asyncio.sleep(poll_delay(self._retry, polls))
        raise TimeoutError

    async def find_costs(self, task_uuid: str, key: RunwareKey, deadline: float) -> TaskResult | None:
        """What a task that has ended cost, as far as Runware says by now; None when it has never heard of it.

        Nothing is sent again. Raises TimeoutError when Runware does not say before `deadline`.
        """
        found = await self.recover(task_uuid, key, 1, deadline)
        if found is None or (found.is_billed and None not in found.costs):
            return found
        return await self._look_up(Run(task_uuid, key, 1, largest_answer(1), deadline, b"")) or found

    async def _look_up(self, run: Run) -> TaskResult | None:
        """The last resort for a task `getResponse` does not know: the record of past tasks."""
        try:
            answer = await self._exchange.post(run, encode([get_task_details(run.task_uuid)]), _POLL_SECONDS)
            fine = answer.status == OK and not answer.is_cut
            reply = decode_details(answer.body, run.task_uuid) if fine else Reply()
        # Not known, which differs from "does not exist": the caller keeps looking.
        except TransportError:
            raise TimeoutError from None
        except UnreadableReplyError:
            reply = Reply()
        return run.end(reply) if reply.images or reply.faults else None

    async def collect(self, run: Run) -> TaskResult:
        """Ask after the task until it has ended, sending it once more if Runware keeps not knowing it."""
        progress = _Progress(run.wanted)
        resent = False
        while True:
            progress.polls += 1
            delay = poll_delay(self._retry, progress.polls)
            if self._clock() + delay >= run.deadline:
                # Unresolved, not failed: the search for abandoned requests goes on with it (0054).
                return run.end(progress.last, ProviderFailure(Kind.TIMEOUT, "deadline", ""), unresolved=True)
            await asyncio.sleep(delay)
            try:
                reply = await self.ask(run)
            except OversizedError:
                return run.end_unread()
            if reply is None:
                continue
            if reply.knows_task:
                if progress.ends_with(reply):
                    return run.end(reply)
                continue
            progress.empty += 1
            # Once only, and under its own id: if Runware has it after all, it answers with a conflict and sells nothing
            # twice (0006).
            if progress.empty >= self._retry.empty_polls and not resent:
                resent = True
                outcome = await self._resend(run)
                if outcome is not None:
                    return outcome

    async def read_again(self, run: Run) -> TaskResult:
        """The end of a task whose answer was too large to be read: what a question finds, else that it is unread."""
        try:
            reply = await self.ask(run)
        except OversizedError:
            reply = None
        return run.end(reply) if reply is not None and reply.images and not reply.processing else run.end_unread()

    async def is_known(self, run: Run) -> bool:
        """After a broken connection: whether Runware has the task, as far as it says."""
        try:
            reply = await self.ask(run)
        except OversizedError:
            return True
        # No answer to the question is no answer: the task counts as sent until Runware says otherwise.
        run.unsure = reply is None
        return reply is not None and reply.knows_task

    async def ask(self, run: Run) -> Reply | None:
        """What Runware knows of the task: an empty Reply for nothing, None when it did not say.

        Raises OversizedError.
        """
        try:
            reply = await self._exchange.send(run, "collect", run.question, _POLL_SECONDS)
        except OversizedError:
            raise  # it is a TransportError too, but says that Runware knows the task
        except TransportError:
            return None
        if isinstance(reply, ProviderFailure):
            return Reply() if reply.kind is Kind.UNKNOWN_TASK else None
        faults = tuple(fault for fault in reply.faults if fault.task_type != "getResponse")
        if faults and to_failure(faults[0], OK).kind is Kind.UNKNOWN_TASK:
            return Reply()
        return Reply(reply.images, faults, reply.processing, reply.others)

    async def _resend(self, run: Run) -> TaskResult | None:
        """Send the task again under its own id; None when polling must go on, as after a conflict."""
        self._exchange.metrics.task_retried()
        try:
            reply = await self._exchange.send(run, "submit", run.body, self._sync_wait)
        except OversizedError:
            return run.end_unread()
        except TransportError:
            return None
        if isinstance(reply, ProviderFailure):
            return None if reply.retryable or reply.kind is Kind.CONFLICT else run.end(Reply(), reply)
        if not reply.images or reply.processing:
            return None
        return run.end(reply)
