"""What makes two requests the same, and the task ids that follow from it. Pure.

A fingerprint covers everything that shapes the answer, images by their bytes; not who asks, nor how long it waits, nor
fields that the gateway sets itself: clients of Runware's give every attempt another `taskUUID`.
"""

import hashlib
import hmac
import uuid
from collections.abc import Callable
from dataclasses import replace

import msgspec

from app.domain.request import ImageRequest, InputImage, LinkedImage, RequestContext
from app.runware.tasks import OWN_FIELDS


def fingerprint(request: ImageRequest, context: RequestContext) -> str:
    """64 hexadecimal digits."""
    shown = replace(
        request,
        # Left out: SDKs and proxies change or add it between attempts (0063).
        user=None,
        # How a field was written does not change the image.
        given=frozenset(),
        # Runware's clients give every attempt another `taskUUID`; counted in, no retry would ever match (0063).
        extras={name: value for name, value in request.extras.items() if name not in OWN_FIELDS},
        # A link and base64 are different answers, also where a default decides.
        delivery=request.delivery or context.default_delivery,
        images=tuple(_by_hash(image) for image in request.images),
        # By content: forms and JSON carry the same image in different encodings.
        mask=_by_hash(request.mask) if request.mask else None,
        markup=_by_hash(request.markup) if request.markup else None,
    )
    # Strictness decides between an answer and a refusal, so it belongs to what is asked for.
    return hashlib.sha256(_encoder.encode((shown, context.strict))).hexdigest()


def _by_hash(image: InputImage) -> InputImage:
    """An image by what it is instead of by its bytes."""
    if isinstance(image, LinkedImage):
        return image
    return LinkedImage(image.param, f"sha256:{hashlib.sha256(image.data).hexdigest()}")


_encoder = msgspec.json.Encoder(order="deterministic")


class TaskIds:
    """Where task ids come from: out of a secret where there is a key, else from `new_id`, which gives UUIDs."""

    def __init__(self, secret: bytes, new_id: Callable[[], str]) -> None:
        self._secret = secret
        self._new_id = new_id

    def of(self, context: RequestContext, print_: str) -> Callable[[int], str]:
        """The id of each task of a request. With a key they follow from it, whatever was lost in between."""
        key = context.idempotency_key
        if key is None:
            return lambda _: self._new_id()

        def derive(index: int) -> str:
            # The tenant is part of it: two callers with the same key must never meet at one task (0064). `supersedes`
            # leads away from what an expired key bought (0058).
            text = "\x00".join((context.tenant, key, print_, str(index), *context.supersedes))
            # Keyed, so that nobody can compute another caller's ids and collect its images.
            digest = hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
            return str(uuid.UUID(bytes=digest[:16], version=4))

        return derive
