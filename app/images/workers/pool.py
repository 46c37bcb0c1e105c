"""The gateway's worker processes: there from the start, shared fairly, replaced when one had to be ended."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from app.images.errors import BoundCrossedError, WorkerDiedError, WorkerUnavailableError
from app.images.workers.bounds import Bounds, Job
from app.images.workers.isolation import LAYERS
from app.images.workers.messages import BrokenReplyError, Message, decode_reply, encode_request
from app.images.workers.process import WorkerProcess
from app.images.workers.turns import Turns
from app.observability.logs import get_logger
from app.observability.metrics import Metrics
from app.observability.tracing import span

_logger = get_logger("images")
_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")
# With one process a single caller could stop all others; beyond eight the gateway itself is the limit.
_MIN_PROCESSES, _MAX_PROCESSES = 2, 8
_WARM_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Wear:
    """After what a process is replaced by a fresh one: decoders written in C lose memory, a little with each image."""

    images: int = 500
    growth_bytes: int = 128 * 1024 * 1024
    """Over what it had when it was ready."""


class _Place:
    """Room for one process, which is always there or being started, until it is closed."""

    def __init__(self, wear: Wear, metrics: Metrics) -> None:
        self._wear = wear
        self._metrics = metrics
        self._starting: asyncio.Task[WorkerProcess] | None = None
        self._renewing: asyncio.Task[WorkerProcess] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False
        self._is_asked = False
        self._images = 0

    @property
    def process(self) -> WorkerProcess | None:
        """The process, where it is there and not only being started."""
        started = self._starting
        if started is None or not started.done() or started.cancelled() or started.exception() is not None:
            return None
        return started.result()

    async def wait(self) -> None:
        """Wait for the start of the process, however it ends."""
        if self._starting is not None:
            await asyncio.wait({self._starting})

    def fill(self) -> None:
        """Begin to start a process; a successor that is being started already takes the place."""
        self._starting = None if self._closed else self._renewing or asyncio.create_task(WorkerProcess.start())
        self._renewing = None
        self._images = 0

    async def ask(self, request: Message, bounds: Bounds) -> Message:
        """The reply to a request; where there is none, the process is replaced."""
        process = await self._process()
        self._is_asked = True
        try:
            reply = await process.ask(request, bounds)
        except BaseException:
            # Never asked again, whatever went wrong: its connection may hold half an answer.
            self._replace(process)
            raise
        finally:
            self._is_asked = False
        self._images += 1
        self._succeed()
        if self.process is process and self._is_worn(process):
            self._renew()
        return reply

    async def discard(self) -> None:
        """Replace the process."""
        self._replace(await self._process())

    async def close(self) -> None:
        """End what runs here."""
        self._closed = True
        for starting in filter(None, (self._starting, self._renewing)):
            await asyncio.wait({starting})
            if starting.exception() is None:
                await starting.result().end()
        await asyncio.gather(*self._ending)

    def _is_worn(self, process: WorkerProcess) -> bool:
        growth = process.resident_bytes - process.ready_bytes
        return self._images >= self._wear.images or growth >= self._wear.growth_bytes

    def _renew(self) -> None:
        """Begin to start a successor, which takes over when it is there; images go to the worn one until then."""
        if self._renewing is None and not self._closed:
            self._renewing = asyncio.create_task(WorkerProcess.start())
            # Not with the next image: where none comes, both would stay.
            self._renewing.add_done_callback(lambda _: self._succeed())

    def _replace(self, process: WorkerProcess) -> None:
        # Only those that had to go: that others are worn is no news, and nothing to be alarmed at.
        self._metrics.worker_replaced()
        self._end(process)
        self.fill()

    def _end(self, process: WorkerProcess) -> None:
        ending = asyncio.create_task(process.end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _process(self) -> WorkerProcess:
        if self._starting is None:
            self.fill()
        if self._starting is None:
            raise WorkerUnavailableError("closed")
        try:
            # Others wait for the same start; one caller that leaves must not end it.
            return await asyncio.shield(self._starting)
        except WorkerUnavailableError:
            self._starting = None
            raise

    def _succeed(self) -> None:
        """Put the successor, where it is there, in the place of its worn process, where that has no image."""
        successor, worn = self._renewing, self.process
        if successor is None or not successor.done():
            return
        if successor.cancelled() or successor.exception() is not None:
            self._renewing = None  # the next image asks for another
        elif worn is not None and not self._is_asked and not self._closed:
            self._end(worn)
            self._starting, self._renewing, self._images = successor, None, 0


class Workers:
    """A bounded pool of processes. Call `start` before `run`, and `close` at the end."""

    def __init__(self, processes: int | None = None, metrics: Metrics | None = None, wear: Wear = Wear()) -> None:
        counted = metrics or Metrics.off()
        self._count = processes or min(max(os.cpu_count() or 1, _MIN_PROCESSES), _MAX_PROCESSES)
        self._free = [_Place(wear, counted) for _ in range(self._count)]
        self._places = tuple(self._free)
        self._turns: Turns[asyncio.Future[_Place]] = Turns(self._count)

    @property
    def ready(self) -> int:
        """How many processes are there; the others are being started."""
        return sum(place.process is not None for place in self._places)

    def start(self) -> None:
        """Begin to start all processes."""
        for place in self._places:
            place.fill()

    def states(self) -> dict[str, int]:
        """How many processes are idle, busy or starting."""
        idle = sum(place.process is not None for place in self._free)
        starting = len(self._free) - idle
        return {"idle": idle, "busy": self._count - idle - starting, "starting": starting}

    async def warm(self) -> None:
        """Wait for the processes that were begun, not without end: the first image is not to pay for their start."""
        await asyncio.wait([asyncio.create_task(place.wait()) for place in self._places], timeout=_WARM_SECONDS)
        missing = self.missing_layers
        if missing:
            _logger.warning("processes for images are less isolated here than they could be", missing=missing)

    @property
    def missing_layers(self) -> tuple[str, ...]:
        """What the kernel does not let the processes give up (0174)."""
        present = [process.layers for place in self._places if (process := place.process) is not None]
        return tuple(layer for layer in LAYERS if any(layer not in layers for layers in present))

    async def close(self) -> None:
        """End all processes, whatever they do."""
        await asyncio.gather(*(place.close() for place in self._places))

    async def run_in_worker(self, job: Job, work: Callable[[*_Arguments], _T], *arguments: *_Arguments) -> _T:
        """`work(*arguments)` in a process, when it is its turn.

        Raises the ImageError that the work raises, BoundCrossedError where it needs more than its job allows,
        WorkerDiedError where the process dies twice, WorkerUnavailableError where none can be started, and
        WorkFailedError for a fault of the work itself.
        """
        with span("image", spillway__work=work.__name__, spillway__pixels=job.decoded + job.made):
            return await self._run(job, work, arguments)

    async def _run(self, job: Job, work: Callable[[*_Arguments], _T], arguments: tuple[*_Arguments]) -> _T:
        async with self._turn(job) as place:
            request = encode_request(work, arguments, job.bounds)
            try:
                reply = await place.ask(request, job.bounds)
            # Once: work is without effects, but an image that kills two processes would kill every next one.
            except WorkerDiedError:  # it may have died of something else, such as a shortage of memory
                reply = await place.ask(request, job.bounds)
            try:
                return decode_reply(work, reply)
            except MemoryError:
                await place.discard()
                raise BoundCrossedError("memory") from None
            except BrokenReplyError as error:
                await place.discard()
                raise WorkerDiedError("broken reply") from error

    @asynccontextmanager
    async def _turn(self, job: Job) -> AsyncIterator[_Place]:
        turn: asyncio.Future[_Place] = asyncio.get_running_loop().create_future()
        self._turns.add(turn, job)
        self._hand_out()
        try:
            place = await turn
        except asyncio.CancelledError:
            self._turns.withdraw(turn)
            if turn.done() and not turn.cancelled():
                self._give_back(job, turn.result())
            raise
        try:
            yield place
        finally:
            self._give_back(job, place)

    def _hand_out(self) -> None:
        """Give free places to those whose turn it is."""
        while (taken := self._turns.take_next()) is not None:
            turn, job = taken
            if turn.cancelled():  # its caller has left, and was not woken yet
                self._turns.give_back(job)
            else:
                turn.set_result(self._free.pop())

    def _give_back(self, job: Job, place: _Place) -> None:
        self._turns.give_back(job)
        self._free.append(place)
        self._hand_out()
