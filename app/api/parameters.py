"""What stands beside bodies in the OpenAPI document: parameters of paths and queries, and headers of both directions.

Readers are elsewhere (`context`, `request_log`, `usage`, `key_fields`); tests compare names with what these take.
"""

from collections.abc import Mapping
from typing import Any, get_args

from app.openai_api.record_schemas import Status
from app.openai_api.usage import QUERY

Documented = dict[str, Any]
_TEXT: Documented = {"type": "string"}
_FLAG: Documented = {"type": "boolean", "default": False}


def _query(name: str, description: str, schema: Documented = _TEXT, **more: object) -> Documented:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema, **more}


def _header(name: str, description: str, schema: Documented = _TEXT, **more: object) -> Documented:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema, **more}


def _path(name: str, description: str, example: str) -> Documented:
    schema = {"type": "string"}
    shown = {"description": description, "schema": schema, "example": example}
    return {"name": name, "in": "path", "required": True, **shown}


def _shown(**examples: str) -> Documented:
    return {name: {"summary": name.replace("_", " "), "value": value} for name, value in examples.items()}


def _limit(most: int, usual: int) -> Documented:
    return {"type": "integer", "minimum": 1, "maximum": most, "default": usual}


PATH_PARAMETERS: Mapping[str, Documented] = {
    "model_id": _path("model_id", "An id, an alias or an AIR id. `/` and `:` may be percent-encoded.", "riverflow-1"),
    "request_id": _path("request_id", "The id of a request: `id` or `x-request-id` of its answer.", "req_…"),
    "key_id": _path("key_id", "The id or the name of a key.", "design"),
    "name": _path("name", "The name of the image, as the link has it.", "4751b9d2d7178de52e7215f9871f17e4.png"),
}
MEDIA_QUERY = (
    {**_query("expires", "When the link ends, in unix seconds.", {"type": "integer"}), "required": True},
    {**_query("signature", "What makes the link valid."), "required": True},
)
DRY_RUN = _query("dryRun", "true: validate, send nothing, and answer with an estimate and the plan.", _FLAG)
SCHEMA_QUERY = _query(
    "schema", "true: a JSON Schema of everything this model accepts here, with the mode of each field.", _FLAG
)
OPERATOR_QUERY = _query(
    "of",
    "`operator`: the secret of webhooks to the operator, for administrators.",
    {"type": "string", "enum": ["operator"]},
)
_CURSORS = (
    _query("starting_after", "The id behind which the page begins: older ones."),
    _query("ending_before", "The id before which the page ends: newer ones."),
)
PEEK = _query("peek", "true: only look. The answer does not count as delivered.", _FLAG)
REQUESTS_QUERY = (
    _query("limit", "How many at most.", _limit(100, 20)),
    *_CURSORS,
    _query("created_after", "Unix seconds.", {"type": "number"}),
    _query("created_before", "Unix seconds.", {"type": "number"}),
    _query("status", "How far they are.", {"type": "string", "enum": [*get_args(Status)]}),
    _query("model", "The model, by any of its names.", example="flux.1-schnell"),
    _query("key", "For administrators: one key, by id or name."),
    _query("id", "A part of the id."),
    _query("summary", "true: sums over all requests that the question covers.", _FLAG, example=True),
)
KEYS_QUERY = (
    _query("limit", "How many at most.", _limit(100, 20)),
    *_CURSORS,
    _query("status", "What opens, or does not any more.", {"type": "string", "enum": ["active", "revoked", "expired"]}),
)
AUDIT_QUERY = (
    _query("limit", "How many at most.", _limit(100, 20)),
    *_CURSORS,
    _query("actor", "The id of an administrator's key."),
    _query("action", "What was done.", examples=_shown(made="key.created", revoked="key.revoked", read="request.read")),
    _query("target", "The id of a key or of a request."),
)
_USAGE_SCHEMAS: Mapping[str, Documented] = {
    "group_by": {"type": "string", "enum": ["day", "model", "key", "user", "status"], "default": "day"},
    "limit": _limit(1000, 1000),
    "offset": {"type": "integer", "minimum": 0, "default": 0},
}
USAGE_QUERY = tuple(_query(name, meaning, _USAGE_SCHEMAS.get(name, _TEXT)) for name, meaning in QUERY.items())

IMAGE_HEADERS = (
    _header(
        "Idempotency-Key",
        "The first answer is given again for a day, and nothing is bought twice.",
        {"type": "string", "maxLength": 255},
    ),
    _header(
        "Prefer",
        "`respond-async`: answer 202 at once; the images are fetched later.",
        {"type": "string", "enum": ["respond-async"]},
    ),
    _header("X-Spillway-Strict", "true: refuse the request instead of changing or dropping a field.", _FLAG),
    _header(
        "X-Spillway-Timeout",
        "Seconds you wait. Shortly before, the answer is 504 `still_processing`. OpenAI's SDKs send their own.",
        {"type": "number", "exclusiveMinimum": 0},
    ),
    _header("X-Client-Request-Id", "A name of your own for the request. It is kept in its record."),
)
MEDIA_HEADERS = (
    _header("Range", "`bytes=0-1023`, `bytes=1024-` or `bytes=-1024`: this part only, with status 206."),
    _header("If-Range", "An `ETag` or `Last-Modified`: the part only of these bytes, else all of the image."),
    _header("If-None-Match", "An `ETag`: nothing but 304 where the image is still the same."),
)
_EVERYWHERE: Mapping[str, str] = {
    "x-request-id": "The id of this request.",
    "X-Spillway-Request-Id": "The same id.",
    "openai-processing-ms": "Milliseconds this request took.",
    "X-Spillway-Upstream": "`simulator` when no Runware key is set.",
}
_OF_KEYS: Mapping[str, str] = {
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
_OF_IMAGES: Mapping[str, str] = {
    "X-Spillway-Model": "The model that answered.",
    "X-Spillway-Provider": "The provider that answered.",
    "X-Spillway-Cost": "US dollars charged, when all of the cost is known.",
    "X-Spillway-Adjustments": "Short form of metadata.adjustments, when it is not empty.",
    "Idempotent-Replayed": "`true` when the answer was given before.",
}
_OF_SOME: Mapping[str, str] = {
    "Retry-After": "Seconds to wait, at most 60.",
    "x-should-retry": "Whether the SDKs should send it again by themselves.",
    "Location": "Where the record of the request is.",
    "Preference-Applied": "`respond-async`.",
    "Cache-Control": "`no-store`: the answer shows a secret.",
    "Link": '`rel="next"`: where the next rows are.',
    "Vary": "`Accept`.",
    "Content-Disposition": "A name for the file.",
    "ETag": "Names these bytes; the same wherever the image is stored.",
    "Last-Modified": "When the image was stored.",
    "Accept-Ranges": "`bytes`.",
    "Content-Range": "Which bytes of how many.",
}
PUBLIC_HEADERS = tuple(_EVERYWHERE)
KEY_HEADERS = (*_EVERYWHERE, *_OF_KEYS)
IMAGE_ANSWER_HEADERS = (*KEY_HEADERS, *_OF_IMAGES)
MEDIA_ANSWER_HEADERS = (*_EVERYWHERE, "ETag", "Last-Modified", "Accept-Ranges", "Content-Disposition")
RETRY_HEADERS = ("Retry-After", "x-should-retry")


def answer_headers() -> Documented:
    """Every header of an answer, under its name."""
    every = {**_EVERYWHERE, **_OF_KEYS, **_OF_IMAGES, **_OF_SOME}
    return {name: {"description": text, "schema": _TEXT} for name, text in every.items()}


def header_references(*names: str) -> Documented:
    """The headers of one answer."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
