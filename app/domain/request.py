"""What a caller wants, in Spillway's own words. Frozen values without behavior.

OpenAI's names stay in `openai_api`, Runware's in `runware`; `passthrough` alone carries fields whose names the caller
took from Runware, untouched, to the task.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field

from msgspec import Struct, field

from app.catalog.modes import Mode
from app.domain.words import Delivery, ImageFormat, JSONValue
from app.images.types import Fit, ImageBytes


class SizeRequest(Struct, frozen=True):
    """The size the caller asked for. At most one of `exact` and `ratio` is set.

    `ratio` is width / height. `area` is in pixels. The texts are what the caller wrote, for reports;
    `ratio_field` and `area_field` name the fields these came from.
    """

    exact: tuple[int, int] | None = None
    ratio: float | None = None
    area: int | None = None
    text: str = ""
    ratio_field: str = "aspect_ratio"
    area_text: str = ""
    area_field: str = "resolution"
    ignored: tuple[tuple[str, str], ...] = ()
    """Fields that `size` made meaningless, with their values."""
    scale_factor: float | None = None
    """The factor by which the size was computed from the first image's."""


@dataclass(frozen=True, slots=True)
class UploadedImage:
    """An image whose bytes came with the request; `param` is the caller's name.

    `digest` identifies the bytes: `<name of the hash>:<64 hexadecimal digits>`; empty before it is computed.
    """

    param: str
    content: ImageBytes
    digest: str = dataclass_field(default="", compare=False)

    @property
    def data(self) -> bytes:
        """The bytes, as long as they are there."""
        return self.content.data


class LinkedImage(Struct, frozen=True):
    """An image named by an http(s) address, or by its id at the provider."""

    param: str
    url: str

    @property
    def is_id(self) -> bool:
        """Whether it is an id: nothing but the provider can look at it."""
        return not self.url.lower().startswith("http")


InputImage = UploadedImage | LinkedImage


class IgnoredField(Struct, frozen=True):
    """A field that another one of the same request made meaningless."""

    param: str
    value: JSONValue
    reason: str


class _OfMode(Struct, frozen=True):
    mode: Mode


class Shape(_OfMode, frozen=True, kw_only=True):
    """What decides how a request is fitted to its model, and is the same in many requests. Hashable (0071)."""

    model: str | None = None
    """As the caller calls it."""
    count: int = 1
    size: SizeRequest = SizeRequest()
    delivery: Delivery | None = None
    format: ImageFormat | None = None
    compression: int | None = None
    background: str | None = None
    fit: Fit | None = None
    parameters: tuple[tuple[str, JSONValue], ...] = ()
    """Fields of OpenAI's and common extensions, translated where the model has the thing, else reported."""
    stream: bool = False
    ttl: int | None = None
    """How long its images can be had, in seconds."""

    def parameter(self, name: str) -> JSONValue:
        """The value of one of the parameters; None where it is not set."""
        return next((value for known, value in self.parameters if known == name), None)


class ImageRequest(Shape, frozen=True):
    """What the caller wants, understood but not yet fitted to a model: its shape, and what is carried along."""

    prompt: str | None
    images: tuple[InputImage, ...] = ()
    mask: InputImage | None = None
    mask_is_native: bool = False
    """The mask was given under the provider's own name: white is what to edit."""
    markup: InputImage | None = None
    seed: int | None = None
    passthrough: Mapping[str, JSONValue] = field(default_factory=dict)
    user: str | None = None
    webhook_url: str | None = None
    in_background: bool = False
    """The body itself asks not to wait."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What the caller called a field, where that is not OpenAI's name."""
    ignored: tuple[IgnoredField, ...] = ()
    # For finding misspelled names only; left out of the fingerprint (0063).
    given: frozenset[str] = frozenset()
    """The names of all fields that have a value, as the caller wrote them."""
