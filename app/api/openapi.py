"""Puts together /openapi.json: what `operations` says of each route, with the schemas and headers that it names.

Made without the framework: its own document leaves out nulls in examples and parameters in paths.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp

from app.api.documented import ERRORS, Documented, Operation, error_answer
from app.api.operations import TAGS, webhook_operations
from app.api.parameters import PATH_PARAMETERS, answer_headers
from app.openai_api import key_schemas, record_schemas, schemas, usage_schemas
from app.openai_api.request_schemas import describe_requests

_OPENAPI = "3.1.0"
_MODULES = (schemas, record_schemas, usage_schemas, key_schemas)
_IN_PATH = re.compile(r"\{(\w+)(?::\w+)?\}")
_ABOUT = (
    "The official OpenAI SDKs work with this API: set their base URL to the address of this gateway and `/v1`. "
    "The same routes also stand under `/openai/v1`, `/openai` and at the root. "
    "Every error has OpenAI's envelope, and every answer an `x-request-id`."
)
_ADMIN = "Needs the key of an administrator."
_SCHEMES: Mapping[str, Documented] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`, as OpenAI's SDKs."},
    "api-key": {"type": "apiKey", "in": "header", "name": "api-key", "description": "As Azure's classes send it."},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "As other clients send it."},
}


@dataclass(frozen=True, slots=True)
class DocumentedRoute:
    """One route, as the document shows it. `access` is `public`, `key` or `admin`."""

    method: str
    path: str
    handler: Callable[..., Awaitable[ASGIApp]]
    access: str
    about: Operation


@dataclass(frozen=True, slots=True)
class Title:
    """What the document is called, and where the gateway is reached when it is not where the document came from."""

    title: str
    version: str
    summary: str
    public_url: str | None = None


def document(title: Title, routes: Iterable[DocumentedRoute]) -> Documented:
    """The OpenAPI document of routes."""
    paths: dict[str, Documented] = {}
    for route in routes:
        path = _IN_PATH.sub(r"{\1}", route.path)
        methods = paths.setdefault(path, {})
        methods[route.method.lower()] = described = _describe(route)
        if route.about.has_head:
            methods["head"] = _without_content(described)
    return {
        "openapi": _OPENAPI,
        "info": {
            "title": title.title,
            "version": title.version,
            "summary": title.summary,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": _servers(title),
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        # None is asked for where no keys are set.
        "security": [*({name: []} for name in _SCHEMES), {}],
        "paths": paths,
        "webhooks": webhook_operations(),
        "components": {
            "schemas": {**_model_schemas(), **describe_requests()},
            "headers": answer_headers(),
            "responses": {f"Error{status}": error_answer(status) for status in ERRORS},
            "securitySchemes": {**_SCHEMES},
        },
    }


def _servers(title: Title) -> list[Documented]:
    # Relative to the document: a proxy may put a path before both.
    here = {"url": ".", "description": "The gateway that serves this document"}
    return (
        [here] if title.public_url is None else [{"url": title.public_url, "description": "Its public address"}, here]
    )


def _describe(route: DocumentedRoute) -> Documented:
    about, name = route.about, route.handler.__name__
    text = inspect.getdoc(route.handler) or ""
    operation: Documented = {
        "tags": [about.tag],
        "summary": about.summary,
        "description": f"{text}\n\n{_ADMIN}" if route.access == "admin" else text,
        "operationId": name,
        "x-spillway-access": route.access,
    }
    parameters = [PATH_PARAMETERS[one] for one in _IN_PATH.findall(route.path)]
    if parameters or about.parameters:
        operation["parameters"] = [*parameters, *about.parameters]
    if about.body is not None:
        operation["requestBody"] = about.body
    operation["responses"] = {str(status): answer for status, answer in about.answers.items()}
    return operation | ({"security": []} if route.access == "public" else {})


def _without_content(operation: Documented) -> Documented:
    """The same for HEAD, whose answers are heads only."""
    answers = {
        status: {name: value for name, value in answer.items() if name != "content"}
        for status, answer in operation["responses"].items()
    }
    names = {"summary": f"{operation['summary']}: the head only", "operationId": f"head_{operation['operationId']}"}
    return {**operation, **names, "responses": answers}


def _model_schemas() -> dict[str, Documented]:
    models = [
        (model, "validation")
        for module in _MODULES
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == module.__name__
    ]
    # "validation": what may be absent is not required, though it has a default.
    _, made = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    found: dict[str, Documented] = made["$defs"]
    return found
