"""What is counted of a running gateway, in verbs that say what happened. Where metrics are off, nothing is.

One value, built at the start and handed to whoever has something to tell; there is no other way to count. Owns which
labels there can be: names of models that the catalog does not list are one, and whatever comes from callers is none.
Leaves the cells to `numbers` and how they are shown to `exposition`.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

from app.observability import families as f
from app.observability.instruments import Counter, Gauge, Histogram
from app.observability.numbers import Numbers

OTHER = "other"
"""The label of what is not known by name."""
_ABORTED = "aborted"
"""The status of a request whose caller left before it was answered."""
_NANO = 1_000_000_000
_STATUSES = range(100, 600)
Stage = Literal["queue", "prepare", "upstream", "deliver"]
Room = Literal["tasks", "bytes"]
_STAGES: tuple[Stage, ...] = ("queue", "prepare", "upstream", "deliver")
_ROOMS: tuple[Room, ...] = ("tasks", "bytes")
_MODES = ("changed", "converted", "emulated", "dropped")
WORKER_STATES = ("idle", "busy", "starting")


class Ending(NamedTuple):
    """What the ledger learns of a request: images only when it ends first, and by how much its known cost grows."""

    air: str
    made: int
    failed: int
    nanos: int


class Metrics:
    """Counts into `numbers`, nowhere without. `models` leads from AIR ids, in lower case, to ids of the catalog."""

    def __init__(self, numbers: Numbers | None, models: Mapping[str, str] | None = None) -> None:
        self._models = dict(models or {})
        self._ids = frozenset(self._models.values())
        self._requests = Counter(numbers, f.REQUESTS)
        self._seconds = Histogram(numbers, f.REQUEST_SECONDS)
        self._stages = {stage: Histogram(numbers, f.STAGE_SECONDS, (stage,)) for stage in _STAGES}
        self._images = Counter(numbers, f.IMAGES)
        self._pixels = Counter(numbers, f.PIXELS)
        self._cost = Counter(numbers, f.COST)
        self._owed: dict[str, int] = {}
        self._adjustments = Counter(numbers, f.ADJUSTMENTS, *((mode,) for mode in _MODES))
        self._attempts = Counter(numbers, f.ATTEMPTS)
        self._retries = Counter(numbers, f.RETRIES)
        self._joins = Counter(numbers, f.JOINS)
        self._replays = Counter(numbers, f.REPLAYS)
        self._adoptions = Counter(numbers, f.ADOPTIONS)
        self._takeovers = Counter(numbers, f.TAKEOVERS)
        self._refusals = Counter(numbers, f.REFUSALS, *((room,) for room in _ROOMS))
        self._commits = Histogram(numbers, f.COMMIT_SECONDS)
        self._groups = Histogram(numbers, f.GROUP_SIZE)
        self._journal_errors = Counter(numbers, f.JOURNAL_ERRORS)
        self._restarts = Counter(numbers, f.RESTARTS)
        self._storage_errors = Counter(numbers, f.STORAGE_ERRORS)
        self._budget_refusals = Counter(numbers, f.BUDGET_REFUSALS)
        self._rate_limited = Counter(numbers, f.RATE_LIMITED)
        self._gauges = {
            family.name: Gauge(numbers, family)
            for family in f.FAMILIES
            if family.kind is f.Kind.GAUGE and family is not f.BUILD
        }
        self._workers = Gauge(numbers, f.WORKERS, *((state,) for state in WORKER_STATES))

    @classmethod
    def off(cls) -> "Metrics":
        """Where nobody wants to know."""
        return cls(None)

    # Requests.

    def request_ended(self, endpoint: str, model: str, status: int) -> None:
        """A request was answered, with status 0 where its caller left before; `model` is a label, or empty."""
        shown = str(status) if status in _STATUSES else _ABORTED
        self._requests.add((endpoint, model, shown))

    def image_request_ended(self, seconds: float) -> None:
        """A request for images was answered after so many seconds."""
        self._seconds.observe(seconds)

    def stage_ended(self, stage: Stage, seconds: float) -> None:
        """One stage of a request took so long."""
        self._stages[stage].observe(seconds)

    def timer(self, stage: Stage) -> Callable[[float], None]:
        """What a part that runs a stage of every request tells how many seconds it took, however it ended."""
        return self._stages[stage].observe

    def adjusted(self, mode: str, count: int = 1) -> None:
        """An answer differs from what was asked."""
        self._adjustments.add((mode,), count)

    def joined(self) -> None:
        """A request under a key waits for the work of an earlier one."""
        self._joins.add()

    def replayed(self) -> None:
        """A request under a key gets the answer of an earlier one."""
        self._replays.add()

    def adopted(self) -> None:
        """A request without a key gets the work of an equal one whose connection broke."""
        self._adoptions.add()

    def taken_over(self) -> None:
        """Work that another process left is resolved here."""
        self._takeovers.add()

    def refused(self, room: Room, count: int = 1) -> None:
        """A request found no room, and its queue was full."""
        self._refusals.add((room,), count)

    def budget_refused(self) -> None:
        """A request was more than the budget of its key allows."""
        self._budget_refusals.add()

    def rate_limited(self) -> None:
        """A request was one too many for its key."""
        self._rate_limited.add()

    # Images and money.

    def request_settled(self, ending: Ending) -> None:
        """What the ledger wrote down of a request is durable."""
        model = self.model_of(ending.air)
        if ending.made:
            self._images.add((model, "completed"), ending.made)
        if ending.failed:
            self._images.add((model, "failed"), ending.failed)
        # A counter never falls, so what turns out to be less is taken from what comes next.
        more = self._owed.pop(model, 0) + ending.nanos
        if more < 0:
            self._owed[model] = more
        elif more:
            self._cost.add((model,), more)

    def pixels_made(self, air: str, pixels: int) -> None:
        """Images of so many pixels were made."""
        if pixels:
            self._pixels.add((self.model_of(air),), pixels)

    def model_of(self, air: str) -> str:
        """The label of a model: its id in the catalog, `other` for one that is not listed."""
        return self._models.get(air.lower(), OTHER)

    def label_of(self, model_id: str) -> str:
        """The label of a model that was found by its name."""
        return model_id if model_id in self._ids else OTHER

    # Runware.

    def task_attempted(self, kind: str, outcome: str) -> None:
        """One exchange about a task ended."""
        self._attempts.add((kind, outcome))

    def task_retried(self) -> None:
        """A task is sent again."""
        self._retries.add()

    # The journal, from its own thread.

    def journal_committed(self, size: int, seconds: float) -> None:
        """A group of so many writes was committed, or refused."""
        self._groups.observe(size)
        self._commits.observe(seconds)

    def journal_failed(self) -> None:
        """The database refused a group as a whole."""
        self._journal_errors.add()

    # Workers and stores.

    def worker_replaced(self) -> None:
        """A process for images had to be replaced."""
        self._restarts.add()

    def storage_failed(self) -> None:
        """The store of images did not do what it was asked to."""
        self._storage_errors.add()

    # What is now: see `gauges`.

    def state(self, family: f.Family, value: float) -> None:
        """What a gauge is now, in what is shown."""
        self._gauges[family.name].set(round(value * family.unit))

    def state_balance(self, dollars: Decimal, *, is_low: bool) -> None:
        """What the account at Runware had when it was last asked for."""
        self._gauges[f.BALANCE.name].set(int(dollars * _NANO))
        self._gauges[f.BALANCE_LOW.name].set(int(is_low))

    def state_workers(self, counts: Mapping[str, int]) -> None:
        """How many processes for images are in which state."""
        for state in WORKER_STATES:
            self._workers.set(counts.get(state, 0), (state,))
