"""Takes the input images of a request in: opened before anything is decided, made fit for the model after it.

An image that needs nothing is not decoded: its structure is checked and its bytes pass. Everything that decodes runs in
a worker process. Leaves looking at images to `opening`, and what lies in fields that pass through to `passthrough`.
"""

import asyncio
import math
from dataclasses import replace

from app.catalog.model import CatalogModel, ImageRules
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import ImageRequest
from app.domain.spec import ImageSpec
from app.egress.fetch import InputFetcher
from app.errors import InvalidRequestError
from app.generation.gather import gather_in_order
from app.generation.image_work import ImageWork
from app.generation.opening import NO_INPUTS, ImageOpener, OpenedImage, OpenedInputs
from app.generation.own_links import OwnLinks
from app.generation.passthrough import PassthroughFields
from app.images.errors import MaskShapeError, MaskTooSmallError, MaskWithoutAreaError
from app.images.formats.limits import GLANCE
from app.images.geometry import Dimensions, ImageLimits, TargetShape, place
from app.images.headers import INLINE_BYTES
from app.images.inputs import FittedImage, blank_image, fit_image, needs_nothing
from app.images.masks import convert_mask
from app.images.structure import CleanImage, clean_image
from app.images.types import CompositeBase, Header, ImageBytes
from app.planning.check import InputNeeds
from app.planning.plan import NO_FITTED_INPUTS, FittedInputs
from app.runware.tasks import InlineImage, InputReference

_BLANKS_KEPT = 16
_UNKNOWN_SIDE = 2048
"""A result this wide and high is expected of an image whose size is not known."""


class InputImages:
    """Takes images in. `max_bytes` holds for each single one."""

    def __init__(self, work: ImageWork, fetcher: InputFetcher, links: OwnLinks, *, max_bytes: int) -> None:
        self._opener = ImageOpener(work, fetcher, links, max_bytes=max_bytes)
        self._passthrough = PassthroughFields(fetcher, links, work)
        self._work = work
        self._blanks: dict[Dimensions, bytes] = {}

    async def open(self, request: ImageRequest, owner: str, needs: InputNeeds, model: CatalogModel) -> OpenedInputs:
        """Every image of `request`, raising InvalidRequestError or TooLargeError for one that cannot be used."""
        opened = NO_INPUTS
        if request.images:
            opened = await self._opener.open(request, owner, needs, self._limits(model.images))
        if request.passthrough:
            settled = await self._passthrough.settle(request.passthrough, owner)
            opened = replace(opened, passthrough=settled)
        if opened.first_size is None or model.images is None:
            return opened
        return replace(opened, fitting_size=self._fitting_size(opened, opened.first_size, model))

    async def fit(self, opened: OpenedInputs, spec: ImageSpec, owner: str) -> FittedInputs:
        """The images as the model of `spec` takes them, with what had to be changed."""
        if spec.blank is not None:
            return FittedInputs((await self._blank(spec.blank, owner),))
        if spec.model.images is None or not opened.images:
            return NO_FITTED_INPUTS
        limits = self._limits(spec.model.images)
        overlay = opened.markup.content.data if opened.markup and opened.markup.content else None
        first, *others = opened.images
        fitted = await gather_in_order(
            [
                self._fit_one(owner, first, spec.model, limits, overlay, spec.reference_shape),
                *(self._fit_one(owner, image, spec.model, limits) for image in others),
            ]
        )
        references = tuple(reference for reference, _, _ in fitted)
        adjustments = tuple(adjustment for _, _, adjusted in fitted for adjustment in adjusted)
        mask = opened.mask
        if mask is None or mask.reference is not None:
            return FittedInputs(references, mask.reference if mask else None, adjustments=adjustments)
        # What is pasted covers the caller's image as it came; what is sent must fit the image as it is sent.
        pastes = spec.output.composition is not None and spec.output.composition.pastes
        size = opened.first_size if pastes else fitted[0][1]
        data, adjusted = await self._fit_mask(owner, mask, size)
        if pastes and first.content is not None:
            base = CompositeBase(first.content.data, data)
            return FittedInputs(references, base=base, adjustments=(*adjustments, *adjusted))
        return FittedInputs(references, InlineImage(ImageBytes(data), "png"), adjustments=(*adjustments, *adjusted))

    def _fitting_size(self, opened: OpenedInputs, size: Dimensions, model: CatalogModel) -> Dimensions:
        """The size of the first image as the model will see its shape.

        Raises InvalidRequestError for an image that must be padded though it has a mask, which would not fit then.
        """
        # Padding changes the shape, and the size of the result follows what the model is shown.
        placement = place(size, self._limits(model.images))
        if not placement.pads:
            return size
        if opened.mask is not None:
            raise _unfit_shape(opened.images[0].param, size, model)
        return placement.outer

    async def _blank(self, size: Dimensions, owner: str) -> InlineImage:
        """A white image of `size`."""
        if size not in self._blanks:
            header = Header("png", *size)
            data = await self._work.run_on_image(owner, "image", header, math.prod(size), blank_image, *size)
            if len(self._blanks) >= _BLANKS_KEPT:
                self._blanks.pop(next(iter(self._blanks)))
            # Kept, since the same few sizes are asked for again and again; bounded, since callers choose them.
            self._blanks[size] = data
        return InlineImage(ImageBytes(self._blanks[size]), "png")

    def _limits(self, rules: ImageRules | None) -> ImageLimits:
        if rules is None:
            return ImageLimits(self._work.max_pixels)
        return ImageLimits(
            self._work.max_pixels, rules.min_side, rules.max_side, rules.max_bytes, max_aspect=rules.max_aspect
        )

    async def _fit_one(
        self,
        owner: str,
        image: OpenedImage,
        model: CatalogModel,
        limits: ImageLimits,
        overlay: bytes | None = None,
        target: TargetShape | None = None,
    ) -> tuple[InputReference, Dimensions | None, list[Adjustment]]:
        content = image.content
        if content is None or image.header is None:
            return image.reference or "", None, []
        if overlay is None and needs_nothing(image.header, limits, target):
            # Cheap and lossless: an image the model takes as it is should not be encoded again.
            clean = await _clean(content.data)
            if clean.is_sound and (limits.max_bytes is None or len(clean.data) <= limits.max_bytes):
                kept = content if clean.data is content.data else ImageBytes(bytes(clean.data))
                return InlineImage(kept, image.header.format), image.header.upright, []
        known = image.header.width > 0
        expected = place(image.header.upright, limits, target).outer if known else (_UNKNOWN_SIDE, _UNKNOWN_SIDE)
        # Reserved before it is decoded: workers are given memory by what a piece of work may make (0025).
        made = math.prod(expected) * (1 if overlay is None else 2)
        fitted = await self._work.run_on_image(
            owner, image.param, image.header, made, fit_image, content.data, limits, overlay, target
        )
        adjustments = _adjust_shape(image.param, fitted, model, target)
        if overlay is not None:
            reason = "Drawn over the first image."
            adjustments.append(Adjustment("markup", None, "drawn over the image", AdjustmentMode.EMULATED, reason))
        made_fit = content if fitted.data is None else ImageBytes(fitted.data)
        return InlineImage(made_fit, fitted.format), (fitted.width, fitted.height), adjustments

    async def _fit_mask(self, owner: str, mask: OpenedImage, size: Dimensions | None) -> tuple[bytes, list[Adjustment]]:
        if mask.content is None or mask.header is None:
            raise InvalidRequestError("`mask` must be a file here, or an address.", param="mask")
        # The image is an id: its size is not known, and the mask is taken to have it.
        size = size or mask.header.upright
        try:
            limit = self._work.max_pixels
            converted = await self._work.run_on_image(
                owner, mask.param, mask.header, math.prod(size), convert_mask, mask.content.data, size, limit
            )
        # Each fault has its own advice: all of them would be paid for as an edit of the wrong place.
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
        if converted.resized_from is None:
            return converted.data, []
        before, after = (f"{w}x{h}" for w, h in (converted.resized_from, size))
        reason = "A mask must have the size of its image."
        return converted.data, [Adjustment("mask", before, after, AdjustmentMode.CHANGED, reason)]


def _adjust_shape(param: str, fitted: FittedImage, model: CatalogModel, target: TargetShape | None) -> list[Adjustment]:
    """The adjustment of an image that was scaled, padded or cut."""
    size, placement = (fitted.width, fitted.height), fitted.placement
    if size == fitted.original:
        return []
    before, after = (f"{width}x{height}" for width, height in (fitted.original, size))
    mode, reason = AdjustmentMode.CHANGED, "The model takes images within other limits."
    if target is not None and (placement.pads or placement.cuts):
        done = "padded" if target.fit == "contain" else "cut"
        mode = AdjustmentMode.EMULATED
        reason = (
            f"Beside input images {model.id} takes no size but follows the first one, which was {done} to the shape."
        )
    elif placement.pads:
        reason = f"This shape cannot be scaled to the limits of {model.id}: it was padded at its edges."
    return [Adjustment(param, before, after, mode, reason)]


def _unfit_shape(param: str, size: Dimensions, model: CatalogModel) -> InvalidRequestError:
    message = (
        f"`{param}` is {size[0]}x{size[1]}, and that shape cannot be scaled to the limits of {model.id}: "
        "cut it, or send it without a mask."
    )
    return InvalidRequestError(message, param=param, code="invalid_image")


async def _clean(data: bytes) -> CleanImage:
    """The image without what decoding does not need; large and crowded ones are walked through in a thread."""
    if len(data) <= INLINE_BYTES:
        clean = clean_image(data, GLANCE)
        # A change of threads costs as much as the walk through a usual image.
        if not clean.is_deep:
            return clean
    return await asyncio.to_thread(clean_image, data)
