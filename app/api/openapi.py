"""What /openapi.json says of each route: bodies, answers, errors and headers."""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response

from app.openai_api.request_schemas import RUNWARE, describe_requests
from app.openai_api.schemas import DryRunResponse, ErrorResponse, ImagesResponse
from app.openai_api.usage import QUERY
from app.openai_api.usage_schemas import UsageResponse

_IMAGE_HEADERS = {
    "x-request-id": "The id of this request.",
    "openai-processing-ms": "Milliseconds this request took.",
    "X-Spillway-Request-Id": "The same id.",
    "X-Spillway-Model": "The model that answered.",
    "X-Spillway-Provider": "The provider that answered.",
    "X-Spillway-Cost": "US dollars charged, when all of the cost is known.",
    "X-Spillway-Adjustments": "Short form of metadata.adjustments, when it is not empty.",
    "X-Spillway-Upstream": "`simulator` when no Runware key is set.",
    "X-Spillway-Budget-Remaining": "US dollars that are left of the budget of this key, where it has one.",
    **{
        f"x-ratelimit-{name}-{noun}": f"{meaning}, where the key has a limit of {noun} per minute."
        for noun in ("requests", "images")
        for name, meaning in (
            ("limit", "How many there may be in a minute"),
            ("remaining", "How many are left for now"),
            ("reset", "How long until all are there again, such as `340ms` or `1m0s`"),
        )
    },
}
STRICT_HEADER = {
    "name": "X-Spillway-Strict",
    "in": "header",
    "required": False,
    "description": "true: refuse the request instead of changing or dropping a field.",
    "schema": {"type": "boolean", "default": False},
}
DRY_RUN = {
    "name": "dryRun",
    "in": "query",
    "required": False,
    "description": "true: validate, send nothing, and answer with an estimate and the plan.",
    "schema": {"type": "boolean", "default": False},
}
SCHEMA = {
    "name": "schema",
    "in": "query",
    "required": False,
    "description": "true: a JSON Schema of everything this model accepts here, with the mode of each field.",
    "schema": {"type": "boolean", "default": False},
}
USAGE_QUERY = [
    {"name": name, "in": "query", "required": False, "description": meaning, "schema": {"type": "string"}}
    for name, meaning in QUERY.items()
]
_ERRORS = {
    400: "The request cannot be carried out as it is.",
    401: "No key, or one that is not valid here.",
    402: "The budget of this key does not suffice, or the Runware account has no credit.",
    403: "A web page, a name of this gateway, or a use of this key that its operator did not allow.",
    404: "No such model.",
    405: "Another method is needed.",
    408: "The request did not arrive in time.",
    413: "The body or an image is too large.",
    415: "The body's Content-Encoding is not supported.",
    429: "Too many requests.",
    431: "The head of the request is too large.",
    500: "The gateway failed.",
    502: "Runware failed, or answered nonsense.",
    503: "Runware cannot be reached or has no capacity.",
    504: "Runware did not finish in time.",
}
Documented = dict[str, Any]  # the shape FastAPI takes for its OpenAPI extras


def describe_errors(*statuses: int) -> dict[int | str, Documented]:
    """The error answers of a route; all of them when none is named."""
    chosen = statuses or tuple(_ERRORS)
    return {status: {"model": ErrorResponse, "description": _ERRORS[status]} for status in chosen}


def describe_images() -> dict[int | str, Documented]:
    """The answers of the image routes."""
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in _IMAGE_HEADERS.items()}
    success = {"model": ImagesResponse | DryRunResponse, "description": "At least one image.", "headers": headers}
    return {200: success, **describe_errors()}


def describe_results() -> dict[int | str, Documented]:
    """The answers of the result of a request: those of the image routes, and that it is still being made."""
    answers = describe_images()
    answers[200] = {**answers[200], "model": ImagesResponse}
    return {**answers, 202: {"description": "It is still being made: ask again later."}}


def describe_usage() -> dict[int | str, Documented]:
    """The answers of usage: JSON, or CSV with the same columns as its rows."""
    csv: Documented = {"text/csv": {"schema": {"type": "string"}}}
    success: Documented = {"model": UsageResponse, "content": csv, "description": "The sums."}
    return {200: success, **describe_errors(400, 401, 403, 404)}


def describe_body(json_schema: str, form_schema: str | None = None) -> Documented:
    """The request body of a route, as JSON and, where it takes one, as a form, by the names of their schemas."""
    runware = _reference(RUNWARE)
    one = {"type": "array", "items": runware, "minItems": 1, "maxItems": 1}
    content: Documented = {"application/json": {"schema": {"anyOf": [_reference(json_schema), runware, one]}}}
    if form_schema is not None:
        content["multipart/form-data"] = {"schema": _reference(form_schema)}
    return {"requestBody": {"required": True, "content": content}, "parameters": [STRICT_HEADER, DRY_RUN]}


def add_request_schemas(document: Documented) -> None:
    """Put the schemas of the request bodies beside those FastAPI found itself."""
    document.setdefault("components", {}).setdefault("schemas", {}).update(describe_requests())


def _reference(name: str) -> Documented:
    return {"$ref": f"#/components/schemas/{name}"}


@dataclass(frozen=True, slots=True)
class DocumentedRoute:
    """One route, as the document shows it; its handler's name and docstring stand there."""

    method: str
    path: str
    handler: Callable[..., Awaitable[Response]]
    tag: str
    responses: dict[int | str, Documented]
    body: Documented | None


def document(app: FastAPI, routes: Iterable[DocumentedRoute]) -> dict[str, Any]:
    """The OpenAPI document of routes."""
    router = APIRouter()
    for route in routes:
        router.add_api_route(
            route.path,
            _read_nothing,
            name=route.handler.__name__,
            description=inspect.getdoc(route.handler) or "",
            methods=[route.method],
            tags=[route.tag],
            responses=route.responses,
            openapi_extra=route.body,
        )
    made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=router.routes)
    add_request_schemas(made)
    made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"key": []}, {}]  # none is asked for where no keys are set
    return made


async def _read_nothing(_: Request) -> Response:
    """Stands in the document for a handler, whose own arguments are not fields of a request."""
    return Response()
