"""What the OpenAPI document says of the routes of images, models, requests and health, and of webhooks.

Leaves keys and usage to `key_operations`, names of parameters and headers to `parameters`.
"""

from collections.abc import Mapping

from app.api import parameters as given
from app.api.documented import Documented, Operation, errors, json_answer, json_body, reference
from app.api.examples import EDITS, FORMS, GENERATIONS, Examples
from app.openai_api.key_schemas import BudgetWebhook
from app.openai_api.record_schemas import (
    Health,
    Readiness,
    RequestList,
    RequestRecord,
    RequestWebhook,
    WebhookSecret,
)
from app.openai_api.request_schemas import EDIT, EDIT_FORM, GENERATION, RUNWARE
from app.openai_api.schemas import DryRunResponse, ImagesResponse, ModelItem, ModelList

TAGS: Mapping[str, str] = {
    "Images": "Make and edit images, as OpenAI's Images API does.",
    "Models": "What may be asked for, and what each model accepts.",
    "Requests": "What became of earlier requests, and their images.",
    "Media": "Images this gateway made.",
    "Usage": "What was used and what it cost.",
    "Keys": "Who may call, and how much each key may spend. For administrators.",
    "Operations": "For monitoring.",
}
_TO_IMAGES = "At least one image. With `dryRun=true` an estimate, with `stream` events of images."


def _image_body(name: str, examples: Examples) -> Documented:
    task = reference(RUNWARE)
    one = {"type": "array", "items": task, "minItems": 1, "maxItems": 1}
    return json_body({"anyOf": [reference(name), task, one]}, examples)


def _image_answers() -> dict[int, Documented]:
    headers = given.IMAGE_ANSWER_HEADERS
    made = json_answer(ImagesResponse, DryRunResponse, description=_TO_IMAGES, headers=headers)
    stream = {"type": "string", "description": "Server-sent events; the data of each is an `ImageEvent`, or an error."}
    made["content"]["text/event-stream"] = {"schema": stream, "x-event-schema": reference("ImageEvent")}
    later = (*given.KEY_HEADERS, "Location", "Retry-After", "Preference-Applied", "Idempotent-Replayed")
    accepted = json_answer(RequestRecord, description="With `Prefer: respond-async`: ask again later.", headers=later)
    return {200: made, 202: accepted, **errors()}


def create_image() -> Operation:
    """Of `/images/generations`."""
    parameters = (*given.IMAGE_HEADERS, given.DRY_RUN)
    return Operation("Images", "Create images", _image_answers(), parameters, _image_body(GENERATION, GENERATIONS))


def edit_image() -> Operation:
    """Of `/images/edits`, which takes forms too."""
    body = _image_body(EDIT, EDITS)
    body["content"]["multipart/form-data"] = {"schema": reference(EDIT_FORM), "examples": {**FORMS}}
    return Operation("Images", "Edit images", _image_answers(), (*given.IMAGE_HEADERS, given.DRY_RUN), body)


def list_models() -> Operation:
    """Of `/models`."""
    return Operation("Models", "List models", {200: json_answer(ModelList, description="The catalog."), **errors(401)})


def retrieve_model() -> Operation:
    """Of `/models/{id}`."""
    found = json_answer(ModelItem, description="The model, or with `schema=true` the JSON Schema of what it accepts.")
    schema = {"type": "object", "title": "JSON Schema", "additionalProperties": True}
    found["content"]["application/json"]["schema"] = {"anyOf": [reference("ModelItem"), schema]}
    return Operation("Models", "Get a model", {200: found, **errors(400, 401, 404)}, (given.SCHEMA_QUERY,))


def list_requests() -> Operation:
    """Of `/requests`."""
    answers = {
        200: json_answer(RequestList, description="A page, the newest first."),
        **errors(400, 401, 403, 404, 503),
    }
    return Operation("Requests", "List requests", answers, given.REQUESTS_QUERY)


def retrieve_request() -> Operation:
    """Of `/requests/{id}`."""
    answers = {200: json_answer(RequestRecord, description="Its record."), **errors(401, 404, 503)}
    return Operation("Requests", "Get a request", answers)


def retrieve_result() -> Operation:
    """Of `/requests/{id}/result`: the answers of the image routes, or that it is still being made."""
    made = json_answer(ImagesResponse, description="Its images.", headers=given.IMAGE_ANSWER_HEADERS)
    later = json_answer(
        RequestRecord, description="It is still being made.", headers=(*given.KEY_HEADERS, "Retry-After")
    )
    return Operation("Requests", "Get the images of a request", {200: made, 202: later, **errors()}, (given.PEEK,))


def delete_payloads() -> Operation:
    """Of `/requests/{id}/payloads`."""
    gone = {"description": "They are gone.", "headers": given.header_references(*given.KEY_HEADERS)}
    answers = {204: gone, **errors(400, 401, 404, 503)}
    return Operation("Requests", "Delete images and prompt of a request", answers)


def retrieve_webhook_secret() -> Operation:
    """Of `/webhooks/secret`."""
    secret = json_answer(WebhookSecret, description="The secret.", headers=(*given.KEY_HEADERS, "Cache-Control"))
    return Operation("Requests", "Get the webhook secret", {200: secret, **errors(401, 403)}, (given.OPERATOR_QUERY,))


def get_media() -> Operation:
    """Of `/media/{name}`."""
    image = {"schema": {"type": "string", "format": "binary"}}
    types = ("png", "jpeg", "webp", "gif", "avif", "svg+xml")
    headers = given.header_references(*given.MEDIA_ANSWER_HEADERS)
    found = {"description": "The image.", "headers": headers, "content": {f"image/{kind}": image for kind in types}}
    of_part = {**headers, **given.header_references("Content-Range")}
    part = {**found, "description": "The bytes that `Range` asks for.", "headers": of_part}
    same = {"description": "It is still the image that `If-None-Match` names.", "headers": headers}
    answers = {200: found, 206: part, 304: same, **errors(403, 404, 410, 416, 503)}
    parameters = (*given.MEDIA_QUERY, *given.MEDIA_HEADERS)
    return Operation("Media", "Get an image", answers, parameters, has_head=True)


def healthz() -> Operation:
    """Of `/healthz`."""
    return Operation(
        "Operations", "Is it alive", {200: json_answer(Health, description="It is.", headers=given.PUBLIC_HEADERS)}
    )


def readyz() -> Operation:
    """Of `/readyz`."""
    answers = {
        status: json_answer(Readiness, description=text, headers=given.PUBLIC_HEADERS)
        for status, text in ((200, "It is."), (503, "It is not; `problems` says why."))
    }
    return Operation("Operations", "Is it ready", answers)


def show_metrics() -> Operation:
    """Of `/metrics`."""
    headers = given.header_references(*given.KEY_HEADERS, "Cache-Control")
    kinds = ("text/plain", "application/openmetrics-text")
    content = {kind: {"schema": {"type": "string"}} for kind in kinds}
    shown = {"description": "All metrics.", "headers": headers, "content": content}
    return Operation("Operations", "Get metrics", {200: shown, **errors(401, 403)})


def webhook_operations() -> Documented:
    """What the gateway itself calls."""
    told = (
        ("image", RequestWebhook, "A request has ended: sent to its `webhook_url`."),
        (
            "key.budget_warning",
            BudgetWebhook,
            "80 or 100 percent of a budget are taken: sent to the key's `webhook_url`.",
        ),
    )
    return {
        name: {
            "post": {
                "summary": text,
                "requestBody": {"content": {"application/json": {"schema": reference(model.__name__)}}},
                "responses": {"2XX": {"description": "Taken. Anything else: it is sent again."}},
                "security": [],
            }
        }
        for name, model, text in told
    }
