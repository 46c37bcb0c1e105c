"""What a caller gets, and how it differs from what was asked. Frozen values without behavior."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct, field

from app.catalog.model import CatalogModel
from app.domain.lifetimes import Lifetimes
from app.domain.words import ImageFormat, JSONValue


class AdjustmentMode(StrEnum):
    """How an answer differs from what was asked."""

    CHANGED = "changed"
    CONVERTED = "converted"
    EMULATED = "emulated"
    DROPPED = "dropped"


class Adjustment(Struct, frozen=True):
    """One difference between what was asked and what is delivered, in the caller's words."""

    param: str
    requested: JSONValue
    applied: JSONValue
    mode: AdjustmentMode
    reason: str


class MissingImage(Struct, frozen=True):
    """An image that was asked for and does not exist; `index` counts from 0."""

    index: int
    code: str
    message: str


class Attempt(Struct, frozen=True):
    """One exchange with the provider about one task."""

    task_id: str
    kind: str
    outcome: str
    status: int | None
    duration_ms: int
    # The default is for rows that are older than this member.
    started_ms: int | None = None
    """When it began, counted from the first exchange about its task."""


class TaskCost(Struct, frozen=True):
    """What is known of one task's cost, in dollars; a part of it is unknown where it is not complete."""

    task_id: str
    # Decimal from Runware's text to the bill: binary fractions do not add up to the cent.
    known: Decimal
    is_complete: bool


class DeliveredImage(Struct, frozen=True):
    """One image of the answer: either `url` or `base64`, never both. `base64` is bare standard base64."""

    size: tuple[int, int] | None
    format: ImageFormat
    seed: int | None
    url: str | None = None
    expires_at: int | None = None
    # A view into Runware's own answer where it passes as it came: megabytes are not copied. Never stored with the rest.
    base64: memoryview | None = None
    alpha: bool | None = None
    """Whether it can hold transparency, where somebody looked."""
    name: str | None = None
    """The name its bytes are kept under here, where they were embedded and are kept."""
    # Stored instead of the link, which expires: a replay signs a new one (0057).
    hosted: str | None = None
    """The name it is hosted under here, if it is."""
    image_uuid: str | None = None
    """Its id at Runware."""
    nsfw_content: bool | None = None
    """What the safety check found, where there was one."""
    provider_fields: Mapping[str, JSONValue] = field(default_factory=dict)
    """What else Runware said of it, under Runware's own names."""
    as_uri: bool = False
    """The base64 is given as a data URI."""


class Result(Struct, frozen=True):
    """What became of the images of a request, and how: all of an answer that is stored, the bytes apart (0075)."""

    created: int
    images: tuple[DeliveredImage, ...]
    failures: tuple[MissingImage, ...]
    task_ids: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    adjustments: tuple[Adjustment, ...]
    # The defaults are for rows that are older than these members.
    provider_fields: Mapping[str, JSONValue] = field(default_factory=dict)
    """What Runware said of no image in particular, under its own names."""
    lives: Lifetimes | None = None
    """How long its images are here; where it is not said, as this gateway does."""


class Answer(Struct, frozen=True):
    """A whole answer, before it is put into OpenAI's words. `costs` has every task that was sent for it."""

    request_id: str
    model: CatalogModel
    result: Result
    # By task and not as a sum, since a missing part may be learned later (0101).
    costs: tuple[TaskCost, ...]
    replayed: bool = False
    """It was answered before, under the same key."""
