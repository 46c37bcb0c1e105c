"""The values of the journal: what is claimed, and what is known of a request. Frozen; times are unix seconds."""

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum, StrEnum

from msgspec import Struct

from app.domain.answer import Result, TaskCost
from app.domain.caller import ApiKey
from app.domain.spec import OutputSpec, TaskPlace
from app.errors import GatewayError

UNREADABLE = "unreadable"
"""The error of a request whose row holds what nobody wrote. No JSON: a reader finds an error that says so."""


class Status(StrEnum):
    """How far a request is. What is final is written once, and replayed from then on."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether nothing changes any more."""
        return self not in {Status.QUEUED, Status.PROCESSING}


class Intent(Struct, frozen=True):
    """A request that is about to be carried out, with everything that must be durable before.

    `key_hash` is of the Idempotency-Key, None without one. `retries` says that the caller's client calls it a retry.
    `plan` is JSON: what recovery needs beside the tasks' ids.
    """

    request_id: str
    tenant: str
    key_hash: str | None
    fingerprint: str
    endpoint: str
    model: str
    executed_model: str
    n: int
    task_ids: tuple[str, ...]
    estimate: Decimal | None
    plan: str
    # From the SDK's own header. A hint only: without it a retry is recognized by the broken connection (0062).
    retries: bool = False
    is_another: bool = False
    """Equal requests have callers of their own, as was found out: it is not the retry of one of them."""
    user: str | None = None
    client_request_id: str | None = None
    prompt: str | None = None
    queued: bool = False
    """It waits for its turn."""
    joins_only: bool = False
    """It may join what was begun before, but nothing new may be begun."""
    # Stored with the claim, so that whichever process ends the request can send it.
    webhook_url: str | None = None
    dropped: int = 0
    """Fields that were dropped and reported."""
    hosted: int = 0
    """Images that must be hosted here."""
    key: ApiKey | None = None
    """The key that pays, where it is one of the database."""
    reserve: Decimal = Decimal(0)
    """Dollars that the ledger holds for it until it has ended, where no account decides that with the claim."""


class Record(Struct, frozen=True):
    """What is known of a request. `answer` and `error` are JSON, there once it ended; so are the costs."""

    id: str
    tenant: str
    fingerprint: str
    endpoint: str
    model: str
    executed_model: str
    n: int
    status: Status
    created_at: float
    completed_at: float | None
    delivered_at: float | None
    owner: str
    fence: int
    beat: int
    tries: int
    estimate: Decimal | None
    plan: str
    answer: str | None
    error: str | None
    user: str | None
    client_request_id: str | None
    webhook_url: str | None = None
    webhook_attempts: int = 0
    webhook_next: float | None = None
    webhook_status: int | None = None
    images_kept: bool | None = None
    """Whether every image of the answer is behind a link or stored here; None in rows that are older than this."""
    prompt: str | None = None
    """Only where prompts are stored."""
    images_until: float | None = None
    """Until when its images may be asked for; None in rows that are older than this."""
    has_key: bool = False
    """Whether a key leads to it."""
    costs: tuple[TaskCost, ...] = ()

    @property
    def task_ids(self) -> tuple[str, ...]:
        """The ids of its tasks, in order."""
        return tuple(cost.task_id for cost in self.costs)


class PlanView(Struct, frozen=True):
    """What a request became: its tasks by the places of their images, and what becomes of the images."""

    places: tuple[TaskPlace, ...]
    output: OutputSpec


class RequestView(Struct, frozen=True):
    """A request as it may be shown: what is known of it, with its result or its error where it ended."""

    record: Record
    result: Result | None
    error: GatewayError | None
    plan: PlanView | None = None
    """None where it cannot be read."""


class Lease(Struct, frozen=True):
    """A hold on a request. It is over as soon as the journal has a larger `fence`: the one that took it counts."""

    request_id: str
    fence: int


class Sighting(Struct, frozen=True):
    """How a request that has not ended, or was not delivered, was last seen. `owner` is empty where it was let go."""

    request_id: str
    owner: str
    fence: int
    beat: int
    tries: int
    is_open: bool
    tenant: str = ""


class Settlement(Struct, frozen=True):
    """How a request ended. `releases` forgets its key, since surely nothing ran.

    `cost` is all it cost, None where a part is unknown; then `known_cost` is the rest.
    """

    status: Status
    answer: str | None
    error: str | None
    cost: Decimal | None
    known_cost: Decimal | None = None
    # Only with a cost that is known to be zero (0065).
    releases: bool = False
    images_kept: bool | None = None
    """Whether every image of the answer is behind a link or stored here."""
    images: int = 0
    """How many images came."""
    images_until: float | None = None
    """Until when they may be asked for."""


class Sums(Struct, frozen=True):
    """Sums over requests: what is known of their cost, how many ended with a part unknown, how many in which state."""

    known_cost: Decimal
    unknown: int
    by_status: Mapping[str, int]


class Receipt(Enum):
    """How a caller left: with its answer, without it, or knowing where to ask for it later."""

    # Read, as far as the connection shows (0052): ends joining without a key.
    DELIVERED = "delivered"
    # Left without it: the next equal request may be its retry (0062).
    LOST = "lost"
    # Left with the request's id, as after 202 or 504: it asks by id, or joins under its key.
    DEFERRED = "deferred"


class NothingToJoinError(Exception):
    """There is no earlier request that this one could join."""


class KeyReusedError(Exception):
    """The same Idempotency-Key came with another request."""


class KeyExpiredError(Exception):
    """The key was used for the request `earlier_id`, so long ago that this is another one."""

    def __init__(self, earlier_id: str) -> None:
        super().__init__(earlier_id)
        self.earlier_id = earlier_id
