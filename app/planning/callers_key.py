"""Refuses a request that repeats its caller's own Runware key where it would be kept. Pure.

What a request says is written down, handed to Runware and repeated in answers; the key is in none of these (0136).
"""

from collections.abc import Iterator

import msgspec
from pydantic import SecretStr

from app.domain.request import ImageRequest, LinkedImage
from app.domain.words import JSONValue
from app.errors import InvalidRequestError

_DROPPED = "apiKey"
"""Where Runware's own clients put a key: it is dropped, and never repeated (0056)."""


def refuse_key_in(request: ImageRequest, client_request_id: str | None, key: SecretStr) -> None:
    """Raise InvalidRequestError, naming the field, where `key` stands in what is asked for."""
    secret = key.get_secret_value()
    for name, value in _texts_of(request, client_request_id):
        if name == _DROPPED:
            continue
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        if secret in text or secret in name:
            shown = "body" if secret in name else name
            message = f"Your Runware key stands in `{shown}`: send it in the header Authorization only."
            raise InvalidRequestError(message, param=shown, code="key_in_request")


def _texts_of(request: ImageRequest, client_request_id: str | None) -> Iterator[tuple[str, JSONValue]]:
    """What is kept, sent on or repeated of a request, by name."""
    yield "X-Client-Request-Id", client_request_id
    yield "prompt", request.prompt
    yield "model", request.model
    yield "user", request.user
    yield "webhook_url", request.webhook_url
    yield from request.parameters
    yield from request.passthrough.items()
    yield from ((one.param, one.value) for one in request.ignored)
    for image in (*request.images, request.mask, request.markup):
        if isinstance(image, LinkedImage):
            yield image.param, image.url
