"""Makes the input images of a request fit for the model.

An image that needs nothing is not decoded: its structure is checked and its bytes pass. Everything that decodes runs in
a worker process. Leaves looking at images to `opening`.
"""

import asyncio
import math
from dataclasses import dataclass

from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import ImageRequest
from app.domain.spec import ImageSpec
from app.egress.fetch import Fetcher
from app.errors import InvalidRequestError
from app.generation.gather import gather_in_order
from app.generation.image_work import ImageWork
from app.generation.opening import ImageOpener, OpenedImage, OpenedImages
from app.images.errors import MaskShapeError, MaskTooSmallError, MaskWithoutAreaError
from app.images.headers import INLINE_BYTES
from app.images.inputs import ImageLimits, blank_image, fit_image, needs_nothing, scale_into
from app.images.masks import convert_mask
from app.images.structure import CleanImage, clean_image
from app.images.types import CompositeBase, Header
from app.media.store import MediaStore
from app.planning.decide import InputNeeds
from app.planning.plan import TaskInputs
from app.runware.tasks import InlineImage, InputReference

_BLANKS_KEPT = 16
_UNKNOWN_SIDE = 2048
"""A result this wide and high is expected of an image whose size is not known."""


@dataclass(frozen=True, slots=True)
class FittedInputs:
    """What goes into the task, what a result is pasted into afterwards, and what had to be changed."""

    inputs: TaskInputs
    ground: CompositeBase | None = None
    adjustments: tuple[Adjustment, ...] = ()


class InputImages:
    """Takes images in. `max_bytes` holds for each single one."""

    def __init__(self, work: ImageWork, fetcher: Fetcher, store: MediaStore, *, max_bytes: int) -> None:
        self._opener = ImageOpener(work, fetcher, store, max_bytes=max_bytes)
        self._work = work
        self._blanks: dict[tuple[int, int], InlineImage] = {}

    async def open(self, request: ImageRequest, owner: str, needs: InputNeeds) -> OpenedImages:
        """Every image of `request`, raising InvalidRequestError or TooLargeError for one that cannot be used."""
        return await self._opener.open(request, owner, needs)

    async def fit(self, opened: OpenedImages, spec: ImageSpec) -> FittedInputs:
        """The images as the model of `spec` takes them, with what had to be changed."""
        if spec.blank is not None:
            return FittedInputs(await self._blank(spec.blank, opened.owner))
        rules = spec.model.images
        if rules is None or not opened.images:
            return FittedInputs(TaskInputs())
        limits = ImageLimits(self._work.max_pixels, rules.min_side, rules.max_side, rules.max_bytes)
        overlay = opened.markup.data if opened.markup else None
        work = [
            self._fit_one(opened.owner, image, limits, overlay if index == 0 else None)
            for index, image in enumerate(opened.images)
        ]
        fitted = await gather_in_order(work)
        report = [adjustment for _, _, adjustments in fitted for adjustment in adjustments]
        references = tuple(reference for reference, _, _ in fitted)
        if opened.mask is None or opened.mask.reference is not None:
            mask_reference = opened.mask.reference if opened.mask else None
            return FittedInputs(TaskInputs(references, mask_reference), None, tuple(report))
        pastes = spec.finish is not None and spec.finish.pastes
        size = opened.first_size if pastes else fitted[0][1]
        mask, adjustments = await self._fit_mask(opened.owner, opened.mask, size)
        report += adjustments
        image = opened.images[0].data
        if pastes and image is not None:
            return FittedInputs(TaskInputs(references), CompositeBase(image, mask), tuple(report))
        return FittedInputs(TaskInputs(references, InlineImage(mask, "png")), None, tuple(report))

    async def _blank(self, size: tuple[int, int], owner: str) -> TaskInputs:
        """A white image of `size` as the only input."""
        if size not in self._blanks:
            header = Header("png", *size)
            data = await self._work.run(owner, "image", header, math.prod(size), blank_image, *size)
            if len(self._blanks) >= _BLANKS_KEPT:
                self._blanks.pop(next(iter(self._blanks)))
            self._blanks[size] = InlineImage(data, "png")
        return TaskInputs((self._blanks[size],))

    async def _fit_one(
        self, owner: str, image: OpenedImage, limits: ImageLimits, overlay: bytes | None
    ) -> tuple[InputReference, tuple[int, int] | None, list[Adjustment]]:
        if image.data is None or image.header is None:
            return image.reference or "", None, []
        if overlay is None and needs_nothing(image.header, limits):
            clean = await _clean(image.data)
            if clean.is_sound and (limits.max_bytes is None or len(clean.data) <= limits.max_bytes):
                return InlineImage(bytes(clean.data), image.header.format), image.header.upright, []
        known = image.header.width > 0
        target = scale_into(image.header.upright, limits) if known else (_UNKNOWN_SIDE, _UNKNOWN_SIDE)
        made = math.prod(target) * (1 if overlay is None else 2)
        fitted = await self._work.run(owner, image.param, image.header, made, fit_image, image.data, limits, overlay)
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

    async def _fit_mask(
        self, owner: str, mask: OpenedImage, size: tuple[int, int] | None
    ) -> tuple[bytes, list[Adjustment]]:
        if mask.data is None or mask.header is None:
            raise InvalidRequestError("`mask` must be a file here, or an address.", param="mask")
        # The image is an id: its size is not known, and the mask is taken to have it.
        size = size or mask.header.upright
        try:
            most = self._work.max_pixels
            converted = await self._work.run(
                owner, mask.param, mask.header, math.prod(size), convert_mask, mask.data, size, most
            )
        except MaskShapeError as error:
            has = "x".join(str(side) for side in error.details)
            message = f"`mask` is {has} and the image {size[0]}x{size[1]}: both must have the same shape."
            raise InvalidRequestError(message, param="mask") from None
        except MaskWithoutAreaError:
            message = "`mask` says nothing: make the area to edit transparent, or white on black without transparency."
            raise InvalidRequestError(message, param="mask") from None
        except MaskTooSmallError:
            message = "`mask` opens less than 0.1 % of the image: make the area to edit transparent, or white on black."
            raise InvalidRequestError(message, param="mask") from None
        report = []
        if converted.resized_from is not None:
            before, after = (f"{w}x{h}" for w, h in (converted.resized_from, size))
            reason = "A mask must have the size of its image."
            report.append(Adjustment("mask", before, after, AdjustmentMode.CHANGED, reason))
        return converted.data, report


async def _clean(data: bytes) -> CleanImage:
    return clean_image(data) if len(data) <= INLINE_BYTES else await asyncio.to_thread(clean_image, data)
