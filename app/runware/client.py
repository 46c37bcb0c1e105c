"""Runs one task to its end: send, retry with the same taskUUID, collect what was accepted unseen.

Promises that a task which may exist is never replaced by a fresh one: after a lost or late answer it is looked for
with `getResponse`, and sent again only under its own taskUUID. Leaves the caller's words and the order of images to
`generation`.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from msgspec import structs

from app.observability.metrics import Metrics
from app.observability.tracing import Span, Value, piece_of, running_span
from app.runware.collector import Collector
from app.runware.exchange import OK, SERVER_ERROR, OversizedError, Run, RunwareExchange
from app.runware.failures import Kind, ProviderFailure, to_failure
from app.runware.keys import Keys, RunwareKey
from app.runware.retry import RetryPolicy, backoff
from app.runware.tasks import ImageTask, TaskResult, encode_task
from app.runware.transport import LateError, LostError, NotSentError, Permit, Transport
from app.runware.wire import Reply

_LOST = "connectionLost"
_OPERATION = "generate_content"
"""What the semantic conventions of generative AI call it."""


class RunwareClient:
    """Sends tasks over a transport, each paid with a key out of `keys`.

    `clock` is monotonic seconds; `chance` draws from [0, 1).
    """

    def __init__(
        self,
        transport: Transport,
        keys: Keys,
        *,
        sync_wait: float,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        metrics: Metrics | None = None,
    ) -> None:
        self._retry = retry or RetryPolicy()
        self.keys = keys
        self._exchange = RunwareExchange(transport, clock, keys.key_of(""), metrics)
        self._answered_in = self._exchange.metrics.timer("upstream")
        self._collector = Collector(self._exchange, self._retry, sync_wait, clock)
        self._sync_wait = sync_wait
        self._clock = clock
        self._chance = chance

    @property
    def unreachable(self) -> bool:
        """Whether Runware has not answered for a while; it is asked again and again until it does."""
        return self._exchange.unreachable

    @property
    def key_refused(self) -> bool:
        """Whether Runware's last word about our key was no."""
        return self._exchange.key_refused

    def run_task(
        self, task: ImageTask, key: RunwareKey, deadline: float, permit: Permit | None = None
    ) -> Awaitable[TaskResult]:
        """The end of `task`, at the latest at `deadline` on the clock; raises what `permit` raises before sending."""
        outer = running_span()
        running = self._run(task, key, deadline, permit)
        return running if outer is None else _trace(outer, task, running)

    async def _run(self, task: ImageTask, key: RunwareKey, deadline: float, permit: Permit | None) -> TaskResult:
        began = time.perf_counter()
        try:
            body = encode_task(task)
            run = Run(task.task_uuid, key, task.number_results, task.max_answer_bytes, deadline, body, permit)
            attempt = 1
            # Attempts change neither body nor id: only so can a repetition find what an earlier one bought (0064).
            while isinstance(outcome := await self._submit(run), ProviderFailure):
                end = await self._end_or_wait(run, outcome, attempt)
                if end is not None:
                    return end
                attempt += 1
            return outcome
        finally:
            self._answered_in(time.perf_counter() - began)

    async def _end_or_wait(self, run: Run, failure: ProviderFailure, attempt: int) -> TaskResult | None:
        """The end after a failed attempt; None once it is time for another one."""
        if failure.kind is Kind.CONFLICT:
            # Not an error: Runware has seen this id before, so the task exists and its images are there to collect.
            return await self._collector.collect(run)
        delay = backoff(self._retry, failure, attempt, self._chance())
        if delay is None or self._clock() + delay >= run.deadline:
            return await self._give_up(run, failure)
        await asyncio.sleep(delay)
        self._exchange.metrics.task_retried()
        return None

    async def recover(self, task_uuid: str, key: RunwareKey, number_results: int, deadline: float) -> TaskResult | None:
        """What became of a task that another process sent: see Collector."""
        return await self._collector.recover(task_uuid, key, number_results, deadline)

    async def find_costs(self, task_uuid: str, key: RunwareKey, deadline: float) -> TaskResult | None:
        """What a task that has ended cost: see Collector."""
        return await self._collector.find_costs(task_uuid, key, deadline)

    async def close(self) -> None:
        """Give back all connections."""
        await self._exchange.close()

    async def _give_up(self, run: Run, outcome: ProviderFailure) -> TaskResult:
        """The end after the last attempt, unless Runware has the task all the same, or does not say."""
        failed_late = outcome.status is not None and outcome.status >= SERVER_ERROR
        # A last look before an error is final. A caller that reads "failed" pays again, though the image may exist.
        if run.unsure or (failed_late and await self._collector.is_known(run)):
            return await self._collector.collect(run)
        # Where the outcome is not known, neither is the cost: such a failure never frees its key (0065).
        return structs.replace(run.end(Reply(), outcome), is_read=outcome.code != _LOST and not run.unsure)

    async def _submit(self, run: Run) -> TaskResult | ProviderFailure:
        """Send the task: its end, or the failure of this attempt."""
        try:
            reply = await self._exchange.send(run, "submit", run.body, self._sync_wait)
        # Runware has seen nothing, so this may be repeated without asking first.
        except NotSentError:
            return ProviderFailure(Kind.CAPACITY, "connectionFailed", "")
        # The task was sent and may be running: it is collected, never replaced by a fresh one.
        except LateError:
            return await self._collector.collect(run)
        except OversizedError:
            return await self._collector.read_again(run)
        except LostError:
            # One question first, since a lost connection may be a lost answer. If unknown, it is sent again under the
            # same id (0006).
            if await self._collector.is_known(run):
                return await self._collector.collect(run)
            return ProviderFailure(Kind.PROVIDER, _LOST, "")
        if isinstance(reply, ProviderFailure):
            return reply
        return await self._end_of(run, reply)

    async def _end_of(self, run: Run, reply: Reply) -> TaskResult | ProviderFailure:
        """What an answer to the task itself says of its end."""
        # Runware returns early from long tasks; the images that are missing are bought already.
        if reply.processing and len(reply.images) < run.wanted:
            return await self._collector.collect(run)
        if reply.images:
            return run.end(reply)
        return to_failure(reply.faults[0], OK) if reply.faults else ProviderFailure(Kind.PROVIDER, "emptyResponse", "")


async def _trace(outer: Span, task: ImageTask, running: Awaitable[TaskResult]) -> TaskResult:
    with piece_of(outer, f"{_OPERATION} {task.model}", "client", _facts_of(task)):
        return await running


def _facts_of(task: ImageTask) -> dict[str, Value]:
    return {
        "gen_ai.operation.name": _OPERATION,
        "gen_ai.provider.name": "runware",
        "gen_ai.output.type": "image",
        "gen_ai.request.model": task.model,
        "gen_ai.request.choice.count": task.number_results,
        "spillway.task": task.task_uuid,
    }
