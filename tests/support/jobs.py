"""A job runner over a real SQLite journal, whose images are made by a test."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from pydantic import SecretStr

from app.access.admission import Admission
from app.access.budgets import Accounts
from app.access.gates import Gates
from app.access.meters import Meters
from app.catalog.modes import Mode
from app.catalog.registry import Registry, unlisted_model
from app.domain.answer import Answer, DeliveredImage, Result
from app.domain.context import RequestContext
from app.domain.outcome import Answered, Outcome
from app.domain.request import ImageRequest
from app.domain.values import replace
from app.domain.words import Delivery, ImageFormat
from app.jobs.entry import Accepted
from app.jobs.job import Job
from app.jobs.leases import LeaseKeeper
from app.jobs.memory import KeyMemory
from app.jobs.result_store import ResultStore
from app.jobs.runner import JobRunner
from app.jobs.shelf import Keep
from app.jobs.takeover import Takeover
from app.journal.journal import Journal
from app.journal.records import Record
from app.planning.bind import bind
from app.planning.decide import decide
from app.planning.fingerprint import TaskIds
from app.planning.plan import NO_FITTED_INPUTS
from app.planning.prepared import Prepared
from app.runware.keys import Keys, OwnKey
from tests.support.databases import open_migrated
from tests.support.media import open_folder, open_shelf

MODEL = unlisted_model("civitai:1@1")
TASK_IDS = TaskIds(b"secret")
COST = Decimal("0.01")
KEYS = OwnKey(SecretStr("the-gateways-own-key"))
UNPRICED = Decimal("0.25")
_numbers = itertools.count()


def prepare(prompt: str = "a pear", *, count: int = 1, stream: bool = False, **context: object) -> Prepared:
    """A request as planning leaves it, each under an id of its own."""
    request = ImageRequest(Mode.GENERATE, prompt, count=count, stream=stream, delivery=Delivery.LINK)
    own = replace(RequestContext(f"req_{next(_numbers)}", "http://gateway", Delivery.LINK), **context)
    spec = decide(request, MODEL, default_delivery=Delivery.LINK)
    return bind(request, "m", spec, NO_FITTED_INPUTS, own, TASK_IDS)


def answer(job: Job, task_ids: tuple[str, ...] = (), **image: object) -> Answer:
    """An answer of one image."""
    made = DeliveredImage((8, 8), ImageFormat.PNG, 7, **({"url": "https://example.com/a.png"} | image))
    return Answer(job.request_id, MODEL, Result(1, (made,), (), task_ids, (), ()), job.bill.costs)


Work = Callable[[Job], Awaitable[Outcome]]


@dataclass
class Maker:
    """The executor of a test: counts what it is asked for, and does what the test says."""

    work: Work | None = None
    look: Work | None = None
    bought: list[tuple[str, ...]] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)

    async def execute(self, prepared: Prepared, job: Job) -> Outcome:
        """Buy, by the test's word."""
        ids = tuple(task.task_uuid for task in prepared.plan.tasks)
        self.bought.append(ids)
        for task_id in ids:
            job.bill.open_task(task_id)
        if self.work is not None:
            return await self.work(job)
        for task_id in ids:
            job.bill.add(task_id, [COST], is_complete=True)
        return Answered(answer(job, ids))

    async def resolve(self, record: Record, job: Job) -> Outcome:
        """Find what was bought, by the test's word."""
        self.resolved.append(record.id)
        if self.look is not None:
            return await self.look(job)
        return Answered(answer(job, record.task_ids))


class Wakes:
    """Counts how often webhooks were woken."""

    count = 0

    def wake(self) -> None:
        """One more."""
        self.count += 1


@dataclass
class Replica:
    """A runner with what it works on."""

    runner: JobRunner
    takeover: Takeover
    journal: Journal
    maker: Maker
    wakes: Wakes
    admission: Admission

    async def record(self, request_id: str) -> Record:
        """What the journal says of a request."""
        found = await self.journal.history.find_request(request_id)
        assert found is not None
        return found

    async def ended(self, request_id: str) -> Record:
        """What it says once the request has ended."""
        for _ in range(500):
            if (record := await self.record(request_id)).status.final:
                return record
            await asyncio.sleep(0.02)
        raise AssertionError(record)


@asynccontextmanager
async def open_runner(
    folder: Path,
    maker: Maker,
    *,
    url: str | None = None,
    lease_seconds: float = 15.0,
    capacity: int = 100,
    max_queued: int = 100,
    key_ttl: float = 1000.0,
    keys: Keys | None = None,
    keep: Keep = Keep.UNDELIVERED,
    memory: KeyMemory | None = None,
) -> AsyncIterator[Replica]:
    """A process's runner; `url` is the journal that several share."""
    engine = open_migrated(url or f"sqlite:///{folder / 'journal.db'}")
    journal = Journal.on(engine, key_ttl=key_ttl, adopt_window=60.0, owner=uuid.uuid4().hex)
    keeper = LeaseKeeper(journal, lease_seconds)
    shelf, _ = open_shelf(open_folder(folder), journal, keep=keep)
    wakes, admission = Wakes(), Admission(capacity, max_queued)
    results = ResultStore(shelf, Registry([MODEL]))
    gates = Gates(admission, Accounts(UNPRICED), Meters(journal.reader))
    runner = JobRunner(journal, results, keeper, maker, memory, gates=gates, task_ids=TASK_IDS, webhooks=wakes)
    takeover = Takeover(journal, keeper, runner, keys or KEYS)
    runner.start()
    try:
        yield Replica(runner, takeover, journal, maker, wakes, admission)
    finally:
        takeover.loop.stop()
        await runner.close(5)
        await asyncio.to_thread(journal.close)


def run(course: Coroutine[None, None, None]) -> None:
    """A test's course of events, within a minute."""
    asyncio.run(asyncio.wait_for(course, 60))


def kept_open() -> tuple[asyncio.Event, Maker]:
    """A maker whose work goes on until the event is set."""
    gate, maker = asyncio.Event(), Maker()

    async def work(job):
        await gate.wait()
        return Answered(answer(job))

    maker.work = work
    return gate, maker


async def answered(replica: Replica, accepted: Accepted) -> Answer:
    """The answer to an accepted request."""
    outcome = await replica.runner.wait_for(accepted, 10)
    assert isinstance(outcome, Answered)
    return outcome.answer


def failing(error: Exception) -> Maker:
    """A maker whose work fails."""

    async def work(_):
        raise error

    return Maker(work)
