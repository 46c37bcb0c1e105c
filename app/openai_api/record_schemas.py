"""Records of requests, webhooks and health as documentation: what /openapi.json says of these answers.

They are written by `request_log` and the handlers, not by these models; tests hold the two together.
"""

from typing import Literal

from pydantic import Field, JsonValue

from app.openai_api.described import Described
from app.openai_api.schemas import AdjustmentModel, AttemptModel, FailureModel

Status = Literal["queued", "processing", "completed", "partial", "failed"]


class RecordedImage(Described):
    """What Runware said of an image. The image itself is in the result."""

    seed: int | None = None
    image_uuid: str | None = None
    nsfw_content: bool | None = None
    provider_fields: dict[str, JsonValue] | None = None


class RecordedError(Described):
    """Why a request failed."""

    message: str
    param: str | None
    code: str
    provider_code: str | None


class WebhookState(Described):
    """How far the webhook of a request is."""

    url: str = Field(description="After the last call without its password and query.")
    attempts: int
    last_status: int | None
    state: Literal["pending", "delivered", "failed"]


class PlannedTask(Described):
    """One task at Runware."""

    task_uuid: str
    first_index: int = Field(description="The place of its first image in the answer, from 0.")
    images: int
    cost: float | None
    known_cost: float | None = None


class RequestPlan(Described):
    """What a request became."""

    tasks: list[PlannedTask]
    size: str | None = Field(description="What the model was asked for.")
    runware_format: str
    output_format: str
    response_format: str
    fit: str | None = Field(description="How the images get exactly the size that was asked for.")
    pasted: bool = Field(description="Whether the results are pasted into the caller's image, inside the mask.")


class RequestRecord(Described):
    """A request of the past, or one that runs."""

    id: str
    object: Literal["request"]
    created_at: int
    completed_at: int | None
    status: Status
    endpoint: str
    model: str
    executed_model: str
    n: int
    cost: float | None = Field(description="Null before the end, and while a part of it is unknown.")
    known_cost: float | None = Field(None, description="The known part, where `cost` is null.")
    estimated_cost: float | None
    currency: Literal["USD"]
    duration_ms: int | None
    images: list[RecordedImage]
    provider_fields: dict[str, JsonValue] | None = None
    attempts: list[AttemptModel]
    task_uuids: list[str]
    plan: RequestPlan | None
    adjustments: list[AdjustmentModel]
    error: RecordedError | None
    errors: list[FailureModel] = Field(description="Of single images.")
    key: str = Field(description="The id of the key that asked.")
    user: str | None
    client_request_id: str | None
    webhook: WebhookState | None
    delivered: bool
    delivered_at: int | None
    images_kept: bool = Field(description="Whether the result has every image.")
    prompt: str | None = Field(
        None, description="In the record itself, not in lists and webhooks; null unless prompts are stored."
    )
    result_url: str


class RequestSummary(Described):
    """Sums over all requests that a question covers."""

    requests: int
    cost: float | None = Field(description="Null while the cost of one is unknown.")
    known_cost: float | None = None
    cost_text: str | None = Field(description="The same, with every digit.")
    requests_with_unknown_cost: int
    currency: Literal["USD"]
    by_status: dict[str, int]


class RequestList(Described):
    """A page of requests, the newest first."""

    object: Literal["list"]
    data: list[RequestRecord]
    has_more: bool
    next_page_url: str | None
    previous_page_url: str | None
    summary: RequestSummary | None = Field(None, description="With `summary=true`.")


class WebhookSecret(Described):
    """What signs the webhooks of a key."""

    object: Literal["webhook_secret"]
    secret: str


class RequestWebhook(Described):
    """What is sent when a request has ended."""

    type: Literal["image.completed", "image.failed"]
    timestamp: str
    data: RequestRecord


class Health(Described):
    """That the process answers."""

    status: Literal["ok"]


class Readiness(Described):
    """Whether requests can be served, and what stands in the way."""

    status: Literal["ready", "not ready"]
    upstream: Literal["runware", "simulator"]
    models: int
    parts: dict[str, str] = Field(description="The state of each part that requests need, in a word.")
    memory: dict[str, int] = Field(description="Bytes of this process that requests hold and may hold, and who waits.")
    problems: list[str]
    note: str | None = None
