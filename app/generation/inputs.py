"""Opens the input images of a request and makes them fit for the model.

Headers are read here, everything that decodes runs in a worker process, and addresses are handed on without a look
unless the shape, a mask or an overlay needs one. Faults are told in the caller's words, naming his field.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import ImageRequest, InputImage, LinkedImage, UploadedImage
from app.domain.spec import ImageSpec
from app.egress.address_guard import FetchError
from app.egress.fetch import Fetcher, TooManyBytesError
from app.errors import InternalError, InvalidRequestError, TooLargeError
from app.generation.gather import gather_in_order
from app.images.convert import TooManyPixelsError, UnreadableImageError
from app.images.formats.signatures import sniff
from app.images.headers import read_header
from app.images.inputs import ImageLimits, blank_image, fit_image, measure_image
from app.images.masks import MaskShapeError, MaskWithoutAreaError, convert_mask
from app.images.types import CompositeBase, Header
from app.images.workers import WorkerError, Workers
from app.planning.plan import TaskInputs
from app.runware.tasks import InlineImage, InputReference

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")
_TAKEN = "PNG, JPEG, WebP, GIF, AVIF, HEIC, BMP or TIFF"
_DECODED = frozenset({"png", "jpeg", "webp", "gif", "avif", "heic", "bmp", "tiff"})
_BLANKS_KEPT = 16


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """An image with its bytes, or only its address. `header` is there with the bytes."""

    param: str
    data: bytes | None = None
    header: Header | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedImages:
    """All images of a request, looked at as far as needed."""

    images: tuple[OpenedImage, ...]
    mask: OpenedImage | None = None
    markup: OpenedImage | None = None

    @property
    def first_size(self) -> tuple[int, int] | None:
        """The upright size of the first image, where its header tells."""
        header = self.images[0].header if self.images else None
        return header.upright if header is not None and header.width and header.height else None


@dataclass(frozen=True, slots=True)
class FittedInputs:
    """What goes into the task, what a result is pasted into afterwards, and what had to be changed."""

    inputs: TaskInputs
    ground: CompositeBase | None = None
    adjustments: tuple[Adjustment, ...] = ()


class InputImages:
    """Takes images in. `max_bytes` and `max_pixels` hold for each single one."""

    def __init__(self, workers: Workers, fetcher: Fetcher, *, max_bytes: int, max_pixels: int) -> None:
        self._workers = workers
        self._fetcher = fetcher
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels
        self._blanks: dict[tuple[int, int], InlineImage] = {}

    async def open(self, request: ImageRequest, *, needs_size: bool) -> OpenedImages:
        """Every image of `request`, raising InvalidRequestError or TooLargeError for one that cannot be used."""
        look_at_first = needs_size or request.mask is not None or request.markup is not None
        images = [self._open(image, look=look_at_first and index == 0) for index, image in enumerate(request.images)]
        extra = [self._open(image, look=True) if image else None for image in (request.mask, request.markup)]
        opened = await gather_in_order([*images, *(work for work in extra if work is not None)])
        rest = list(opened[len(images) :])
        mask = rest.pop(0) if request.mask else None
        return OpenedImages(tuple(opened[: len(images)]), mask, rest.pop(0) if request.markup else None)

    async def fit(self, opened: OpenedImages, spec: ImageSpec) -> FittedInputs:
        """The images as the model of `spec` takes them, with what had to be changed."""
        if spec.needs_blank_image and spec.size is not None:
            return FittedInputs(await self._blank(spec.size))
        rules = spec.model.images
        if rules is None or not opened.images:
            return FittedInputs(TaskInputs())
        limits = ImageLimits(self._max_pixels, rules.min_side, rules.max_side, rules.max_bytes)
        overlay = opened.markup.data if opened.markup else None
        work = [
            self._fit_one(image, limits, overlay if index == 0 else None) for index, image in enumerate(opened.images)
        ]
        fitted = await gather_in_order(work)
        report = [adjustment for _, _, adjustments in fitted for adjustment in adjustments]
        references = tuple(reference for reference, _, _ in fitted)
        if opened.mask is None:
            return FittedInputs(TaskInputs(references), None, tuple(report))
        pastes = spec.finish is not None and spec.finish.pastes
        size = opened.first_size if pastes else fitted[0][1]
        mask, adjustments = await self._fit_mask(opened.mask, size)
        report += adjustments
        image = opened.images[0].data
        if pastes and image is not None:
            return FittedInputs(TaskInputs(references), CompositeBase(image, mask), tuple(report))
        return FittedInputs(TaskInputs(references, InlineImage(mask, "png")), None, tuple(report))

    async def _blank(self, size: tuple[int, int]) -> TaskInputs:
        """A white image of `size` as the only input."""
        if size not in self._blanks:
            data = await self._workers.run(blank_image, *size)
            if len(self._blanks) >= _BLANKS_KEPT:
                self._blanks.pop(next(iter(self._blanks)))
            self._blanks[size] = InlineImage(data, "png")
        return TaskInputs((self._blanks[size],))

    async def _open(self, image: InputImage, *, look: bool) -> OpenedImage:
        if isinstance(image, LinkedImage):
            if not image.url.lower().startswith("http"):
                if look:
                    message = f"`{image.param}` is an image id, whose size is not known here: give `size` or a file."
                    raise InvalidRequestError(message, param=image.param)
                return OpenedImage(image.param, reference=image.url)
            if not look:
                await self._check_address(image)
                return OpenedImage(image.param, reference=image.url)
            image = UploadedImage(image.param, await self._fetch(image))
        opened = self._inspect(image)
        if look and opened.header is not None and not opened.header.width:
            return await self._measure(opened, image.data)
        return opened

    async def _measure(self, opened: OpenedImage, data: bytes) -> OpenedImage:
        """The image with its size, for formats whose header only a decoder reads."""
        width, height = await self._in_worker(opened, measure_image, data, self._max_pixels)
        format_ = opened.header.format if opened.header else ""
        return OpenedImage(opened.param, data, Header(format_, width, height))

    async def _in_worker(self, image: OpenedImage, work: Callable[[*_Arguments], _T], *arguments: *_Arguments) -> _T:
        """Work on an image, with its faults in the caller's words."""
        try:
            return await self._workers.run(work, *arguments)
        except UnreadableImageError:
            raise _bad_image(image.param, "is damaged or cut off") from None
        except TooManyPixelsError:
            raise self._too_many_pixels(image.param, image.header) from None
        except WorkerError:
            raise InternalError(f"`{image.param}` could not be read.", param=image.param) from None

    def _inspect(self, image: UploadedImage) -> OpenedImage:
        param, data = image.param, image.data
        if not data:
            raise _bad_image(param, "is empty")
        if len(data) > self._max_bytes:
            message = f"`{param}` is larger than the {self._max_bytes // 1024} KiB this gateway takes."
            raise TooLargeError(message, param=param, code="image_too_large")
        kind = sniff(data)
        if kind not in _DECODED:
            raise _bad_image(param, f"is {'a ' + kind.upper() if kind else 'not a'} image")
        header = read_header(data)
        if header is None:
            raise _bad_image(param, "is damaged or cut off")
        if header.width * header.height > self._max_pixels:
            raise self._too_many_pixels(param, header)
        return OpenedImage(param, data, header)

    def _too_many_pixels(self, param: str, header: Header | None = None) -> InvalidRequestError:
        size = f" ({header.width}x{header.height})" if header and header.width else ""
        message = f"`{param}`{size} has more than the {self._max_pixels} pixels this gateway takes: scale it down."
        return InvalidRequestError(message, param=param, code="image_too_large")

    async def _check_address(self, image: LinkedImage) -> None:
        try:
            await self._fetcher.check(image.url)
        except FetchError as error:
            raise _bad_image(image.param, error.reason) from None

    async def _fetch(self, image: LinkedImage) -> bytes:
        try:
            return await self._fetcher.fetch_input(image.url)
        except TooManyBytesError as error:
            message = f"`{image.param}` {error.reason}."
            raise TooLargeError(message, param=image.param, code="image_too_large") from None
        except FetchError as error:
            raise _bad_image(image.param, error.reason) from None

    async def _fit_one(
        self, image: OpenedImage, limits: ImageLimits, overlay: bytes | None
    ) -> tuple[InputReference, tuple[int, int] | None, list[Adjustment]]:
        if image.data is None or image.header is None:
            return image.reference or "", None, []
        fitted = await self._in_worker(image, fit_image, image.data, limits, overlay)
        report = []
        size = (fitted.width, fitted.height)
        if fitted.resized_from is not None:
            before, after = (f"{w}x{h}" for w, h in (fitted.resized_from, size))
            reason = "The model takes images within other limits."
            report.append(Adjustment(image.param, before, after, AdjustmentMode.CHANGED, reason))
        if overlay is not None:
            reason = "Drawn over the first image."
            report.append(Adjustment("markup", None, "drawn over the image", AdjustmentMode.EMULATED, reason))
        data = image.data if fitted.data is None else fitted.data
        return InlineImage(data, fitted.format), size, report

    async def _fit_mask(self, mask: OpenedImage, size: tuple[int, int] | None) -> tuple[bytes, list[Adjustment]]:
        if size is None or mask.data is None:
            raise InvalidRequestError("`mask` needs an image whose size is known.", param="mask")
        try:
            converted = await self._in_worker(mask, convert_mask, mask.data, size, self._max_pixels)
        except MaskShapeError as error:
            has = f"{error.size[0]}x{error.size[1]}"
            message = f"`mask` is {has} and the image {size[0]}x{size[1]}: both must have the same shape."
            raise InvalidRequestError(message, param="mask") from None
        except MaskWithoutAreaError:
            message = "`mask` says nothing: make the area to edit transparent, or white on black without transparency."
            raise InvalidRequestError(message, param="mask") from None
        report = []
        if converted.resized_from is not None:
            before, after = (f"{w}x{h}" for w, h in (converted.resized_from, size))
            reason = "A mask must have the size of its image."
            report.append(Adjustment("mask", before, after, AdjustmentMode.CHANGED, reason))
        return converted.data, report


def _bad_image(param: str, what: str) -> InvalidRequestError:
    message = f"`{param}` {what}. Send a {_TAKEN} image."
    return InvalidRequestError(message, param=param, code="invalid_image")
