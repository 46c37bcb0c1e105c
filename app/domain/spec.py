"""What will be made: a request fitted to a model. Frozen values without behavior."""

from collections.abc import Mapping

from msgspec import Struct

from app.catalog.model import CatalogModel, OutputFormat
from app.domain.answer import Adjustment
from app.domain.lifetimes import Lifetimes
from app.domain.words import Delivery, ImageFormat, JSONValue
from app.images.geometry import TargetShape
from app.images.types import Fit

NATIVE_FORMATS: dict[ImageFormat, OutputFormat] = {
    ImageFormat.PNG: "PNG",
    ImageFormat.JPEG: "JPG",
    ImageFormat.WEBP: "WEBP",
    ImageFormat.SVG: "SVG",
}
"""The provider's own name of each format it can make."""


class FormatPlan(Struct, frozen=True):
    """How the asked format comes about: what the provider makes, and whether we convert it."""

    delivered: ImageFormat
    quality: int | None
    native: OutputFormat
    native_quality: int | None


class Composition(Struct, frozen=True):
    """What is done to an image after it was made: it gets exactly `size`, or is pasted into the caller's own."""

    size: tuple[int, int]
    fit: Fit
    pad: str
    pastes: bool


class OutputSpec(Struct, frozen=True):
    """What becomes of made images: all that delivery needs of a spec."""

    size: tuple[int, int] | None
    """What the model is asked for."""
    delivery: Delivery
    native_link: bool
    """The caller gets the provider's own link: nobody has to touch the image."""
    format: FormatPlan
    composition: Composition | None
    # The defaults are for rows of the journal that are older than these three (0075).
    transparent: bool = False
    """The images must have an alpha channel."""
    link_seconds: int | None = None
    """How long the provider's own link lives, where the caller said."""
    lives: Lifetimes | None = None
    """How long the images are here; where it is not said, as this gateway does."""


class TaskPlace(Struct, frozen=True):
    """Where the images of a task belong in the answer, counted from 0; `wanted` are delivered of those it makes."""

    task_id: str
    first_index: int
    wanted: int
    number_results: int


class ImageSpec(Struct, frozen=True):
    """What will be made: a request fitted to a model."""

    model: CatalogModel
    prompt: str | None
    count: int
    per_task: int
    """How many of the images one task makes for the caller."""
    output: OutputSpec
    seed: int | None
    fields: Mapping[str, JSONValue]
    """Further task fields, in the provider's words: translated parameters and what the caller passes through."""
    blank: tuple[int, int] | None
    """The size of the blank image that stands in for one to edit."""
    reference_shape: TargetShape | None
    """The shape the first input image gets, so that the result has it."""
    # Travel with the decision itself, so that no later step has to find out what was changed.
    adjustments: tuple[Adjustment, ...]
