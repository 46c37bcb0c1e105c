"""The pieces that the OpenAPI document is made of: an operation, its answers, bodies and errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from app.api import parameters as given
from app.api.examples import Examples
from app.openai_api.schemas import ErrorResponse

Documented = dict[str, Any]
"""A piece of the document: JSON of many shapes, which a validator judges as a whole."""
ERRORS: Mapping[int, str] = {
    400: "The request cannot be carried out as it is.",
    401: "No key, or one that is not valid here.",
    402: "The budget of this key does not suffice, or the Runware account has no credit.",
    403: "A web page, a name of this gateway, or a use of this key that its operator did not allow.",
    404: "There is nothing under this name.",
    405: "Another method is needed.",
    408: "The request did not arrive in time.",
    410: "The link has ended.",
    413: "The body or an image is too large.",
    415: "The body's Content-Encoding is not supported.",
    416: "The image has no bytes in this range.",
    429: "Too many requests.",
    431: "The head of the request is too large.",
    500: "The gateway failed.",
    502: "Runware failed, or answered nonsense.",
    503: "Runware, the journal or the store cannot be reached, or has no capacity.",
    504: "Runware did not finish in time.",
    507: "There is no room for images.",
}
_OF_LINKS = frozenset({410, 416})
_RETRIED = frozenset({408, 429, 500, 502, 503, 504, 507})


@dataclass(frozen=True, slots=True)
class Operation:
    """What is said of one route, beside the name and the docstring of its handler."""

    tag: str
    summary: str
    answers: Mapping[int, Documented]
    parameters: tuple[Documented, ...] = ()
    body: Documented | None = None
    has_head: bool = False
    """Whether HEAD is worth a word: it is answered wherever GET is."""


def errors(*statuses: int) -> dict[int, Documented]:
    """Error answers; all that the image routes have when none is named."""
    chosen = statuses or tuple(status for status in ERRORS if status not in _OF_LINKS)
    return {status: {"$ref": f"#/components/responses/Error{status}"} for status in chosen}


def error_answer(status: int) -> Documented:
    """An error answer, as it is the same everywhere."""
    headers = given.PUBLIC_HEADERS + (given.RETRY_HEADERS if status in _RETRIED else ())
    return json_answer(ErrorResponse, description=ERRORS[status], headers=headers)


def json_answer(*models: type[BaseModel], description: str, headers: tuple[str, ...] = given.KEY_HEADERS) -> Documented:
    """An answer in JSON: one of these models."""
    references = [reference(model.__name__) for model in models]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {
        "description": description,
        "headers": given.header_references(*headers),
        "content": {"application/json": {"schema": schema}},
    }


def reference(name: str) -> Documented:
    """A schema, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_body(schema: Documented, examples: Examples, *, required: bool = True) -> Documented:
    """A body in JSON, with examples to try out."""
    return {"required": required, "content": {"application/json": {"schema": schema, "examples": {**examples}}}}
