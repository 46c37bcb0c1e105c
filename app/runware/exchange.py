"""One POST to Runware and its answer, read: what it says of a task, or how it failed.

Owns the circuit breaker and what is known of our own key. Leaves when to send again to `client`, and asking until
a task has ended to `collector`.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace

from msgspec import Struct

from app.observability.logs import get_logger
from app.observability.metrics import Metrics
from app.observability.tracing import Span, Value, piece_of, running_span
from app.runware.circuit_breaker import CircuitBreaker
from app.runware.failures import OVERSIZED, Kind, ProviderFailure, from_status, to_failure
from app.runware.keys import RunwareKey
from app.runware.task_body import Body
from app.runware.tasks import Exchange, TaskResult, encode, get_response
from app.runware.transport import HTTPReply, LostError, NotSentError, NotTriedError, Permit, Transport, TransportError
from app.runware.wire import Reply, UnreadableReplyError, decode

_logger = get_logger("runware")
OK = 200
SERVER_ERROR = 500
_PROBE_SECONDS = 5.0
_PROBE_BYTES = 64 * 1024


class OversizedError(TransportError):
    """An answer of Runware's was larger than anything that was asked for; it was not read to its end."""

    outcome = "oversized"


class Run(Struct):
    """The course of one task; `unsure` while nobody knows whether Runware has it.

    `permit` is asked right before the task is sent, each time.
    """

    task_uuid: str
    key: RunwareKey
    wanted: int
    """How many images were asked for."""
    max_answer_bytes: int
    deadline: float
    body: Body
    permit: Permit | None = None
    exchanges: list[Exchange] = []
    unsure: bool = False
    began: float | None = None
    """When the first exchange about it began."""

    @property
    def question(self) -> bytes:
        """What asks after the task; few tasks are asked after."""
        return encode([get_response(self.task_uuid)])

    def end(self, reply: Reply, *more: ProviderFailure, unresolved: bool = False) -> TaskResult:
        """The result of what Runware said last; images reported twice count once."""
        images, failures = reply.images, more
        if len(images) > 1:
            # Polls may report an image twice; counted twice it would be billed twice.
            distinct = {image.image_uuid or str(index): image for index, image in enumerate(images)}
            images = tuple(distinct.values())
        if reply.faults or more:
            failures = tuple(self._judge(one) for one in (*(to_failure(fault, OK) for fault in reply.faults), *more))
        return TaskResult(images, failures, tuple(self.exchanges), unresolved, others=reply.others)

    def end_unread(self) -> TaskResult:
        """The result where Runware's answer is too large to be read: it may have made images, and billed them."""
        failure = ProviderFailure(Kind.PROVIDER, OVERSIZED, "")
        return TaskResult((), (failure,), tuple(self.exchanges), is_read=False)

    def _judge(self, failure: ProviderFailure) -> ProviderFailure:
        """A refused key is the fault of whoever brought it."""
        if failure.kind is Kind.AUTHENTICATION and self.key.is_callers:
            return replace(failure, kind=Kind.CALLERS_KEY)
        return failure


class RunwareExchange:
    """Exchanges over a transport. `clock` is monotonic seconds; `own_key` asks what is asked for nobody."""

    def __init__(
        self,
        transport: Transport,
        clock: Callable[[], float] = time.monotonic,
        own_key: RunwareKey | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.metrics = metrics or Metrics.off()
        self._transport = transport
        self._own_key = own_key
        self._clock = clock
        self._breaker = CircuitBreaker()
        self._probing: asyncio.Task[None] | None = None
        self.key_refused = False
        """Whether Runware's last word about our key was no."""

    @property
    def unreachable(self) -> bool:
        """Whether Runware has not answered for a while; it is asked again and again until it does."""
        return self._breaker.is_open

    async def close(self) -> None:
        """Give back all connections."""
        if self._probing is not None:
            self._probing.cancel()
        await self._transport.close()

    def send(self, run: Run, kind: str, body: Body, wait: float) -> Awaitable[Reply | ProviderFailure]:
        """One POST with its answer read, raising what the transport raises, or OversizedError.

        A ProviderFailure is an answer that is not 200.
        """
        outer = running_span()
        return self._send(run, kind, body, wait, None) if outer is None else self._trace(outer, run, kind, body, wait)

    async def _trace(self, outer: Span, run: Run, kind: str, body: Body, wait: float) -> Reply | ProviderFailure:
        facts: dict[str, Value] = {"http.request.method": "POST", "spillway.task": run.task_uuid}
        with piece_of(outer, f"runware {kind}", "client", facts) as traced:
            return await self._send(run, kind, body, wait, traced)

    async def _send(self, run: Run, kind: str, body: Body, wait: float, traced: Span | None) -> Reply | ProviderFailure:
        started = self._clock()
        run.began = started if run.began is None else run.began
        outcome, status = "lost", None
        try:
            seconds = max(min(wait, run.deadline - started), 0.001)
            # Questions cost nothing and may be asked by anyone; only buying needs the lease (0059).
            permit = run.permit if kind == "submit" else None
            answer = await self._transport.post(body, run.key, seconds, run.max_answer_bytes, permit)
            status = answer.status
            reply = self._read(run, answer)
            outcome = reply.kind.value if isinstance(reply, ProviderFailure) else "ok"
        except TransportError as error:
            outcome = error.outcome
            # Late says nothing about whether Runware can be reached: slow models would open the breaker for fast ones.
            # Nor does what failed on this side: a database that is away would have Runware refused too.
            if isinstance(error, NotSentError | LostError) and not isinstance(error, NotTriedError):
                self._count_failure()
            raise
        finally:
            self.metrics.task_attempted(kind, outcome)
            if traced is not None:
                traced.note(
                    {"spillway.outcome": outcome, **({} if status is None else {"http.response.status_code": status})}
                )
            lasted, before = self._clock() - started, started - run.began
            run.exchanges.append(Exchange(kind, outcome, status, round(lasted * 1000), round(before * 1000)))
        return reply

    async def post(self, run: Run, body: bytes, wait: float) -> HTTPReply:
        """One POST whose answer the caller reads, raising what the transport raises."""
        return await self._transport.post(body, run.key, wait, run.max_answer_bytes)

    def _read(self, run: Run, answer: HTTPReply) -> Reply | ProviderFailure:
        status, retry_after = answer.status, answer.retry_after
        # The image may exist and be billed, so this is neither a plain failure nor retried (0035).
        if answer.is_cut and status == OK:
            _logger.error("Runware's answer is too large to be read", task=run.task_uuid)
            raise OversizedError
        try:
            reply = decode(answer.body, run.task_uuid)
        except UnreadableReplyError:
            # A page of a proxy in between: no answer of Runware itself.
            if status >= SERVER_ERROR:
                self._count_failure()
            return from_status(status, retry_after)
        if self._breaker.failures:
            self._breaker.succeeded()
        for cost in reply.unbelievable:
            _logger.error("Runware names a cost that cannot be; it counts as unknown", task=run.task_uuid, cost=cost)
        if reply.images or reply.processing:
            # Whatever it refused before, it accepts the key now.
            self.key_refused = False
            return reply
        failure = to_failure(reply.faults[0], status, retry_after) if reply.faults else None
        if failure is not None and not run.key.is_callers:
            self._watch_key(failure)
        if status == OK:
            return reply
        return failure or from_status(status, retry_after)

    def _count_failure(self) -> None:
        if self._breaker.failed():
            _logger.error("Runware does not answer: new requests are refused until it does")
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Ask after a task nobody has, which costs nothing, until there is any sensible answer."""
        # Never with the key of a caller, who did not ask for it: that a key is missing is a sensible answer too (0135).
        while self._breaker.is_open:
            await asyncio.sleep(self._breaker.next_probe())
            task_uuid = str(uuid.uuid4())
            try:
                question = encode([get_response(task_uuid)])
                answer = await self._transport.post(question, self._own_key, _PROBE_SECONDS, _PROBE_BYTES)
                decode(answer.body, task_uuid)
            except (TransportError, UnreadableReplyError):
                continue
            self._breaker.succeeded()
            _logger.warning("Runware answers again")

    def _watch_key(self, failure: ProviderFailure) -> None:
        refused = failure.kind is Kind.AUTHENTICATION
        if refused and not self.key_refused:
            _logger.error(
                "Runware refuses the API key: check RUNWARE_API_KEY", code=failure.code, status=failure.status
            )
        self.key_refused = refused
