"""Runware's own form of a request, as documentation: `runware_parameters` reads it, and tests hold the two together."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.openai_api.runware_parameters import MAX_RESULTS, QUALITIES

_IMAGE = "An http(s) address, a data URI, base64, or an image id of Runware's."


class RunwareRequest(BaseModel):
    """A task as Runware prints it. OpenAI's names may stand beside these and win; any other field goes to Runware."""

    model_config = ConfigDict(extra="allow")

    task_type: str | None = Field(None, alias="taskType", description="Dropped and reported: the gateway sets it.")
    task_uuid: str | None = Field(None, alias="taskUUID", description="Dropped and reported: the gateway sets it.")
    include_cost: bool | None = Field(None, alias="includeCost", description="Dropped and reported: always on.")
    api_key: str | None = Field(None, alias="apiKey", description="Dropped and reported: send it as a header.")
    model: str | None = Field(None, description="An AIR id, or any other name of a model.")
    positive_prompt: str | None = Field(None, alias="positivePrompt", description="`prompt`.")
    negative_prompt: str | None = Field(None, alias="negativePrompt", description="`negative_prompt`.")
    width: int | None = Field(None, ge=1, le=65_536, description="With `height`, `size`.")
    height: int | None = Field(None, ge=1, le=65_536, description="With `width`, `size`.")
    number_results: int | None = Field(None, alias="numberResults", ge=1, le=MAX_RESULTS, description="`n`.")
    output_format: Literal["JPG", "JPEG", "PNG", "WEBP", "SVG"] | None = Field(
        None, alias="outputFormat", description="`output_format`."
    )
    output_quality: int | None = Field(
        None, alias="outputQuality", ge=QUALITIES[0], le=QUALITIES[1], description="`output_compression`."
    )
    output_type: Literal["URL", "base64Data", "dataURI"] | None = Field(
        None, alias="outputType", description="`response_format`; dataURI gives a `url` that holds the image."
    )
    delivery_method: Literal["sync", "async"] | None = Field(
        None, alias="deliveryMethod", description="async is `Prefer: respond-async`."
    )
    webhook_url: str | None = Field(None, alias="webhookURL", description="`webhook_url`.")
    reference_images: list[str] | str | None = Field(None, alias="referenceImages", description=f"`image`. {_IMAGE}")
    seed_image: str | None = Field(None, alias="seedImage", description=f"`image`. {_IMAGE}")
    input_image: str | None = Field(None, alias="inputImage", description=f"`image`. {_IMAGE}")
    mask_image: str | None = Field(None, alias="maskImage", description=f"`mask`, white where to edit. {_IMAGE}")
    inputs: dict[str, JsonValue] | None = Field(
        None,
        description="`referenceImages`, `seedImage`, `image` and `maskImage` as above; other members go to Runware.",
    )
