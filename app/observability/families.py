"""Every metric that there is: its name, what it counts, its labels, and how the numbers of several processes add up.

A table and nothing else: `metrics` says when something is counted, `exposition` how it is shown. `docs/metrics.md` is
compared with it by a test.
"""

from dataclasses import dataclass
from enum import Enum

_SECONDS = 1_000_000
"""Durations are kept in whole microseconds: sums of whole numbers are exact, however many there are."""
_DOLLARS = 1_000_000_000
"""Money is kept in whole nano-dollars, like in every table."""
_LONG = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
_COMMITS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_GROUPS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


class Kind(Enum):
    """What may become of a number."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Merge(Enum):
    """What the gauges of several processes come to. Counters and histograms are always added up."""

    SUM = "sum"
    MOST = "most"
    LEAST = "least"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. Its numbers are whole multiples of one `unit`-th of what is shown."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    unit: int = 1
    buckets: tuple[float, ...] = ()
    merge: Merge = Merge.SUM

    @property
    def width(self) -> int:
        """How many cells one series takes: a histogram has its buckets, one for what is beyond them, and the sum."""
        return len(self.buckets) + 2 if self.kind is Kind.HISTOGRAM else 1


REQUESTS = Family(
    "spillway_requests_total", Kind.COUNTER, "Requests that were answered.", ("endpoint", "model", "status")
)
IMAGES = Family("spillway_images_total", Kind.COUNTER, "Images of requests that have ended.", ("model", "status"))
PIXELS = Family("spillway_pixels_total", Kind.COUNTER, "Pixels of the images that were made.", ("model",))
COST = Family("spillway_cost_usd_total", Kind.COUNTER, "What Runware said that it cost.", ("model",), _DOLLARS)
REQUEST_SECONDS = Family(
    "spillway_request_seconds",
    Kind.HISTOGRAM,
    "How long requests for images took, until the end of the answer.",
    (),
    _SECONDS,
    _LONG,
)
STAGE_SECONDS = Family(
    "spillway_stage_seconds",
    Kind.HISTOGRAM,
    "How long one stage of a request for images took.",
    ("stage",),
    _SECONDS,
    _LONG,
)
ADJUSTMENTS = Family("spillway_adjustments_total", Kind.COUNTER, "How answers differ from what was asked.", ("mode",))
ATTEMPTS = Family(
    "spillway_upstream_attempts_total", Kind.COUNTER, "Exchanges with Runware about tasks.", ("kind", "outcome")
)
RETRIES = Family("spillway_retries_total", Kind.COUNTER, "Tasks that were sent again, under the same id.")
JOINS = Family("spillway_joins_total", Kind.COUNTER, "Requests under a key that joined the work of an earlier one.")
REPLAYS = Family("spillway_replays_total", Kind.COUNTER, "Requests under a key that got the answer of an earlier one.")
ADOPTIONS = Family(
    "spillway_adoptions_total", Kind.COUNTER, "Requests without a key that got the work of a broken connection."
)
TAKEOVERS = Family("spillway_takeovers_total", Kind.COUNTER, "Requests that were taken over from a dead process.")
TASKS = Family("spillway_tasks_in_flight", Kind.GAUGE, "Tasks that have a place at Runware now.")
TASKS_LIMIT = Family("spillway_tasks_in_flight_limit", Kind.GAUGE, "How many places there are for tasks.")
BYTES = Family("spillway_bytes_in_flight", Kind.GAUGE, "Bytes of bodies and images that are held now.")
BYTES_LIMIT = Family("spillway_bytes_in_flight_limit", Kind.GAUGE, "How many bytes are held at most.")
QUEUE = Family("spillway_queue_length", Kind.GAUGE, "Requests that wait for a place, among tasks or in memory.")
REFUSALS = Family("spillway_overload_refusals_total", Kind.COUNTER, "Requests for which there was no room.", ("room",))
BREAKER = Family("spillway_breaker_open", Kind.GAUGE, "1 while Runware does not answer.", merge=Merge.MOST)
COMMIT_SECONDS = Family(
    "spillway_journal_commit_seconds", Kind.HISTOGRAM, "How long one group of writes took.", (), _SECONDS, _COMMITS
)
GROUP_SIZE = Family("spillway_journal_group_size", Kind.HISTOGRAM, "Writes in one group.", (), 1, _GROUPS)
BACKLOG = Family("spillway_journal_backlog", Kind.GAUGE, "Writes that wait for the journal.")
JOURNAL_ERRORS = Family("spillway_journal_errors_total", Kind.COUNTER, "Groups of writes that the database refused.")
WORKERS = Family("spillway_workers", Kind.GAUGE, "Processes that convert images.", ("state",))
RESTARTS = Family("spillway_worker_restarts_total", Kind.COUNTER, "Processes for images that were replaced.")
STORED = Family("spillway_storage_bytes", Kind.GAUGE, "Bytes of hosted images and kept results.", merge=Merge.MOST)
STORAGE_ERRORS = Family(
    "spillway_storage_errors_total", Kind.COUNTER, "Reads and writes that the store of images refused."
)
BUDGET_REFUSALS = Family("spillway_budget_refusals_total", Kind.COUNTER, "Requests that a key's budget did not allow.")
RATE_LIMITED = Family("spillway_rate_limited_total", Kind.COUNTER, "Requests that were too many for their key.")
BALANCE = Family("spillway_runware_balance_usd", Kind.GAUGE, "The balance at Runware.", (), _DOLLARS, merge=Merge.LEAST)
BALANCE_LOW = Family(
    "spillway_runware_balance_low", Kind.GAUGE, "1 while the balance is below SPILLWAY_LOW_BALANCE.", merge=Merge.MOST
)
BUILD = Family("spillway_build_info", Kind.GAUGE, "The version that runs.", ("version",), merge=Merge.MOST)

FAMILIES = (
    REQUESTS, IMAGES, PIXELS, COST, REQUEST_SECONDS, STAGE_SECONDS, ADJUSTMENTS, ATTEMPTS, RETRIES, JOINS, REPLAYS,
    ADOPTIONS, TAKEOVERS, TASKS, TASKS_LIMIT, BYTES, BYTES_LIMIT, QUEUE, REFUSALS, BREAKER, COMMIT_SECONDS, GROUP_SIZE,
    BACKLOG, JOURNAL_ERRORS, WORKERS, RESTARTS, STORED, STORAGE_ERRORS, BUDGET_REFUSALS, RATE_LIMITED, BALANCE,
    BALANCE_LOW, BUILD,
)  # fmt: skip
"""All of them, in the order in which they are shown."""
