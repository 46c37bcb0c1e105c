"""Turns the provider's images into those of the answer: converted, hosted or embedded.

Whenever bytes pass through here their header is read, so that label and size are what the bytes are, and a broken
image is a failure, not a delivery. Decoding of images happens in workers only. Every image is paid for: what cannot be
done to one is reported, and it is given as Runware made it; no fault leaves a request without an end.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pybase64

from app.domain.answer import Adjustment, DeliveredImage
from app.domain.context import RequestContext
from app.domain.spec import NATIVE_FORMATS, OutputSpec
from app.domain.values import replace
from app.domain.words import Delivery, ImageFormat
from app.egress.address_guard import FetchError
from app.egress.download import ResultDownloader
from app.errors import GatewayError, ProviderError
from app.generation.collect import FailedImage, TaskEnd
from app.generation.delivery_reports import report_alpha, report_as_made, report_not_hosted, report_sizes
from app.generation.gather import gather_in_order
from app.generation.made_image import broken_image, decode_text, header_of, header_of_text, max_bytes_of, told
from app.generation.streamed import StreamedImage
from app.images.compose import compose_image
from app.images.convert import convert
from app.images.headers import read_header
from app.images.types import CompositeBase, Header
from app.images.workers.bounds import Job
from app.images.workers.pool import Workers
from app.jobs.shelf import ImageShelf, Owner
from app.media.errors import MediaUnavailableError
from app.media.store import HostedImage
from app.observability.logs import Stage, get_logger
from app.observability.metrics import Metrics
from app.planning.output import converts, streams
from app.runware.members import Image

_logger = get_logger("delivery")
_EXPECTED_PIXELS = 64_000_000
"""Where neither the header nor the request tells."""


@dataclass(frozen=True, slots=True)
class _Form:
    """An image ready to be handed over, and what could not be done to it."""

    data: bytes
    format: ImageFormat
    size: tuple[int, int]
    undone: tuple[Adjustment, ...] = ()


_Outcome = tuple[DeliveredImage, tuple[Adjustment, ...]]


class ImageDelivery:
    """Brings images into the asked format and form. `clock` is unix seconds.

    A result of more than `max_pixels`, such as an enlarged one, is not decoded: it stays as it was made.
    """

    def __init__(
        self,
        workers: Workers,
        downloads: ResultDownloader,
        shelf: ImageShelf,
        max_pixels: int,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._workers = workers
        self._max_pixels = max_pixels
        self._downloads = downloads
        self._shelf = shelf
        self._delivered_in = (metrics or Metrics.off()).timer("deliver")
        self._clock = clock

    async def deliver(
        self,
        output: OutputSpec,
        made: Sequence[Image],
        end: TaskEnd,
        context: RequestContext,
        base: CompositeBase | None = None,
    ) -> TaskEnd:
        """The end of a task with all of its images that can be delivered, which may be none.

        `made` are its images in their order; `base` is what a result is pasted into, where `output` says so.
        """
        first = end.place.first_index
        # One image that fails must not cost the caller the others: all are paid for (0036).
        began = time.perf_counter()
        try:
            if len(made) == 1:
                outcomes = [await self._try_one(output, first, made[0], context, base)]
            else:
                outcomes = await gather_in_order(
                    [self._try_one(output, index, image, context, base) for index, image in enumerate(made, first)]
                )
        finally:
            self._delivered_in(time.perf_counter() - began)
        images: list[DeliveredImage] = []
        failed, reports = [*end.failed], list[Adjustment]()
        for index, outcome in enumerate(outcomes, first):
            if isinstance(outcome, GatewayError):
                failed.append(FailedImage(index, outcome))
            else:
                images.append(outcome[0])
                reports += outcome[1]
        # Behind the provider's own links nobody looks, unless it matters.
        if not output.native_link or output.transparent:
            reports += (*report_sizes(output, images), *report_alpha(output, images))
        return replace(end, images=tuple(images), failed=tuple(failed), adjustments=tuple(reports))

    async def _try_one(
        self, output: OutputSpec, index: int, image: Image, context: RequestContext, base: CompositeBase | None
    ) -> _Outcome | GatewayError:
        try:
            if output.native_link and image.url is not None and not output.transparent:
                return await self._give_link(output, image, image.url), ()
            with Stage("deliver", {"image": index}):
                return await self._deliver_one(output, image, context, base)
        except GatewayError as error:
            return error
        except Exception:  # whatever it was, the image is paid for
            _logger.exception("an image that was made cannot be delivered as asked", request=context.request_id)
            return await self._give_as_made(output, image)

    async def _give_link(self, output: OutputSpec, image: Image, url: str) -> DeliveredImage:
        """The image behind Runware's own link."""
        try:
            # Our answer would vouch for an address that leads into the caller's own network (0102).
            await self._downloads.check_address(url)
        except FetchError as error:
            raise _unavailable(error) from None
        ends = None if output.link_seconds is None else int(self._clock()) + output.link_seconds
        return told(image, output.size, output.format.delivered, url, ends)

    async def _give_as_made(self, output: OutputSpec, image: Image) -> _Outcome | GatewayError:
        """The image as Runware gave it, without a look at it: the last resort."""
        own = next((ours for ours, native in NATIVE_FORMATS.items() if native == output.format.native), ImageFormat.PNG)
        if image.url is None or (image.base64 is not None and output.delivery is not Delivery.LINK):
            as_uri = output.delivery is not Delivery.EMBEDDED
            made = replace(told(image, None, own), base64=image.base64, as_uri=as_uri)
            return made, report_as_made(output, own, None, is_link=False)
        try:
            await self._downloads.check_address(image.url)
        except FetchError as error:
            return _unavailable(error)
        return told(image, None, own, image.url), report_as_made(output, own, None, is_link=True)

    async def _deliver_one(
        self, output: OutputSpec, image: Image, context: RequestContext, base: CompositeBase | None
    ) -> _Outcome:
        wanted = output.format.delivered
        if output.native_link and image.url is not None:
            made = await self._give_link(output, image, image.url)
            return replace(made, alpha=header_of(await self._bytes_of(image, output)).alpha), ()
        if streams(output) and image.url is not None and image.base64 is None:
            return await self._stream(output, image, image.url, context)
        # Base64 passes as it came, megabytes and all: only its header is decoded, to keep the label true.
        untouched = not converts(output.format) and output.composition is None
        if image.base64 is not None and untouched and output.delivery is not Delivery.LINK:
            header = header_of_text(image.base64)
            if header.format == wanted:
                as_uri = output.delivery is Delivery.DATA_URI
                made = told(image, (header.width, header.height), wanted)
                return replace(made, base64=image.base64, alpha=header.alpha, as_uri=as_uri), ()
        data = await self._bytes_of(image, output)
        return await self._deliver_bytes(data, output, image, context, base)

    async def _deliver_bytes(
        self, data: bytes, output: OutputSpec, image: Image, context: RequestContext, base: CompositeBase | None = None
    ) -> _Outcome:
        header, wanted = header_of(data), output.format.delivered
        if header.format == wanted.value and not converts(output.format) and output.composition is None:
            form = _Form(data, wanted, (header.width, header.height))
        else:
            form = await self._convert(data, header, output, context, base)
        handed, undone = await self._hand_over(form, image, output, context)
        return (replace(handed, alpha=header.alpha) if output.transparent else handed), (*form.undone, *undone)

    async def _stream(self, output: OutputSpec, image: Image, url: str, context: RequestContext) -> _Outcome:
        """The image behind a link of ours, without having been in memory whole (0158)."""
        wanted = output.format.delivered
        passing = StreamedImage(self._shelf, wanted, _owner(output, context))
        try:
            await self._downloads.pour(url, passing, max_bytes_of(output))
        except FetchError as error:
            raise _unavailable(error) from None
        except MediaUnavailableError:
            _logger.exception("an image cannot be hosted", request=context.request_id)
            data = await self._bytes_of(image, output)
            form = _Form(data, wanted, (header_of(data).width, header_of(data).height))
            return await self._embed(form, image, output)
        if passing.hosted is None or passing.header is None:
            return await self._deliver_bytes(passing.data, output, image, context)
        made = told(image, (passing.header.width, passing.header.height), wanted)
        return _linked(made, passing.hosted, context), ()

    async def _hand_over(self, form: _Form, image: Image, output: OutputSpec, context: RequestContext) -> _Outcome:
        made = told(image, form.size, form.format)
        if output.delivery is Delivery.LINK:
            try:
                hosted = await self._shelf.host(form.data, form.format.value, _owner(output, context))
            except MediaUnavailableError:
                _logger.exception("an image cannot be hosted", request=context.request_id, bytes=len(form.data))
            else:
                return _linked(made, hosted, context), ()
        return await self._embed(form, image, output)

    async def _embed(self, form: _Form, image: Image, output: OutputSpec) -> _Outcome:
        made = told(image, form.size, form.format)
        text = await asyncio.to_thread(pybase64.b64encode, form.data)
        as_uri = output.delivery is not Delivery.EMBEDDED
        # A full disk is our fault: the caller gets the paid image in the answer instead (0104).
        undone = (report_not_hosted(),) if output.delivery is Delivery.LINK else ()
        return replace(made, base64=memoryview(text), as_uri=as_uri), undone

    async def _bytes_of(self, image: Image, output: OutputSpec) -> bytes:
        if image.base64 is not None:
            return await decode_text(image.base64)
        if image.url is None:
            raise broken_image()
        try:
            return await self._downloads.download(image.url, max_bytes_of(output))
        except FetchError as error:
            raise _unavailable(error) from None

    async def _convert(
        self, data: bytes, header: Header, output: OutputSpec, context: RequestContext, base: CompositeBase | None
    ) -> _Form:
        """The image in the asked format and composed, as it was made where that cannot be done."""
        ending = (output.format.delivered.value, output.format.quality, self._max_pixels)
        job = _job(header, output, context.tenant, base)
        try:
            size_text = f"{header.width}x{header.height}"
            with Stage("convert", {"type": header.format, "size": size_text, "bytes": len(data)}):
                if output.composition is None:
                    made = await self._workers.run_in_worker(job, convert, data, *ending)
                else:
                    size, fit, pad = output.composition.size, output.composition.fit, output.composition.pad
                    made = await self._workers.run_in_worker(job, compose_image, data, size, fit, pad, base, *ending)
        except Exception:  # of the decoder, the encoder, or the process they run in
            _logger.exception("an image that was made cannot be converted", request=context.request_id)
            if header.format not in set(ImageFormat):
                raise broken_image() from None
            own, size = ImageFormat(header.format), (header.width, header.height)
            return _Form(data, own, size, report_as_made(output, own, size, is_link=output.delivery is Delivery.LINK))
        return _Form(made.data, output.format.delivered, (made.width, made.height))


def _owner(output: OutputSpec, context: RequestContext) -> Owner:
    # Under a key the image outlives its link, so that a replay can have a new one (0057).
    return Owner(context.request_id, output.lives, asked_again=context.is_repeatable)


def _linked(made: DeliveredImage, hosted: HostedImage, context: RequestContext) -> DeliveredImage:
    return replace(made, url=hosted.url_at(context.origin), expires_at=hosted.expires_at, hosted=hosted.name)


def _job(header: Header, output: OutputSpec, owner: str, base: CompositeBase | None) -> Job:
    """What a conversion may take: it is paid for, so it goes before all that is not."""
    expected = math.prod(output.size) if output.size else _EXPECTED_PIXELS
    decoded = header.width * header.height or expected
    made = math.prod(output.composition.size) if output.composition else decoded
    own = read_header(base.image) if base else None
    kept = (own.width * own.height or _EXPECTED_PIXELS) + made if own else 0
    # Urgent: it is paid, so it goes before input images of requests that are not.
    return Job(owner, decoded + kept, made, encoder=output.format.delivered.value, urgent=True)


def _unavailable(error: FetchError) -> ProviderError:
    message = f"The image was made, but its address {error.reason}."
    return ProviderError(message, code="image_unavailable", should_retry=False)
