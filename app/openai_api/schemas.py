"""The wire format as documentation: what /openapi.json says of requests, answers and errors.

Requests are read by `parse`, not by these models; tests hold the two together.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

ImageReference = Annotated[
    str | dict[str, str] | list[str | dict[str, str]],
    Field(description="An http(s) address, a data URI, base64, a Runware image id, `{image_url}`, or a list of these."),
]


class _CommonRequest(BaseModel):
    """The fields that both endpoints take. Any other field is passed to Runware under its own name."""

    model_config = ConfigDict(extra="allow")

    prompt: str = Field(description="What the image shows, or how to change it.")
    model: str | None = Field(None, description="A model id, an alias or an AIR id. See GET /v1/models.")
    n: int | None = Field(None, ge=1, le=10, description="How many images.")
    size: str | None = Field(
        None,
        description="`WxH` (shape and scale), `W:H` (a ratio), a tier like `2K`, or `auto`. Wins over the next two.",
        examples=["1024x1024"],
    )
    aspect_ratio: str | None = Field(None, description="The shape, as `W:H`.", examples=["16:9"])
    resolution: str | None = Field(
        None, description="The scale: `1K`, `1MP`, `0.25` (megapixels), `2048` or `512px` (a side).", examples=["1K"]
    )
    response_format: Literal["url", "b64_json"] | None = Field(None, description="How images come back.")
    output_format: Literal["png", "jpeg", "jpg", "webp", "gif", "avif", "svg"] | None = Field(
        None, description="Default png. gif and avif are made by conversion; svg only by models that make it."
    )
    output_compression: int | None = Field(None, ge=0, le=100, description="Quality of jpeg, webp and avif.")
    background: Literal["auto", "transparent", "opaque", "white", "black"] | None = Field(
        None,
        description="transparent where the model can, else reported; white and black also color the padding of fit.",
    )
    fit: Literal["cover", "contain", "exact"] | None = Field(
        None, description="Deliver exactly the `WxH` of `size`, by crop, padding or stretching after the fact."
    )
    seed: int | None = Field(None, ge=-1, le=2**63 - 1, description="-1 is none. For repeatable images.")
    negative_prompt: str | None = Field(None, description="What the image must not show.")
    scale_factor: float | None = Field(
        None, ge=1, le=100, description="How many times larger than the first image the result is."
    )
    guidance_scale: float | None = Field(None, ge=0, le=1000, description="How closely to follow the prompt.")
    num_inference_steps: int | None = Field(None, ge=1, le=1000, description="How many steps to take.")
    quality: str | None = Field(
        None,
        description="A value of OpenAI's or of the model's own; reported when the model has no equivalent.",
        examples=["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"],
    )
    style: str | None = Field(
        None,
        description="A value of OpenAI's or of the model's own; reported when the model has no equivalent.",
        examples=["vivid", "natural"],
    )
    moderation: Literal["auto", "low"] | None = Field(None, description="Reported when the model has no equivalent.")
    input_fidelity: Literal["low", "high"] | None = Field(
        None, description="Reported when the model has no equivalent."
    )
    complexity: Literal["low", "medium", "high"] | None = Field(
        None, description="Reported when the model has no equivalent."
    )
    frame_count: int | None = Field(None, ge=1, le=64, description="Reported: one frame is made.")
    frame_duration_ms: int | None = Field(None, ge=10, le=60_000, description="Reported: one frame is made.")
    partial_images: int | None = Field(None, ge=0, le=3, description="Reported: Runware makes none.")
    svg: dict[str, JsonValue] | None = Field(None, description="Reported when the model makes no vector graphics.")
    stream: bool | None = Field(
        None, description="true: server-sent events, one `completed` per image the moment it exists; always base64."
    )
    webhook_url: str | None = Field(None, description="Called when the request has ended; https only.")
    user: str | None = Field(None, description="Recorded in the log.")
    safety_identifier: str | None = Field(None, description="Recorded in the log; wins over `user`.")


class GenerationRequest(_CommonRequest):
    """An image from text, on some models guided by other images."""

    image: ImageReference | None = None
    images: ImageReference | None = None
    image_url: ImageReference | None = None
    reference_images: ImageReference | None = None
    mask: ImageReference | None = Field(None, description="Where to edit: see the edits endpoint.")
    markup: ImageReference | None = Field(None, description="Drawn over the first image.")


class EditRequest(GenerationRequest):
    """Images changed as the prompt says. At least one image is required, in any of the image fields."""


class EditForm(_CommonRequest):
    """The same as a form, with images as files. Nested fields may use brackets: `lora[][model]`."""

    image: list[bytes] = Field(
        description="PNG, JPEG, WebP, GIF, AVIF, HEIC, BMP or TIFF; also as `image[]`, repeated, up to 16.",
        json_schema_extra={"items": {"type": "string", "format": "binary"}},
    )
    mask: bytes | None = Field(
        None,
        description="Transparent where to edit; a fully opaque grayscale mask is white where to edit.",
        json_schema_extra={"format": "binary"},
    )
    markup: bytes | None = Field(
        None, description="Drawn over the first image.", json_schema_extra={"format": "binary"}
    )


class Image(BaseModel):
    """One image: exactly one of `url` and `b64_json`."""

    url: str | None = Field(None, description="Where the image is.")
    b64_json: str | None = Field(None, description="The image in base64.")
    expires_at: int | None = Field(None, description="When `url` ends, in unix seconds, where it is known.")
    seed: int | None = Field(None, description="The seed Runware reports.")
    image_uuid: str | None = Field(None, description="The image's id at Runware: name it as an input image.")
    nsfw_content: bool | None = Field(None, description="What the safety check found, where it was asked for.")
    provider_fields: dict[str, JsonValue] | None = Field(
        None, description="What else Runware said of the image, under its own names."
    )


class AdjustmentModel(BaseModel):
    """One difference between what was asked and what was delivered."""

    param: str
    requested: JsonValue = None
    applied: JsonValue = None
    mode: Literal["changed", "converted", "emulated", "dropped"]
    reason: str


class AttemptModel(BaseModel):
    """One exchange with Runware."""

    task_id: str
    kind: Literal["submit", "collect"]
    outcome: str
    status: int | None
    duration_ms: int


class FailureModel(BaseModel):
    """An image that was asked for and did not come."""

    index: int
    code: str
    message: str


class Metadata(BaseModel):
    """How the images came about."""

    model: str
    executed_model: str
    provider: Literal["runware"]
    provider_name: str
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


class ImagesResponse(BaseModel):
    """The answer of both endpoints."""

    created: int
    data: list[Image]
    id: str
    size: str | None = Field(None, description="`WxH` of the delivered images, read from them where they pass through.")
    output_format: Literal["png", "jpeg", "webp", "gif", "avif"]
    metadata: Metadata


class PriceComponent(BaseModel):
    """A part of an estimated price; `unit_price` in dollars, `total_cost` in millionths of a dollar."""

    type: Literal["output", "input"]
    metric: Literal["image", "megapixel"]
    quantity: int
    billable_quantity: int
    unit_price: float
    total_cost: int


class DryRunResponse(BaseModel):
    """The answer to `?dryRun=true`: nothing was sent, nothing is billed."""

    estimated: Literal[True]
    model: str
    provider: Literal["runware"]
    confidence: Literal["published", "estimated", "unknown"] = Field(
        description="estimated: a part of the price is not from Runware; others saw it."
    )
    total_cost_micros: int | None = Field(description="Millionths of a dollar; null when nobody can know.")
    lowest_cost_micros: int | None = Field(description="Less than the total where only a range was seen.")
    currency: Literal["USD"]
    components: list[PriceComponent]
    reason: str | None = Field(description="Why there is no total, or why it is an estimate.")
    plan: list[dict[str, JsonValue]] = Field(description="The Runware tasks that would be sent.")
    adjustments: list[AdjustmentModel]


class ErrorDetail(BaseModel):
    """What went wrong, in the caller's words."""

    message: str
    type: str
    param: str | None
    code: str
    provider_code: str | None = None
    cost: float | None = Field(None, description="What it has cost all the same, where something may have been bought.")
    known_cost: float | None = Field(None, description="The known part, where `cost` is null.")


class ErrorResponse(BaseModel):
    """OpenAI's error envelope."""

    error: ErrorDetail


class ModelItem(BaseModel):
    """A model."""

    id: str
    object: Literal["model"]
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
        description="Those of `modes` that the gateway brings about, because the model does not."
    )
    input_modalities: list[Literal["text", "image"]]
    output_modalities: list[Literal["image"]]
    max_input_images: int
    sizes: dict[str, JsonValue]
    pricing: "ModelPricing"


class ModelPricing(BaseModel):
    """What the catalog knows of the price, in words and with the figures beside them."""

    model_config = ConfigDict(extra="allow")

    confidence: Literal["published", "estimated", "unknown"] = Field(
        description="estimated: Runware does not publish it, or not all of it; others saw it."
    )
    currency: Literal["USD"]
    summary: str = Field(description="The range of an image's price; `~` marks an estimate.")
    text: str


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"]
    data: list[ModelItem]
