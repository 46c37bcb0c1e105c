"""What is known about one model: the typed form of a catalog entry.

Owns the shape of the YAML and its own consistency. An unknown limit is absent, never guessed. Leaves reading
files to `loader`, looking models up to `registry`, and every decision about a request to `generation`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from app.catalog.field_rules import FieldRule
from app.catalog.modes import Mode
from app.catalog.prices import Pricing

AIR_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]*:[a-z0-9][a-z0-9_.-]*@[a-z0-9][a-z0-9_.-]*", re.IGNORECASE | re.ASCII)
_SIZE_PATTERN = re.compile(r"(\d{1,5})x(\d{1,5})")

Dimensions = tuple[int, int]
Slot = Literal["referenceImages", "seedImage", "image"]
OutputFormat = Literal["PNG", "JPG", "WEBP", "TIFF", "SVG"]
TaskType = Literal["imageInference", "upscale", "removeBackground", "vectorize"]


def _parse_dimensions(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _SIZE_PATTERN.fullmatch(value)
    if match is None:
        message = f"expected WIDTHxHEIGHT, like 1024x768; got {value!r}"
        raise ValueError(message)
    return int(match[1]), int(match[2])


SizeText = Annotated[
    Dimensions,
    BeforeValidator(_parse_dimensions),
    PlainSerializer(lambda size: f"{size[0]}x{size[1]}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,5}x\d{1,5}$"}),
]
Side = Annotated[int, Field(ge=1, le=65_536)]


class _Entry(BaseModel):
    # A misspelled limit would be no limit: unknown members are faults.
    model_config = ConfigDict(frozen=True, extra="forbid")


class FixedSizes(_Entry):
    """Only these sizes exist, grouped by resolution tier."""

    kind: Literal["fixed"]
    tiers: dict[str, Annotated[tuple[SizeText, ...], Field(min_length=1)]] = Field(min_length=1)


class GridSizes(_Entry):
    """Any size whose sides lie in a range on a grid, within a pixel budget and aspect limits where stated."""

    kind: Literal["range", "budget"]
    min_side: Side = 1
    max_side: Side = 65_536
    step: Side = 1
    min_pixels: int | None = Field(None, ge=1)
    max_pixels: int | None = Field(None, ge=1)
    min_aspect: float | None = Field(None, gt=0, description="The smallest width / height.")
    max_aspect: float | None = Field(None, gt=0, description="The largest width / height.")

    @model_validator(mode="after")
    def _check(self) -> "GridSizes":
        # Found at load time; otherwise sizing would fail on a paying caller.
        largest = (self.max_side // self.step) * self.step
        if largest < self.min_side:
            message = "no side is legal between min_side and max_side on this step"
            raise ValueError(message)
        if not any(self._allows_square(side) for side in range(self.step, largest + 1, self.step)):
            message = "no square is legal between these limits"
            raise ValueError(message)
        return self

    def _allows_square(self, side: int) -> bool:
        in_budget = (self.min_pixels or 0) <= side * side <= (self.max_pixels or side * side)
        return side >= self.min_side and in_budget and (self.min_aspect or 1) <= 1 <= (self.max_aspect or 1)


class TierSizes(_Entry):
    """Resolution tiers without a table: sizes follow from the area of the tier and the shape."""

    kind: Literal["tiers"]
    # Sizes are computed from these, so there must be one.
    tiers: Annotated[tuple[str, ...], Field(min_length=1)]


class UnpublishedSizes(_Entry):
    """The limits are not published: a size asked for is passed as it is, and Runware judges."""

    kind: Literal["unpublished"]


class AutomaticSizes(_Entry):
    """The model chooses by itself and takes no width and height."""

    kind: Literal["automatic"]


SizeRules = Annotated[
    FixedSizes | GridSizes | TierSizes | UnpublishedSizes | AutomaticSizes, Field(discriminator="kind")
]


class SizeUse(StrEnum):
    """When a task carries width and height."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    WITHOUT_IMAGES = "without_images"  # input images and dimensions exclude each other


class PromptRules(_Entry):
    """Whether there is a prompt, and its limits in characters."""

    use: Literal["required", "optional", "none"] = "required"
    min_chars: int | None = Field(None, ge=0)
    max_chars: int | None = Field(None, ge=1)


class ImageRules(_Entry):
    """Which input images the model takes, and where in the task they go."""

    slot: Slot
    minimum: int = Field(0, ge=0)
    maximum: int | None = Field(None, ge=1, description="Absent where it is not published.")
    min_side: Side | None = None
    max_side: Side | None = None
    max_bytes: int | None = Field(None, ge=1)
    max_aspect: float | None = Field(None, ge=1, description="The longer side over the shorter one, at most.")
    mask: bool = Field(default=False, description="A mask can be sent beside the image.")
    mask_required: bool = False
    blank: bool = Field(default=True, description="A blank image makes sense where there is only text.")


@dataclass(frozen=True, slots=True)
class Usually:
    """What Runware calls a parameter on most models."""

    field: str


class ParameterMap(_Entry):
    """Runware's field for each of the caller's parameters that this model has an equivalent for."""

    seed: Annotated[str | None, Usually("seed")] = None
    negative_prompt: Annotated[str | None, Usually("negativePrompt")] = None
    guidance_scale: Annotated[str | None, Usually("CFGScale")] = None
    num_inference_steps: Annotated[str | None, Usually("steps")] = None
    scale_factor: Annotated[str | None, Usually("upscaleFactor")] = None
    # No parameter of its own: what `background` transparent comes to.
    transparent_background: dict[str, dict[str, bool]] | None = None

    @cached_property
    def fields(self) -> Mapping[str, str]:
        """Runware's field by the caller's name of it, of those this model has."""
        found = {name: getattr(self, name) for name in USUAL_FIELDS}
        return {name: field for name, field in found.items() if field is not None}


USUAL_FIELDS: Mapping[str, str] = {
    name: usual.field
    for name, declared in ParameterMap.model_fields.items()
    for usual in declared.metadata
    if isinstance(usual, Usually)
}
"""What Runware calls each of the caller's parameters on most models."""


CHOICE_NAMES = ("quality", "style", "background", "moderation")
"""The caller's fields that a model may have fixed values for; another name would be a mistake in a file."""


class Choice(_Entry):
    """One of OpenAI's fields with fixed values, where the model has the thing.

    `field` is the path in the task, like `providerSettings.openai.quality`. `values` mean what the caller said;
    `nearest` stand in for values the model lacks, and that is reported. `default` is sent when it says nothing.
    """

    field: Annotated[str, Field(pattern=r"^[A-Za-z]+(\.[A-Za-z]+)*$")]
    values: dict[str, bool | int | float | str]
    nearest: dict[str, bool | int | float | str] = {}
    default: str | None = None


class CatalogModel(_Entry):
    """One model."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]*$")]
    air: str
    name: str
    creator: str
    task: TaskType = "imageInference"
    aliases: tuple[str, ...] = ()
    description: str | None = None
    # Any word: Runware may add some, and a gateway must start all the same.
    status: Annotated[str, Field(pattern=r"^[a-z][a-z-]*$")] = Field(
        "live", description="Runware's own word, like live, api-only, coming-soon or deprecated."
    )
    unlisted: bool = Field(default=False, description="Runware's newest list of models does not name it.")
    replaced_by: str | None = Field(None, description="The AIR id of its successor, where Runware names one.")
    released: str | None = None
    modes: Annotated[tuple[Mode, ...], Field(min_length=1)]
    prompt: PromptRules = PromptRules()
    sizes: SizeRules
    size_use: SizeUse = SizeUse.REQUIRED
    resolutions: tuple[str, ...] = Field((), description="Tiers of the task's own `resolution` field.")
    default_pixels: int | None = Field(None, ge=1, description="The area when the caller asks for no scale.")
    images: ImageRules | None = None
    # No task of Runware's makes more than twenty.
    max_results: int = Field(1, ge=1, le=20, description="Images one task can make.")
    results_multiple: int = Field(1, ge=1, description="A task makes a multiple of this many images.")
    formats: Annotated[tuple[OutputFormat, ...], Field(min_length=1)] = ("PNG", "JPG", "WEBP")
    # `words` in the files: operators have files of their own.
    parameters: ParameterMap = Field(ParameterMap(), alias="words")
    choices: dict[Annotated[str, Field(pattern=f"^({'|'.join(CHOICE_NAMES)})$")], Choice] = {}
    pricing: Pricing | None = None
    required: tuple[str, ...] = Field((), description="Runware's fields without which there is no task.")
    optional: tuple[str, ...] | None = Field(
        None, description="Runware's other fields of this model, save those every task has; absent where unknown."
    )
    limits: dict[str, FieldRule] = Field({}, description="What narrows a field on this model.")
    exclusive: tuple[tuple[str, ...], ...] = Field((), description="At most one field of each group may be given.")
    fields: FieldRule = Field(FieldRule(type="object"), description="All of these together, put there by the loader.")
    listed: bool = Field(default=True, description="False for a model that is only known by its AIR id.")

    @field_validator("air", "replaced_by")
    @classmethod
    def _check_air(cls, value: str | None) -> str | None:
        if value is not None and AIR_PATTERN.fullmatch(value) is None:
            message = f"expected an AIR id like sourceful:1@0; got {value!r}"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _check_modes(self) -> "CatalogModel":
        # Where the image goes in the task could only be guessed.
        if Mode.EDIT in self.modes and self.images is None:
            message = "a model that edits needs `images`"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _check_parameters(self) -> "CatalogModel":
        fields = self.parameters.fields.values()
        unknown = [field for field in fields if self.optional is not None and field not in self.optional]
        if unknown:
            message = f"`words` leads to {unknown[0]}, which is not among the fields of this model"
            raise ValueError(message)
        return self

    @property
    def recommendable(self) -> bool:
        """Whether it may be named to a caller who looks for another model."""
        # What Runware no longer lists may end tomorrow.
        return self.status in {"live", "api-only"} and not self.unlisted

    @property
    def names(self) -> tuple[str, ...]:
        """Every name this model answers to, without the `runware/` prefix."""
        return (self.id, self.air, *self.aliases)
