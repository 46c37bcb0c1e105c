"""Turns the provider's images into those of the answer: converted, hosted or embedded.

Whenever bytes pass through here their header is read, so that label and size are what the bytes are, and a broken
image is a failure, not a delivery. Decoding of images happens in workers only.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pybase64

from app.domain.answer import Adjustment, AdjustmentMode, DeliveredImage, Failure
from app.domain.request import Delivery, ImageFormat, RequestContext
from app.domain.spec import ImageSpec
from app.egress.address_guard import FetchError
from app.egress.download import ResultDownloader
from app.errors import GatewayError, ProviderError
from app.generation.collect import PlacedImage
from app.generation.gather import gather_in_order
from app.images.compose import finish_image
from app.images.convert import convert
from app.images.errors import ImageError, WorkerError
from app.images.headers import HEAD_BYTES, is_whole, read_header
from app.images.types import CompositeBase, Header
from app.images.workers.bounds import Job
from app.images.workers.pool import Workers
from app.media.store import MediaStore
from app.observability.logs import get_logger
from app.runware.wire import Image

_logger = get_logger("delivery")
_MAX_RESULT_PIXELS = 400_000_000
_EXPECTED_PIXELS = 64_000_000
"""Where neither the header nor the request tells."""
_HEAD_TEXT = HEAD_BYTES // 3 * 4
_TAIL_TEXT = 1024
_INLINE_TEXT = 256 * 1024
_MEASURED = frozenset({ImageFormat.PNG, ImageFormat.JPEG, ImageFormat.WEBP, ImageFormat.GIF})
"""Formats whose header tells the size."""
_BROKEN = "The provider delivered a broken image."


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the caller gets, in order; failures are images that were made but could not be delivered."""

    images: tuple[DeliveredImage, ...]
    failures: tuple[Failure, ...]
    adjustments: tuple[Adjustment, ...]


class ImageDelivery:
    """Brings images into the asked format and form. `clock` is unix seconds."""

    def __init__(
        self, workers: Workers, downloads: ResultDownloader, store: MediaStore, clock: Callable[[], float] = time.time
    ) -> None:
        self._workers = workers
        self._downloads = downloads
        self._store = store
        self._clock = clock

    async def deliver(
        self,
        spec: ImageSpec,
        placed: Sequence[PlacedImage],
        context: RequestContext,
        ground: CompositeBase | None = None,
    ) -> Delivered:
        """All images that can be delivered, raising the first one's GatewayError when none can.

        `ground` is what a result is pasted into, where the spec says so.
        """
        outcomes = await gather_in_order([self._try_one(spec, one.image, context, ground) for one in placed])
        images = tuple(outcome for outcome in outcomes if isinstance(outcome, DeliveredImage))
        errors = [
            (one.index, outcome)
            for one, outcome in zip(placed, outcomes, strict=True)
            if isinstance(outcome, GatewayError)
        ]
        if not images:
            raise errors[0][1]
        failures = tuple(Failure(index, error.code, error.message) for index, error in errors)
        return Delivered(images, failures, (*_report_sizes(spec, images), *_report_alpha(spec, images)))

    async def _try_one(
        self, spec: ImageSpec, image: Image, context: RequestContext, ground: CompositeBase | None
    ) -> DeliveredImage | GatewayError:
        try:
            made = await self._deliver_one(spec, image, context, ground)
        except GatewayError as error:
            return error
        return replace(made, image_uuid=image.image_uuid, nsfw_content=image.nsfw, provider_fields=image.others)

    async def _deliver_one(
        self, spec: ImageSpec, image: Image, context: RequestContext, ground: CompositeBase | None
    ) -> DeliveredImage:
        plan = spec.format
        if spec.native_link and image.url is not None:
            await self._check_link(image.url)
            alpha = _header_of(await self._bytes_of(image)).alpha if spec.transparent else None
            ends = self._end_of_link(spec)
            return DeliveredImage(spec.size, plan.delivered, image.seed, image.url, ends, alpha=alpha)
        untouched = not plan.converts and spec.finish is None
        if image.base64 is not None and untouched and spec.delivery is not Delivery.LINK:
            header = _header_of_text(image.base64)
            if header.format == plan.delivered:
                size = (header.width, header.height)
                as_uri = spec.delivery is Delivery.DATA_URI
                return DeliveredImage(
                    size, plan.delivered, image.seed, base64=image.base64, alpha=header.alpha, as_uri=as_uri
                )
        data = await self._bytes_of(image)
        header = _header_of(data)
        if header.format == plan.delivered.value and untouched:
            size = (header.width, header.height)
        else:
            data, size = await self._convert(data, header, spec, context.tenant, ground)
        handed = await self._hand_over(data, size, image, spec, context)
        return replace(handed, alpha=header.alpha) if spec.transparent else handed

    def _end_of_link(self, spec: ImageSpec) -> int | None:
        """When the provider's own link ends, in unix seconds, where the caller said how long it shall live."""
        ttl = spec.fields.get("ttl")
        return int(self._clock()) + ttl if isinstance(ttl, int) else None

    async def _hand_over(
        self, data: bytes, size: tuple[int, int], image: Image, spec: ImageSpec, context: RequestContext
    ) -> DeliveredImage:
        format_ = spec.format.delivered
        if spec.delivery is Delivery.LINK:
            hosted = await self._store.put(data, format_.value, longer=context.is_repeatable)
            url = f"{context.origin}{hosted.path}"
            return DeliveredImage(size, format_, image.seed, url, hosted.expires_at, hosted=hosted.name)
        text = await asyncio.to_thread(pybase64.b64encode, data)
        return DeliveredImage(size, format_, image.seed, base64=text, as_uri=spec.delivery is Delivery.DATA_URI)

    async def _bytes_of(self, image: Image) -> bytes:
        if image.base64 is not None:
            return await _decode(image.base64)
        if image.url is None:
            raise _broken()
        try:
            return await self._downloads.bring(image.url)
        except FetchError as error:
            raise _unavailable(error) from None

    async def _check_link(self, url: str) -> None:
        """A caller is not sent where we would not go."""
        try:
            await self._downloads.check(url)
        except FetchError as error:
            raise _unavailable(error) from None

    async def _convert(
        self, data: bytes, header: Header, spec: ImageSpec, owner: str, ground: CompositeBase | None
    ) -> tuple[bytes, tuple[int, int]]:
        """The image in the asked format, finished where the spec says so."""
        ending = (spec.format.delivered.value, spec.format.quality, _MAX_RESULT_PIXELS)
        job = _job(header, spec, owner, ground)
        try:
            if spec.finish is None:
                made = await self._workers.run(job, convert, data, *ending)
            else:
                size, fit, pad = spec.finish.size, spec.finish.fit, spec.finish.pad
                made = await self._workers.run(job, finish_image, data, size, fit, pad, ground, *ending)
        except (ImageError, WorkerError):
            _logger.exception("an image that was made cannot be converted", format=header.format, bytes=len(data))
            raise _broken() from None
        return made.data, (made.width, made.height)


def _job(header: Header, spec: ImageSpec, owner: str, ground: CompositeBase | None) -> Job:
    """What a conversion may take: it is paid for, so it goes before all that is not."""
    expected = math.prod(spec.size) if spec.size else _EXPECTED_PIXELS
    decoded = header.width * header.height or expected
    made = math.prod(spec.finish.size) if spec.finish else decoded
    own = read_header(ground.image) if ground else None
    kept = (own.width * own.height or _EXPECTED_PIXELS) + made if own else 0
    return Job(owner, decoded + kept, made, encoder=spec.format.delivered.value, urgent=True)


def _report_sizes(spec: ImageSpec, images: Sequence[DeliveredImage]) -> tuple[Adjustment, ...]:
    """What to say when the provider made another size than the one it was asked for."""
    if spec.size is None or spec.finish is not None:
        return ()
    wanted = f"{spec.size[0]}x{spec.size[1]}"
    other = {
        f"{image.size[0]}x{image.size[1]}" for image in images if image.size not in {None, spec.size} and image.size
    }
    reason = "The provider made another size than it was asked for."
    return tuple(Adjustment("size", wanted, size, AdjustmentMode.CHANGED, reason) for size in sorted(other))


def _report_alpha(spec: ImageSpec, images: Sequence[DeliveredImage]) -> tuple[Adjustment, ...]:
    """What to say when an image that was to be transparent came without an alpha channel."""
    if not spec.transparent or all(image.alpha is not False for image in images):
        return ()
    reason = "The provider made an opaque image, though it was asked for a transparent one."
    return (Adjustment("background", "transparent", "opaque", AdjustmentMode.CHANGED, reason),)


def _unavailable(error: FetchError) -> ProviderError:
    message = f"The image was made, but its address {error.reason}."
    return ProviderError(message, code="image_unavailable", should_retry=False)


def _broken() -> ProviderError:
    return ProviderError(_BROKEN, code="broken_image", should_retry=False)


def _header_of(data: bytes) -> Header:
    header = read_header(data)
    if header is None or not is_whole(data) or (header.format in _MEASURED and not header.width):
        raise _broken()
    return header


def _header_of_text(text: memoryview) -> Header:
    """The header of an image in base64, with only its two ends decoded."""
    try:
        head = pybase64.b64decode(text[:_HEAD_TEXT], validate=True)
        header = read_header(head) or read_header(pybase64.b64decode(text, validate=True))
        tail_start = max(0, len(text) - _TAIL_TEXT) // 4 * 4
        tail = pybase64.b64decode(text[tail_start:], validate=True)
    except ValueError:
        raise _broken() from None
    ends = is_whole(head) if len(text) <= _HEAD_TEXT else _ends_whole(head, tail, len(text))
    if header is None or not ends:
        raise _broken()
    return header


def _ends_whole(head: bytes, tail: bytes, text_length: int) -> bool:
    if head[:4] == b"RIFF":
        return text_length // 4 * 3 + 3 >= int.from_bytes(head[4:8], "little") + 8
    return is_whole(head[:2048] + tail)


async def _decode(text: bytes | memoryview) -> bytes:
    try:
        if len(text) < _INLINE_TEXT:
            return pybase64.b64decode(text, validate=True)
        return await asyncio.to_thread(pybase64.b64decode, text, validate=True)
    except ValueError:
        raise _broken() from None
