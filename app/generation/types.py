"""The values that travel between the stages of a request, in Spillway's own words.

All are frozen. OpenAI's words stay in `openai_api`, Runware's in `runware`; `extras` alone carries fields whose
names the caller took from Runware, untouched, to the task.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from app.catalog.model import CatalogModel, Mode, OutputFormat
from app.images.fits import Fit

JSONValue: TypeAlias = "bool | int | float | str | list[JSONValue] | dict[str, JSONValue] | None"


class PictureFormat(StrEnum):
    """A format we can deliver."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    GIF = "gif"
    AVIF = "avif"
    SVG = "svg"

    @property
    def media_type(self) -> str:
        """The Content-Type of such a picture."""
        return "image/svg+xml" if self is PictureFormat.SVG else f"image/{self.value}"


NATIVE_FORMATS: dict[PictureFormat, OutputFormat] = {
    PictureFormat.PNG: "PNG",
    PictureFormat.JPEG: "JPG",
    PictureFormat.WEBP: "WEBP",
    PictureFormat.SVG: "SVG",
}
"""The provider's own name of each format it can make."""


class Delivery(StrEnum):
    """How a picture reaches the caller."""

    LINK = "link"
    EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class SizeWish:
    """The size the caller asked for. At most one of `exact` and `ratio` is set.

    `ratio` is width / height. `area` is in pixels. The texts are what the caller wrote, for reports;
    `ratio_field` names the field the ratio came from.
    """

    exact: tuple[int, int] | None = None
    ratio: float | None = None
    area: int | None = None
    text: str = ""
    ratio_field: str = "aspect_ratio"
    area_text: str = ""
    ignored: tuple[tuple[str, str], ...] = ()
    """Fields that `size` made meaningless, with their values."""


@dataclass(frozen=True, slots=True)
class UploadedPicture:
    """A picture whose bytes came with the request; `param` is the caller's name for it."""

    param: str
    data: bytes


@dataclass(frozen=True, slots=True)
class LinkedPicture:
    """A picture named by an http(s) address."""

    param: str
    url: str


InputPicture = UploadedPicture | LinkedPicture


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What the caller wants, understood but not yet fitted to a model."""

    mode: Mode
    prompt: str | None
    model: str | None = None
    count: int = 1
    size: SizeWish = SizeWish()
    delivery: Delivery | None = None
    format: PictureFormat | None = None
    compression: int | None = None
    background: str | None = None
    fit: Fit | None = None
    pictures: tuple[InputPicture, ...] = ()
    mask: InputPicture | None = None
    markup: InputPicture | None = None
    seed: int | None = None
    words: Mapping[str, JSONValue] = field(default_factory=dict)
    """Words of OpenAI's and common extensions, translated where the model has the thing, else reported."""
    extras: Mapping[str, JSONValue] = field(default_factory=dict)
    user: str | None = None
    stream: bool = False
    webhook_url: str | None = None


class AdjustmentMode(StrEnum):
    """How an answer differs from what was asked."""

    CHANGED = "changed"
    CONVERTED = "converted"
    EMULATED = "emulated"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One difference between what was asked and what is delivered, in the caller's words."""

    param: str
    requested: JSONValue
    applied: JSONValue
    mode: AdjustmentMode
    reason: str


@dataclass(frozen=True, slots=True)
class FormatPlan:
    """How the asked format comes about: what the provider makes, and whether we convert it."""

    delivered: PictureFormat
    quality: int | None
    native: OutputFormat
    native_quality: int | None

    @property
    def converts(self) -> bool:
        """Whether the bytes must be rewritten by us."""
        return NATIVE_FORMATS.get(self.delivered) != self.native


@dataclass(frozen=True, slots=True)
class Finish:
    """What is done to a picture after it was made: it gets exactly `size`, or is pasted into the caller's own."""

    size: tuple[int, int]
    fit: Fit
    pad: str
    pastes: bool


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """What will be made: a request fitted to a model."""

    model: CatalogModel
    prompt: str | None
    count: int
    size: tuple[int, int] | None
    delivery: Delivery
    native_link: bool
    """The caller gets the provider's own link: nobody has to touch the picture."""
    format: FormatPlan
    seed: int | None
    fields: Mapping[str, JSONValue]
    """Further task fields, in the provider's words: translated words and the caller's extras."""
    needs_blank_picture: bool
    splits: bool
    """Every picture gets a task of its own, so that it can be sent the moment it exists."""
    finish: Finish | None
    transparent: bool
    """The pictures must have an alpha channel."""
    adjustments: tuple[Adjustment, ...]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a request brings along besides its body.

    `origin` is scheme://host[:port] as the caller sees it; `default_delivery` applies when he does not say.
    """

    request_id: str
    origin: str
    default_delivery: Delivery
    strict: bool = False
    tenant: str = "anonymous"
    idempotency_key: str | None = None
    retries: bool = False
    """The caller's client says that this is a retry."""
    wait: float | None = None
    """Seconds the caller waits, where he says."""
    client_request_id: str | None = None
    in_background: bool = False
    """The caller does not wait, but asks later."""
    instead_of: tuple[str, ...] = ()
    """Earlier requests under the same key, so old that this is another one."""

    @property
    def may_ask_again(self) -> bool:
        """Whether the answer is likely to be asked for later."""
        return self.idempotency_key is not None or self.in_background


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that was asked for and does not exist; `index` counts from 0."""

    index: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One exchange with the provider about one task."""

    task_id: str
    kind: str
    outcome: str
    status: int | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class DeliveredImage:
    """One picture of the answer: either `url` or `base64`, never both. `base64` is bare standard base64."""

    size: tuple[int, int] | None
    format: PictureFormat
    seed: int | None
    url: str | None = None
    expires_at: int | None = None
    base64: bytes | memoryview | None = None
    alpha: bool | None = None
    """Whether it can hold transparency, where somebody looked."""
    hosted: str | None = None
    """The name it is hosted under here, if it is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, before it is put into OpenAI's words. `cost` is None when the provider did not say."""

    request_id: str
    created: int
    model: CatalogModel
    requested_model: str
    images: tuple[DeliveredImage, ...]
    failures: tuple[Failure, ...]
    format: PictureFormat
    cost: Decimal | None
    task_ids: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    adjustments: tuple[Adjustment, ...]
    replayed: bool = False
    """It was answered before, under the same key."""
