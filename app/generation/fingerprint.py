"""What makes two requests the same, and the task ids that follow from it. Pure.

A fingerprint covers everything that shapes the answer, pictures by their bytes; not who asks, nor how long he waits.
"""

import hashlib
import hmac
import uuid
from collections.abc import Callable
from dataclasses import replace

import msgspec

from app.generation.types import Circumstances, ImageRequest, InputPicture, LinkedPicture


def fingerprint(request: ImageRequest, circumstances: Circumstances) -> str:
    """64 hexadecimal digits."""
    shown = replace(
        request,
        user=None,
        delivery=request.delivery or circumstances.default_delivery,
        pictures=tuple(_by_hash(picture) for picture in request.pictures),
        mask=_by_hash(request.mask) if request.mask else None,
        markup=_by_hash(request.markup) if request.markup else None,
    )
    return hashlib.sha256(_encoder.encode((shown, circumstances.strict))).hexdigest()


def _by_hash(picture: InputPicture) -> InputPicture:
    """A picture by what it is instead of by its bytes."""
    if isinstance(picture, LinkedPicture):
        return picture
    return LinkedPicture(picture.param, f"sha256:{hashlib.sha256(picture.data).hexdigest()}")


_encoder = msgspec.json.Encoder(order="deterministic")


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
            text = "\x00".join((circumstances.tenant, key, print_, str(index), *circumstances.instead_of))
            digest = hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
            return str(uuid.UUID(bytes=digest[:16], version=4))

        return derive
