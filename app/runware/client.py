"""Runs one task to its end: send, retry with the same taskUUID, collect what was accepted unseen.

Promises that a task which may exist is never replaced by a fresh one: after a lost or late answer it is looked for
with `getResponse`, and sent again only under its own taskUUID. Leaves the caller's words and the order of images to
`generation`.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from app.observability.logs import get_logger
from app.runware.circuit_breaker import CircuitBreaker
from app.runware.encoding import encode_off_loop
from app.runware.failures import Failure, Kind, from_status, to_failure
from app.runware.results import Exchange, TaskResult
from app.runware.retry import RetryPolicy, backoff, poll_delay
from app.runware.tasks import (
    Image,
    ImageTask,
    Reply,
    UnreadableReplyError,
    decode,
    decode_details,
    encode,
    get_response,
    get_task_details,
)
from app.runware.transport import LateError, LostError, NotSentError, Transport, TransportError

_logger = get_logger("runware")
_OK = 200
_SERVER_ERROR = 500
_POLL_SECONDS = 30.0
_PROBE_SECONDS = 5.0
_SETTLED_POLLS = 3
"""Polls without news after which a task that shows neither progress nor all its images is taken as it is."""


@dataclass(slots=True)
class _Run:
    """The course of one task; `accepted` once it is certain that Runware has it, `unsure` while nobody can tell."""

    task: ImageTask
    deadline: float
    body: bytes
    question: bytes
    exchanges: list[Exchange] = field(default_factory=list)
    accepted: bool = False
    unsure: bool = False

    def end(self, images: tuple[Image, ...] = (), failures: tuple[Failure, ...] = ()) -> TaskResult:
        """The result; images reported twice count once."""
        distinct = {image.image_uuid or str(index): image for index, image in enumerate(images)}
        return TaskResult(tuple(distinct.values()), failures, tuple(self.exchanges))


class RunwareClient:
    """Sends tasks over a transport. `clock` is monotonic seconds; `chance` draws from [0, 1)."""

    def __init__(
        self,
        transport: Transport,
        *,
        sync_wait: float,
        pace: RetryPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._sync_wait = sync_wait
        self._pace = pace or RetryPolicy()
        self._clock = clock
        self._chance = chance
        self._breaker = CircuitBreaker()
        self._probing: asyncio.Task[None] | None = None
        self.key_refused = False
        """Whether Runware's last word about our key was no."""

    @property
    def unreachable(self) -> bool:
        """Whether Runware has not answered for a while; it is asked again and again until it does."""
        return self._breaker.is_open

    async def run(self, task: ImageTask, deadline: float) -> TaskResult:
        """The end of `task`, at the latest at `deadline` on the clock."""
        run = _Run(task, deadline, await encode_off_loop(task), encode([get_response(task.task_uuid)]))
        attempt = 0
        while True:
            attempt += 1
            outcome = await self._submit(run)
            if isinstance(outcome, TaskResult):
                return outcome
            if outcome.kind is Kind.CONFLICT:
                run.accepted = True
                return await self._collect(run)
            delay = backoff(self._pace, outcome, attempt, self._chance())
            if delay is None or self._clock() + delay >= deadline:
                return await self._give_up(run, outcome)
            await asyncio.sleep(delay)

    async def _give_up(self, run: _Run, outcome: Failure) -> TaskResult:
        """The end after the last attempt, unless Runware has the task all the same, or does not say."""
        failed_late = outcome.status is not None and outcome.status >= _SERVER_ERROR
        if run.unsure or (failed_late and await self._is_known(run)):
            return await self._collect(run)
        return run.end(failures=(outcome,))

    async def recover(self, task_uuid: str, number_results: int, deadline: float) -> TaskResult | None:
        """What became of a task that another process sent; None when Runware has never heard of it.

        Nothing is sent again. Raises TimeoutError when Runware does not say before `deadline`.
        """
        task = ImageTask(task_uuid, "", None, number_results, "URL", "PNG")
        run = _Run(task, deadline, b"", encode([get_response(task_uuid)]))
        unknown = polls = 0
        while self._clock() < deadline:
            reply = await self._ask(run)
            if reply is not None and (reply.images or reply.faults) and not reply.processing:
                return run.end(reply.images, tuple(to_failure(fault, _OK) for fault in reply.faults))
            if reply is not None and not reply.processing:
                unknown += 1
                if unknown >= self._pace.empty_polls:
                    return await self._look_up(run)
            polls += 1
            await asyncio.sleep(poll_delay(self._pace, polls))
        raise TimeoutError

    async def _look_up(self, run: _Run) -> TaskResult | None:
        """The last resort for a task `getResponse` does not know: the record of past tasks."""
        try:
            answer = await self._transport.post(encode([get_task_details(run.task.task_uuid)]), _POLL_SECONDS)
            reply = decode_details(answer.body, run.task.task_uuid) if answer.status == _OK else Reply()
        except TransportError:
            raise TimeoutError from None
        except UnreadableReplyError:
            reply = Reply()
        if not (reply.images or reply.faults):
            return None
        return run.end(reply.images, tuple(to_failure(fault, _OK) for fault in reply.faults))

    async def close(self) -> None:
        """Give back all connections."""
        if self._probing is not None:
            self._probing.cancel()
        await self._transport.close()

    async def _submit(self, run: _Run) -> TaskResult | Failure:
        """Send the task: its end, or the failure of this attempt."""
        try:
            reply = await self._exchange(run, "submit", run.body, self._sync_wait)
        except NotSentError:
            return Failure(Kind.CAPACITY, "connectionFailed", "")
        except LateError:
            return await self._collect(run)
        except LostError:
            return (
                await self._collect(run) if await self._is_known(run) else Failure(Kind.PROVIDER, "connectionLost", "")
            )
        if isinstance(reply, Failure):
            return reply
        if reply.processing and len(reply.images) < run.task.number_results:
            run.accepted = True
            return await self._collect(run)
        failures = tuple(to_failure(fault, _OK) for fault in reply.faults)
        if reply.images:
            return run.end(reply.images, failures)
        return failures[0] if failures else Failure(Kind.PROVIDER, "emptyResponse", "")

    async def _is_known(self, run: _Run) -> bool:
        """After a broken connection: whether Runware has the task, as far as it says."""
        reply = await self._ask(run)
        run.unsure = reply is None
        run.accepted = reply is not None and bool(reply.images or reply.processing or reply.faults)
        return run.accepted

    async def _collect(self, run: _Run) -> TaskResult:
        """Ask after the task until it has ended, sending it once more if Runware keeps not knowing it."""
        empty = settled = seen = polls = 0
        resent = False
        last = Reply()
        while True:
            polls += 1
            delay = poll_delay(self._pace, polls)
            if self._clock() + delay >= run.deadline:
                return replace(run.end(last.images, (Failure(Kind.TIMEOUT, "deadline", ""),)), unresolved=True)
            await asyncio.sleep(delay)
            reply = await self._ask(run)
            if reply is None:
                continue
            if not (reply.images or reply.processing or reply.faults):
                empty += 1
                if empty >= self._pace.empty_polls and not resent:
                    resent, empty = True, 0
                    outcome = await self._resend(run)
                    if outcome is not None:
                        return outcome
                continue
            run.accepted, last = True, reply
            settled = settled + 1 if len(reply.images) == seen and not reply.processing else 0
            seen = len(reply.images)
            complete = len(reply.images) + len(reply.faults) >= run.task.number_results
            if complete or (not reply.processing and (reply.faults or settled >= _SETTLED_POLLS)):
                return run.end(reply.images, tuple(to_failure(fault, _OK) for fault in reply.faults))

    async def _resend(self, run: _Run) -> TaskResult | None:
        """Send the task again under its own id; None when polling must go on, as after a conflict."""
        try:
            reply = await self._exchange(run, "submit", run.body, self._sync_wait)
        except TransportError:
            return None
        if isinstance(reply, Failure):
            run.accepted = run.accepted or reply.kind is Kind.CONFLICT
            return None if reply.retryable or reply.kind is Kind.CONFLICT else run.end(failures=(reply,))
        if not reply.images or reply.processing:
            return None
        return run.end(reply.images, tuple(to_failure(fault, _OK) for fault in reply.faults))

    async def _ask(self, run: _Run) -> Reply | None:
        """What Runware knows of the task: an empty Reply for nothing, None when it did not say."""
        try:
            reply = await self._exchange(run, "collect", run.question, _POLL_SECONDS)
        except TransportError:
            return None
        if isinstance(reply, Failure):
            return Reply() if reply.kind is Kind.UNKNOWN_TASK else None
        faults = tuple(fault for fault in reply.faults if fault.task_type != "getResponse")
        if faults and to_failure(faults[0], _OK).kind is Kind.UNKNOWN_TASK:
            return Reply()
        return Reply(reply.images, faults, reply.processing)

    async def _exchange(self, run: _Run, kind: str, body: bytes, wait: float) -> Reply | Failure:
        """One POST with its answer read, raising what the transport raises. A Failure is an answer that is not 200."""
        started = self._clock()
        outcome, status = "lost", None
        try:
            answer = await self._transport.post(body, max(min(wait, run.deadline - started), 0.001))
            status = answer.status
            reply = self._read(run, status, answer.body, answer.retry_after)
            outcome = reply.kind.value if isinstance(reply, Failure) else "ok"
        except NotSentError:
            outcome = "not_sent"
            self._count_failure()
            raise
        except LostError:
            self._count_failure()
            raise
        except LateError:
            outcome = "late"
            raise
        finally:
            run.exchanges.append(Exchange(kind, outcome, status, round((self._clock() - started) * 1000)))
        return reply

    def _read(self, run: _Run, status: int, body: bytes, retry_after: float | None) -> Reply | Failure:
        try:
            reply = decode(body, run.task.task_uuid)
        except UnreadableReplyError:
            if status >= _SERVER_ERROR:
                self._count_failure()
            return from_status(status, retry_after)
        self._breaker.succeeded()
        if reply.images or reply.processing:
            self.key_refused = False
            return reply
        failure = to_failure(reply.faults[0], status, retry_after) if reply.faults else None
        if failure is not None:
            self._watch_key(failure)
        if status == _OK:
            return reply
        return failure or from_status(status, retry_after)

    def _count_failure(self) -> None:
        if self._breaker.failed():
            _logger.error("Runware does not answer: new requests are refused until it does")
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Ask after a task nobody has, which costs nothing, until there is any sensible answer."""
        while self._breaker.is_open:
            await asyncio.sleep(self._breaker.next_probe())
            task_uuid = str(uuid.uuid4())
            try:
                answer = await self._transport.post(encode([get_response(task_uuid)]), _PROBE_SECONDS)
                decode(answer.body, task_uuid)
            except (TransportError, UnreadableReplyError):
                continue
            self._breaker.succeeded()
            _logger.warning("Runware answers again")

    def _watch_key(self, failure: Failure) -> None:
        refused = failure.kind is Kind.AUTHENTICATION
        if refused and not self.key_refused:
            _logger.error(
                "Runware refuses the API key: check RUNWARE_API_KEY", code=failure.code, status=failure.status
            )
        self.key_refused = refused
