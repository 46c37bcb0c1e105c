"""What makes two requests the same, and the task ids that follow from it. Pure.

A fingerprint covers everything that shapes the answer, images by their bytes; not who asks, nor how long it waits, nor
fields that the gateway sets itself: clients of Runware's give every attempt another `taskUUID`.
"""

import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping

import msgspec

from app.domain.context import RequestContext
from app.domain.ids import GrowingIds
from app.domain.request import IgnoredField, ImageRequest, InputImage, LinkedImage, SizeRequest
from app.domain.words import Delivery, JSONValue
from app.runware.tasks import OWN_FIELDS


# Its own list of names: journals hold fingerprints of the last days, and under another name or order of the fields a
# retry across an upgrade would match none of them and be bought again (0070).
class _Counted(msgspec.Struct, frozen=True, kw_only=True, rename={"parameters": "words", "passthrough": "extras"}):
    """What counts of a request, each field under the name it was first written with."""

    mode: str
    prompt: str | None
    model: str | None
    count: int
    size: SizeRequest
    delivery: str
    format: str | None
    compression: int | None
    background: str | None
    fit: str | None
    images: tuple[InputImage, ...]
    mask: InputImage | None
    mask_is_native: bool
    markup: InputImage | None
    seed: int | None
    parameters: Mapping[str, JSONValue]
    passthrough: Mapping[str, JSONValue]
    # Never counted: SDKs and proxies change or add it between attempts (0063).
    user: None = None
    stream: bool
    webhook_url: str | None
    in_background: bool
    names: Mapping[str, str]
    ignored: tuple[IgnoredField, ...]
    # Never counted: how a field was written does not change the image.
    given: tuple[()] = ()


class Counted(msgspec.Struct, frozen=True):
    """What counts of requests that differ in nothing but prompt and seed: its pieces around these two."""

    head: bytes
    middle: bytes
    end: bytes

    def fingerprint(self, request: ImageRequest, *, strict: bool) -> str:
        """That of one of them."""
        seed = b"null" if request.seed is None else b"%d" % request.seed
        ends = b"true]" if strict else b"false]"
        text = b"".join((self.head, _encoder.encode(request.prompt), self.middle, seed, self.end, ends))
        return hashlib.sha256(text).hexdigest()


def count_alike(request: ImageRequest, default_delivery: Delivery) -> Counted:
    """What counts of a request without prompt and seed, and of all that have these beside."""
    head, prompt, rest = _encoder.encode((_counted(request, default_delivery), False)).partition(b'"prompt":null')
    # Quotation marks within texts are escaped, so these are the members themselves.
    middle, seed, end = rest.partition(b'"seed":null')
    return Counted(head + prompt[:-4], middle + seed[:-4], end.removesuffix(b"false]"))


def fingerprint(request: ImageRequest, context: RequestContext) -> str:
    """64 hexadecimal digits."""
    counted = _counted(request, context.default_delivery)
    # Strictness decides between an answer and a refusal, so it belongs to what is asked for.
    return hashlib.sha256(_encoder.encode((counted, context.strict))).hexdigest()


def _counted(request: ImageRequest, default_delivery: Delivery) -> _Counted:
    return _Counted(
        mode=request.mode,
        prompt=request.prompt,
        model=request.model,
        count=request.count,
        size=request.size,
        # A link and base64 are different answers, also where a default decides.
        delivery=request.delivery or default_delivery,
        format=request.format,
        compression=request.compression,
        background=request.background,
        fit=request.fit,
        images=tuple(_as_digest(image) for image in request.images),
        # By content: forms and JSON carry the same image in different encodings.
        mask=_as_digest(request.mask) if request.mask else None,
        mask_is_native=request.mask_is_native,
        markup=_as_digest(request.markup) if request.markup else None,
        seed=request.seed,
        parameters=dict(request.parameters),
        # Runware's clients give every attempt another `taskUUID`; counted in, no retry would ever match (0063).
        passthrough=_extras_of(request),
        stream=request.stream,
        webhook_url=request.webhook_url,
        in_background=request.in_background,
        names=request.names,
        ignored=request.ignored,
    )


def _extras_of(request: ImageRequest) -> Mapping[str, JSONValue]:
    # `ttl` stands where it stood while it was Runware's alone, so that it counts as before (0070).
    own: dict[str, JSONValue] = {} if request.ttl is None else {"ttl": request.ttl}
    return {name: value for name, value in request.passthrough.items() if name not in OWN_FIELDS} | own


def _as_digest(image: InputImage) -> InputImage:
    """An image by what it is instead of by its bytes."""
    if isinstance(image, LinkedImage):
        return image
    if not image.digest:  # under any other name than its journal's it would match nothing, and be bought again (0214)
        problem = "This image has no digest."
        raise RuntimeError(problem)
    return LinkedImage(image.param, image.digest)


_encoder = msgspec.json.Encoder(order="deterministic")


class TaskIds:
    """Where task ids come from: out of a secret where there is a key, else from `new_id`."""

    def __init__(self, secret: bytes, new_id: Callable[[], str] | None = None) -> None:
        self._secret = secret
        self._new_id = new_id or GrowingIds()

    def of(self, context: RequestContext, fingerprint_: str, count: int) -> tuple[str, ...]:
        """The ids of a request's tasks. With a key they follow from it and the fingerprint, in any journal."""
        key = context.idempotency_key
        if key is None:
            return (self._new_id(),) if count == 1 else tuple([self._new_id() for _ in range(count)])
        return tuple(self._derive(context, key, fingerprint_, index) for index in range(count))

    def _derive(self, context: RequestContext, key: str, fingerprint_: str, index: int) -> str:
        # The tenant is part of it: two callers with the same key must never meet at one task (0064). `supersedes` leads
        # away from what an expired key bought (0058).
        text = "\x00".join((context.tenant, key, fingerprint_, str(index), *context.supersedes))
        # Keyed, so that nobody can compute another caller's ids and collect its images.
        digest = hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        return str(uuid.UUID(bytes=digest[:16], version=4))
