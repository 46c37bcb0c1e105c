"""Carries requests out apart from their callers: each is claimed first, runs to its end, and is settled.

A caller waits as long as he says and may come back; whoever asks again joins the same work. Leaves the making of
pictures to the coroutine it is given, and what is durable to the journal.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pybase64

from app.catalog.registry import Registry
from app.database.writer import DatabaseUnavailableError
from app.errors import (
    ConflictingKeyError,
    GatewayError,
    InternalError,
    InvalidRequestError,
    JournalError,
    NotFoundError,
    QuotaError,
    RateLimitedError,
    StillProcessingError,
    UnavailableError,
)
from app.generation.archive import dump_answer, dump_error, load_answer, load_error, to_answer, to_money
from app.generation.types import Answer, DeliveredImage
from app.journal.claims import LEASE_SECONDS, Claim, Journal
from app.journal.records import Intent, KeyReusedError, Record, Settlement, Status
from app.media.store import MediaNotFoundError, MediaStore
from app.observability.logs import get_logger

_logger = get_logger("works")
_PEEK_SECONDS = 0.25
"""How often work of another process is looked at."""
_RELEASING = (RateLimitedError, UnavailableError, QuotaError)


@dataclass(slots=True)
class Costs:
    """What each task of a request cost, in dollars, as soon as that is known."""

    by_task: dict[str, Decimal] = field(default_factory=dict)

    def add(self, task_id: str, costs: Sequence[Decimal | None]) -> None:
        """What the pictures of a task cost; nothing is added where one is unknown."""
        known = [cost for cost in costs if cost is not None]
        if len(known) == len(costs):
            self.by_task[task_id] = sum(known, Decimal(0))

    @property
    def total(self) -> Decimal | None:
        """Their sum, None where nothing is known."""
        return sum(self.by_task.values(), Decimal(0)) if self.by_task else None


Work = Callable[[str, Costs], Awaitable[Answer]]
"""Makes the answer of the request with this id, writing down costs on the way."""


class Works:
    """All work this process does, and the way to that of others. `clock` is unix seconds."""

    def __init__(
        self, journal: Journal, results: MediaStore, registry: Registry, clock: Callable[[], float] = time.time
    ) -> None:
        self._journal = journal
        self._results = results
        self._registry = registry
        self._clock = clock
        self._running: dict[str, asyncio.Task[Answer]] = {}
        self._waiting: dict[str, int] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._renewing: asyncio.Task[None] | None = None

    async def answer(self, intent: Intent, work: Work, wait: float) -> Answer:
        """The answer to a claimed or joined request, raising the GatewayError it ended with.

        Raises StillProcessingError after `wait` seconds, ConflictingKeyError for a key that belongs to another request,
        JournalError when nothing can be written down: then nothing is sent either.
        """
        claim = await self.claim(intent, work)
        replayed = not claim.is_new and intent.key_hash is not None
        try:
            answer = await self.join(claim.record, wait)
        except GatewayError as error:
            error.request_id = claim.record.id
            error.replayed = replayed and not isinstance(error, StillProcessingError)
            raise
        except asyncio.CancelledError:
            self.leave(claim.record.id, delivered=False)
            raise
        return replace(answer, replayed=True) if replayed else answer

    async def claim(self, intent: Intent, work: Work) -> Claim:
        """A claim on the request, with its work begun when it is new; raises as `answer` does."""
        try:
            claim = await self._settled_claim(intent)
        except KeyReusedError:
            raise ConflictingKeyError from None
        except Exception:
            _logger.exception("the journal does not answer")
            raise JournalError from None
        if claim.is_new:
            self.start(claim.record.id, work, keeps=intent.key_hash is not None)
        return claim

    async def _settled_claim(self, intent: Intent) -> Claim:
        """A claim; where it hangs on a process that may be dead, after its lease has moved or ended."""
        claim = await self._journal.claim(intent)
        lease = claim.record.lease_until
        while claim.unsettled:
            if claim.record.lease_until > lease:  # its process lives, and so does the connection it reports
                intent = replace(intent, retries=False)
            else:
                await asyncio.sleep(_PEEK_SECONDS)
            claim = await self._journal.claim(intent)
        return claim

    def start(self, request_id: str, work: Work, *, keeps: bool) -> None:
        """Begin work in the background; it goes on when nobody waits any more."""
        task = asyncio.create_task(self._carry_out(request_id, work, keeps=keeps))
        self._running[request_id] = task
        task.add_done_callback(lambda _: self._running.pop(request_id, None))
        task.add_done_callback(_consume)

    def open(self) -> None:
        """Begin to keep this process's leases."""
        self._renewing = asyncio.create_task(self._renew())

    async def join(self, record: Record, wait: float) -> Answer:
        """The end of a request, wherever it runs, within `wait` seconds."""
        until = self._clock() + wait
        running = self._running.get(record.id)
        if running is not None:
            return await self._wait_for(record.id, running, wait)
        while not record.status.final:
            if self._clock() >= until:
                raise StillProcessingError
            await asyncio.sleep(_PEEK_SECONDS)
            found = await self._journal.find(record.id)
            if found is None:
                raise NotFoundError("This request does not exist any more.", code="request_not_found")
            record = found
        return await self.replay(record)

    async def _wait_for(self, request_id: str, running: asyncio.Task[Answer], wait: float) -> Answer:
        self._waiting[request_id] = self._waiting.get(request_id, 0) + 1
        try:
            done, _ = await asyncio.wait({running}, timeout=wait)
        finally:
            self._waiting[request_id] -= 1
            if not self._waiting[request_id]:
                del self._waiting[request_id]
        if not done:
            raise StillProcessingError
        return running.result()

    async def replay(self, record: Record) -> Answer:
        """The answer of a request that ended, raising the error it ended with."""
        if record.error is not None:
            raise load_error(record.error)
        if record.answer is None:
            raise NotFoundError("The pictures of this request are gone.", code="result_gone")
        kept = load_answer(record.answer)
        pictures: list[bytes | None] = []
        for image in kept.images:
            try:
                data = None if image.name is None else await self._results.read(image.name)
            except MediaNotFoundError:
                raise NotFoundError("The pictures of this request are gone.", code="result_gone") from None
            pictures.append(None if data is None else await asyncio.to_thread(pybase64.b64encode, data))
        if any(image.url is None and data is None for image, data in zip(kept.images, pictures, strict=True)):
            raise NotFoundError("The pictures of this request were delivered and not kept.", code="result_gone")
        model = self._registry.find(record.executed_model)
        return to_answer(kept, record.id, model, pictures)

    def leave(self, request_id: str, *, delivered: bool, answer: Answer | None = None) -> None:
        """Note in the background that a caller got his answer, or went without it; then its pictures are kept."""
        task = asyncio.create_task(self._leave(request_id, delivered=delivered, answer=answer))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        task.add_done_callback(_consume)

    async def _leave(self, request_id: str, *, delivered: bool, answer: Answer | None) -> None:
        if not delivered and answer is not None and any(image.base64 is not None for image in answer.images):
            names = [await self._keep(image) for image in answer.images]
            await self._journal.keep_answer(request_id, dump_answer(answer, names))
        await self._journal.leave(request_id, delivered=delivered)

    async def come_back(self, request_id: str) -> None:
        """Note that a caller collects the answer, before it is sent to him."""
        await self._journal.come_back(request_id)

    async def forget(self, record: Record) -> None:
        """Delete the pictures and the prompt of a request, raising InvalidRequestError while it runs."""
        if not record.status.final:
            message = "This request is still being carried out; forget it when it has ended."
            raise InvalidRequestError(message, code="request_running")
        if record.answer is not None:
            for image in load_answer(record.answer).images:
                if image.name is not None:
                    await self._results.delete(image.name)
        await self._journal.purge(record.id)

    async def settle(self, request_id: str, answer: Answer, costs: Costs, *, keeps: bool) -> None:
        """Write down a good end; with `keeps` the pictures that were embedded are kept too."""
        names = [await self._keep(image) if keeps else None for image in answer.images]
        status = Status.PARTIAL if answer.failures else Status.COMPLETED
        total = to_money(costs.total if costs.total is not None else answer.cost)
        settlement = Settlement(status, dump_answer(answer, names), None, total)
        await self._journal.settle(request_id, settlement, _to_texts(costs))

    async def settle_failure(self, request_id: str, error: GatewayError, costs: Costs) -> None:
        """Write down a bad end; where surely nothing ran, the key is free again."""
        releases = isinstance(error, _RELEASING) or error.code == "provider_authentication_error"
        settlement = Settlement(Status.FAILED, None, dump_error(error), to_money(costs.total), releases=releases)
        await self._journal.settle(request_id, settlement, _to_texts(costs))

    async def close(self, grace: float) -> None:
        """Let what runs end within `grace` seconds; the rest is left to whoever starts next."""
        if self._running:
            await asyncio.wait(self._running.values(), timeout=grace)
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=grace)
        left = list(self._running)
        for task in list(self._running.values()):
            task.cancel()
        if self._renewing is not None:
            self._renewing.cancel()
        if left:
            await self._journal.let_go(left)

    async def _carry_out(self, request_id: str, work: Work, *, keeps: bool) -> Answer:
        costs = Costs()
        try:
            answer = await work(request_id, costs)
        except GatewayError as error:
            await self.settle_failure(request_id, error, costs)
            raise
        except Exception:
            _logger.exception("unexpected fault", request_id=request_id)
            fault = InternalError("The gateway failed unexpectedly.", should_retry=False)
            await self.settle_failure(request_id, fault, costs)
            raise fault from None
        await self.settle(request_id, answer, costs, keeps=keeps or not self._waiting.get(request_id))
        return answer

    async def _keep(self, image: DeliveredImage) -> str | None:
        if image.base64 is None:
            return None
        data = await asyncio.to_thread(pybase64.b64decode, image.base64)
        return await self._results.keep(data, image.format.value)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            try:
                await self._journal.renew()
            except DatabaseUnavailableError:
                _logger.exception("leases cannot be renewed")


def _to_texts(costs: Costs) -> dict[str, str]:
    return {task_id: format(cost, "f") for task_id, cost in costs.by_task.items()}


def _consume(task: asyncio.Task[object]) -> None:
    """Take the exception of a background task, which is told elsewhere."""
    if not task.cancelled():
        task.exception()
