"""Opens the input pictures of a request and makes them fit for the model.

Headers are read here, everything that decodes runs in a worker process, and addresses are handed on without a look
unless the shape, a mask or an overlay needs one. Faults are told in the caller's words, naming his field.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

import pybase64

from app.errors import InternalError, InvalidRequestError, TooLargeError
from app.generation.plan import TaskInputs
from app.generation.together import together
from app.generation.types import (
    Adjustment,
    AdjustmentMode,
    ImageRequest,
    ImageSpec,
    InputPicture,
    LinkedPicture,
    UploadedPicture,
)
from app.images.addresses import FetchError
from app.images.convert import TooManyPixelsError, UnreadablePictureError
from app.images.fetch import Fetcher, TooManyBytesError
from app.images.fits import Ground
from app.images.inputs import PictureLimits, blank_picture, fit_picture, measure_picture
from app.images.inspect import Header, inspect, sniff
from app.images.masks import MaskShapeError, MaskWithoutAreaError, convert_mask
from app.images.workers import WorkerError, Workers

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")
_TAKEN = "PNG, JPEG, WebP, GIF, AVIF, HEIC, BMP or TIFF"
_DECODED = frozenset({"png", "jpeg", "webp", "gif", "avif", "heic", "bmp", "tiff"})
_INLINE_BYTES = 256 * 1024
"""Base64 of more than this is made in a thread."""
_BLANKS_KEPT = 16


@dataclass(frozen=True, slots=True)
class OpenedPicture:
    """A picture with its bytes, or only its address. `header` is there with the bytes."""

    param: str
    data: bytes | None = None
    header: Header | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedPictures:
    """All pictures of a request, looked at as far as needed."""

    pictures: tuple[OpenedPicture, ...]
    mask: OpenedPicture | None = None
    markup: OpenedPicture | None = None

    @property
    def first_size(self) -> tuple[int, int] | None:
        """The upright size of the first picture, where its header tells."""
        header = self.pictures[0].header if self.pictures else None
        return header.upright if header is not None and header.width and header.height else None


@dataclass(frozen=True, slots=True)
class FittedInputs:
    """What goes into the task, what a result is pasted into afterwards, and what had to be changed."""

    inputs: TaskInputs
    ground: Ground | None = None
    adjustments: tuple[Adjustment, ...] = ()


class PictureDesk:
    """Takes pictures in. `max_bytes` and `max_pixels` hold for each single one."""

    def __init__(self, workers: Workers, fetcher: Fetcher, *, max_bytes: int, max_pixels: int) -> None:
        self._workers = workers
        self._fetcher = fetcher
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels
        self._blanks: dict[tuple[int, int], str] = {}

    async def open(self, request: ImageRequest, *, needs_size: bool) -> OpenedPictures:
        """Every picture of `request`, raising InvalidRequestError or TooLargeError for one that cannot be used."""
        look_at_first = needs_size or request.mask is not None or request.markup is not None
        pictures = [
            self._open(picture, look=look_at_first and index == 0) for index, picture in enumerate(request.pictures)
        ]
        extra = [self._open(picture, look=True) if picture else None for picture in (request.mask, request.markup)]
        opened = await together([*pictures, *(work for work in extra if work is not None)])
        rest = list(opened[len(pictures) :])
        mask = rest.pop(0) if request.mask else None
        return OpenedPictures(tuple(opened[: len(pictures)]), mask, rest.pop(0) if request.markup else None)

    async def fit(self, opened: OpenedPictures, spec: ImageSpec) -> FittedInputs:
        """The pictures as the model of `spec` takes them, with what had to be changed."""
        if spec.needs_blank_picture and spec.size is not None:
            return FittedInputs(await self._blank(spec.size))
        rules = spec.model.pictures
        if rules is None or not opened.pictures:
            return FittedInputs(TaskInputs())
        limits = PictureLimits(self._max_pixels, rules.min_side, rules.max_side, rules.max_bytes)
        overlay = opened.markup.data if opened.markup else None
        work = [
            self._fit_one(picture, limits, overlay if index == 0 else None)
            for index, picture in enumerate(opened.pictures)
        ]
        fitted = await together(work)
        report = [adjustment for _, _, adjustments in fitted for adjustment in adjustments]
        references = tuple(reference for reference, _, _ in fitted)
        if opened.mask is None:
            return FittedInputs(TaskInputs(references), None, tuple(report))
        pastes = spec.finish is not None and spec.finish.pastes
        size = opened.first_size if pastes else fitted[0][1]
        mask, adjustments = await self._fit_mask(opened.mask, size)
        report += adjustments
        picture = opened.pictures[0].data
        if pastes and picture is not None:
            return FittedInputs(TaskInputs(references), Ground(picture, mask), tuple(report))
        return FittedInputs(TaskInputs(references, await _to_data_uri(mask, "png")), None, tuple(report))

    async def _blank(self, size: tuple[int, int]) -> TaskInputs:
        """A white picture of `size` as the only input."""
        if size not in self._blanks:
            data = await self._workers.run(blank_picture, *size)
            if len(self._blanks) >= _BLANKS_KEPT:
                self._blanks.pop(next(iter(self._blanks)))
            self._blanks[size] = await _to_data_uri(data, "png")
        return TaskInputs((self._blanks[size],))

    async def _open(self, picture: InputPicture, *, look: bool) -> OpenedPicture:
        if isinstance(picture, LinkedPicture):
            if not picture.url.lower().startswith("http"):
                if look:
                    message = f"`{picture.param}` is a picture id, whose size is not known here: give `size` or a file."
                    raise InvalidRequestError(message, param=picture.param)
                return OpenedPicture(picture.param, reference=picture.url)
            if not look:
                await self._check_address(picture)
                return OpenedPicture(picture.param, reference=picture.url)
            picture = UploadedPicture(picture.param, await self._fetch(picture))
        opened = self._inspect(picture)
        if look and opened.header is not None and not opened.header.width:
            return await self._measure(opened, picture.data)
        return opened

    async def _measure(self, opened: OpenedPicture, data: bytes) -> OpenedPicture:
        """The picture with its size, for formats whose header only a decoder reads."""
        width, height = await self._in_worker(opened, measure_picture, data, self._max_pixels)
        format_ = opened.header.format if opened.header else ""
        return OpenedPicture(opened.param, data, Header(format_, width, height))

    async def _in_worker(
        self, picture: OpenedPicture, work: Callable[[*_Arguments], _T], *arguments: *_Arguments
    ) -> _T:
        """Work on a picture, with its faults in the caller's words."""
        try:
            return await self._workers.run(work, *arguments)
        except UnreadablePictureError:
            raise _bad_picture(picture.param, "is damaged or cut off") from None
        except TooManyPixelsError:
            raise self._too_many_pixels(picture.param, picture.header) from None
        except WorkerError:
            raise InternalError(f"`{picture.param}` could not be read.", param=picture.param) from None

    def _inspect(self, picture: UploadedPicture) -> OpenedPicture:
        param, data = picture.param, picture.data
        if not data:
            raise _bad_picture(param, "is empty")
        if len(data) > self._max_bytes:
            message = f"`{param}` is larger than the {self._max_bytes // 1024} KiB this gateway takes."
            raise TooLargeError(message, param=param, code="image_too_large")
        kind = sniff(data)
        if kind not in _DECODED:
            raise _bad_picture(param, f"is {'a ' + kind.upper() if kind else 'not a'} picture")
        header = inspect(data)
        if header is None:
            raise _bad_picture(param, "is damaged or cut off")
        if header.width * header.height > self._max_pixels:
            raise self._too_many_pixels(param, header)
        return OpenedPicture(param, data, header)

    def _too_many_pixels(self, param: str, header: Header | None = None) -> InvalidRequestError:
        size = f" ({header.width}x{header.height})" if header and header.width else ""
        message = f"`{param}`{size} has more than the {self._max_pixels} pixels this gateway takes: scale it down."
        return InvalidRequestError(message, param=param, code="image_too_large")

    async def _check_address(self, picture: LinkedPicture) -> None:
        try:
            await self._fetcher.check(picture.url)
        except FetchError as error:
            raise _bad_picture(picture.param, error.reason) from None

    async def _fetch(self, picture: LinkedPicture) -> bytes:
        try:
            return await self._fetcher.fetch_input(picture.url)
        except TooManyBytesError as error:
            message = f"`{picture.param}` {error.reason}."
            raise TooLargeError(message, param=picture.param, code="image_too_large") from None
        except FetchError as error:
            raise _bad_picture(picture.param, error.reason) from None

    async def _fit_one(
        self, picture: OpenedPicture, limits: PictureLimits, overlay: bytes | None
    ) -> tuple[str, tuple[int, int] | None, list[Adjustment]]:
        if picture.data is None or picture.header is None:
            return picture.reference or "", None, []
        fitted = await self._in_worker(picture, fit_picture, picture.data, limits, overlay)
        report = []
        size = (fitted.width, fitted.height)
        if fitted.resized_from is not None:
            before, after = (f"{w}x{h}" for w, h in (fitted.resized_from, size))
            reason = "The model takes pictures within other limits."
            report.append(Adjustment(picture.param, before, after, AdjustmentMode.CHANGED, reason))
        if overlay is not None:
            reason = "Drawn over the first picture."
            report.append(Adjustment("markup", None, "drawn over the picture", AdjustmentMode.EMULATED, reason))
        data = picture.data if fitted.data is None else fitted.data
        return await _to_data_uri(data, fitted.format), size, report

    async def _fit_mask(self, mask: OpenedPicture, size: tuple[int, int] | None) -> tuple[bytes, list[Adjustment]]:
        if size is None or mask.data is None:
            raise InvalidRequestError("`mask` needs a picture whose size is known.", param="mask")
        try:
            converted = await self._in_worker(mask, convert_mask, mask.data, size, self._max_pixels)
        except MaskShapeError as error:
            has = f"{error.size[0]}x{error.size[1]}"
            message = f"`mask` is {has} and the picture {size[0]}x{size[1]}: both must have the same shape."
            raise InvalidRequestError(message, param="mask") from None
        except MaskWithoutAreaError:
            message = "`mask` says nothing: make the area to edit transparent, or white on black without transparency."
            raise InvalidRequestError(message, param="mask") from None
        report = []
        if converted.resized_from is not None:
            before, after = (f"{w}x{h}" for w, h in (converted.resized_from, size))
            reason = "A mask must have the size of its picture."
            report.append(Adjustment("mask", before, after, AdjustmentMode.CHANGED, reason))
        return converted.data, report


def _bad_picture(param: str, what: str) -> InvalidRequestError:
    message = f"`{param}` {what}. Send a {_TAKEN} picture."
    return InvalidRequestError(message, param=param, code="invalid_image")


async def _to_data_uri(data: bytes, format_: str) -> str:
    def encode() -> str:
        return f"data:image/{format_};base64,{pybase64.b64encode(data).decode()}"

    return encode() if len(data) < _INLINE_BYTES else await asyncio.to_thread(encode)
