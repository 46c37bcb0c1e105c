"""What makes two requests the same, and the task ids that follow from it. Pure.

A fingerprint covers everything that shapes the answer, pictures by their bytes; not who asks, nor how long he waits.
"""

import hashlib
import hmac
import uuid
from collections.abc import Callable
from dataclasses import fields

import msgspec

from app.generation.types import Circumstances, ImageRequest, InputPicture, LinkedPicture

_NOT_COVERED = frozenset({"user", "delivery"})


def fingerprint(request: ImageRequest, circumstances: Circumstances) -> str:
    """64 hexadecimal digits."""
    shown: dict[str, object] = {
        one.name: _plain(getattr(request, one.name)) for one in fields(request) if one.name not in _NOT_COVERED
    }
    shown["delivery"] = (request.delivery or circumstances.default_delivery).value
    shown["strict"] = circumstances.strict
    return hashlib.sha256(msgspec.json.encode(shown, order="deterministic")).hexdigest()


class TaskIds:
    """Where task ids come from: out of a secret where there is a key, else from `new_id`, which gives UUIDs."""

    def __init__(self, secret: bytes, new_id: Callable[[], str]) -> None:
        self._secret = secret
        self._new_id = new_id

    def of(self, circumstances: Circumstances, print_: str) -> Callable[[int], str]:
        """The id of each task of a request. With a key they follow from it, whatever was lost in between."""
        key = circumstances.idempotency_key
        if key is None:
            return lambda _: self._new_id()

        def derive(index: int) -> str:
            text = "\x00".join((circumstances.tenant, key, print_, str(index)))
            digest = hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
            return str(uuid.UUID(bytes=digest[:16], version=4))

        return derive


def _plain(value: object) -> object:
    if isinstance(value, InputPicture):
        return value.url if isinstance(value, LinkedPicture) else hashlib.sha256(value.data).hexdigest()
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value
