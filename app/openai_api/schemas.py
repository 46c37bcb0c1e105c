"""The wire format as documentation: what /openapi.json says of answers and errors.

Answers are written by `render`, not by these models; tests hold the two together. Requests are in `request_schemas`.
"""

from typing import Literal

from pydantic import ConfigDict, Field, JsonValue

from app.openai_api.described import Described


class Image(Described):
    """One image: exactly one of `url` and `b64_json`."""

    url: str | None = Field(None, description="Where the image is.")
    b64_json: str | None = Field(None, description="The image in base64.")
    expires_at: int | None = Field(None, description="When `url` ends, in unix seconds, where it is known.")
    # As reported, not as asked: some models choose their own.
    seed: int | None = Field(None, description="The seed Runware reports.")
    image_uuid: str | None = Field(None, description="The image's id at Runware: name it as an input image.")
    nsfw_content: bool | None = Field(None, description="What the safety check found, where it was asked for.")
    provider_fields: dict[str, JsonValue] | None = Field(
        None, description="What else Runware said of the image, under its own names."
    )


class AdjustmentModel(Described):
    """One difference between what was asked and what was delivered."""

    param: str
    requested: JsonValue = None
    applied: JsonValue = None
    mode: Literal["changed", "converted", "emulated", "dropped"]
    reason: str


class AttemptModel(Described):
    """One exchange with Runware."""

    task_id: str
    kind: Literal["submit", "collect"]
    # Open, since it is for people and grows with what is distinguished.
    outcome: str
    status: int | None
    duration_ms: int
    started_ms: int | None = Field(
        None, description="When it began, in milliseconds from the first exchange about its task."
    )


class FailureModel(Described):
    """An image that was asked for and did not come."""

    index: int
    code: str
    message: str


class Metadata(Described):
    """How the images came about."""

    model: str
    executed_model: str
    provider: Literal["runware"]
    provider_name: str
    # JSON has no decimals, and clients expect a number; the journal keeps it exact.
    cost: float | None = Field(description="What Runware charged; null while a part of it is unknown.")
    known_cost: float | None = Field(None, description="The known part, where `cost` is null.")
    cost_currency: Literal["USD"]
    attempts: list[AttemptModel]
    adjustments: list[AdjustmentModel]
    task_uuids: list[str]
    errors: list[FailureModel] | None = None
    provider_fields: dict[str, JsonValue] | None = Field(
        None, description="What Runware said of no image in particular, such as a warning, under its own names."
    )


class ImagesResponse(Described):
    """The answer of both endpoints."""

    created: int
    data: list[Image]
    id: str
    size: str | None = Field(None, description="`WxH` of the delivered images, read from them where they pass through.")
    output_format: Literal["png", "jpeg", "webp", "gif", "avif", "svg"]
    metadata: Metadata


class NoTokens(Described):
    """Images are billed, not tokens: all of these are 0."""

    total_tokens: Literal[0]
    input_tokens: Literal[0]
    output_tokens: Literal[0]
    input_tokens_details: dict[str, int]


class ImageEvent(Described):
    """The data of one event of a stream: an image that is there."""

    type: Literal["image_generation.completed", "image_edit.completed"]
    b64_json: str
    created_at: int
    size: str
    quality: Literal["auto"]
    background: Literal["auto"]
    output_format: Literal["png", "jpeg", "webp", "gif", "avif", "svg"]
    usage: NoTokens
    id: str
    index: int = Field(description="Which of the `n` images it is, from 0.")
    metadata: Metadata = Field(description="Of the task that made it.")
    seed: int | None = None
    image_uuid: str | None = None
    nsfw_content: bool | None = None
    provider_fields: dict[str, JsonValue] | None = None


class PriceComponent(Described):
    """A part of an estimated price; `unit_price` in dollars, `total_cost` in millionths of a dollar."""

    type: Literal["output", "input"]
    metric: Literal["image", "megapixel"]
    quantity: int
    billable_quantity: int
    unit_price: float
    total_cost: int


class DryRunResponse(Described):
    """The answer to `?dryRun=true`: nothing was sent, nothing is billed."""

    estimated: Literal[True]
    model: str
    provider: Literal["runware"]
    # Beside every amount: what others saw is no promise (0030).
    confidence: Literal["published", "estimated", "unknown"] = Field(
        description="estimated: a part of the price is not from Runware; others saw it."
    )
    total_cost_micros: int | None = Field(description="Millionths of a dollar; null when nobody can know.")
    lowest_cost_micros: int | None = Field(description="Less than the total where only a range was seen.")
    currency: Literal["USD"]
    components: list[PriceComponent]
    reason: str | None = Field(description="Why there is no total, or why it is an estimate.")
    size: str | None = Field(description="What the images will measure; null where the model decides that itself.")
    plan: list[dict[str, JsonValue]] = Field(description="The Runware tasks that would be sent.")
    adjustments: list[AdjustmentModel]


class ErrorDetail(Described):
    """What went wrong, in the caller's words."""

    message: str
    type: str
    param: str | None
    code: str
    provider_code: str | None = None
    cost: float | None = Field(None, description="What it has cost all the same, where something may have been bought.")
    known_cost: float | None = Field(None, description="The known part, where `cost` is null.")


class ErrorResponse(Described):
    """OpenAI's error envelope."""

    error: ErrorDetail


class ModelItem(Described):
    """A model."""

    id: str
    object: Literal["model"]
    # Absent, not 1970, where it is not known (0033).
    created: int | None = Field(None, description="When it was released; absent where that is not known.")
    owned_by: str
    name: str
    description: str | None = None
    creator: str
    air: str
    aliases: list[str]
    status: str = Field(description="Runware's own word: live, api-only, coming-soon, deprecated.")
    status_note: str | None = Field(None, description="What a status other than `live` means.")
    unlisted: Literal[True] | None = Field(None, description="Runware's newest list of models does not name it.")
    replaced_by: str | None = Field(None, description="The AIR id of its successor.")
    released: str | None = None
    capabilities: list[str]
    modes: list[Literal["text-to-image", "image-edit"]]
    emulated_modes: list[Literal["text-to-image", "image-edit"]] = Field(
        description="Those of `modes` that the gateway emulates, because the model does not have them."
    )
    input_modalities: list[Literal["text", "image"]]
    output_modalities: list[Literal["image"]]
    max_input_images: int
    sizes: dict[str, JsonValue]
    pricing: "ModelPricing"


class ModelPricing(Described):
    """What the catalog knows of the price, in words and with the figures beside them."""

    model_config = ConfigDict(extra="allow")

    confidence: Literal["published", "estimated", "unknown"] = Field(
        description="estimated: Runware does not publish it, or not all of it; others saw it."
    )
    currency: Literal["USD"]
    summary: str = Field(description="The range of an image's price; `~` marks an estimate.")
    text: str


class ModelList(Described):
    """All models."""

    object: Literal["list"]
    data: list[ModelItem]
