"""Opens the input images of a request: says what each is and how large, and refuses what cannot be used.

Nothing is decoded here. Addresses are handed on after a look at their first bytes, unless the shape, a mask, an overlay
or the model's limits need the image itself.
Leaves making images fit for a model to `inputs`.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.domain.request import ImageRequest, InputImage, LinkedImage, UploadedImage
from app.domain.words import JSONValue
from app.egress.address_guard import FetchError, RefusedAddressError
from app.egress.fetch import InputFetcher
from app.egress.http_get import TooManyBytesError
from app.errors import InvalidRequestError, TooLargeError
from app.generation.gather import gather_in_order
from app.generation.image_work import ImageWork, bad_image, too_large, too_many_pixels
from app.generation.own_links import OwnLinks
from app.images.formats.limits import GLANCE
from app.images.formats.signatures import name_foreign
from app.images.geometry import Dimensions, ImageLimits
from app.images.headers import HEAD_BYTES, read_header
from app.images.inputs import measure_image, needs_nothing
from app.images.types import Header, ImageBytes
from app.planning.check import InputNeeds


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """An image with its bytes, or only its address. `header` is there with the bytes."""

    param: str
    content: ImageBytes | None = None
    header: Header | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedInputs:
    """The input images of a request, looked at as far as needed."""

    images: tuple[OpenedImage, ...] = ()
    mask: OpenedImage | None = None
    markup: OpenedImage | None = None
    passthrough: Mapping[str, JSONValue] = field(default_factory=dict)
    """The fields that pass through, as they may leave."""
    first_size: Dimensions | None = None
    """The upright size of the first image, where its header says."""
    fitting_size: Dimensions | None = None
    """The same as the model will see its shape."""


NO_INPUTS = OpenedInputs()


class ImageOpener:
    """Looks at images. `max_bytes` holds for each single one."""

    def __init__(self, work: ImageWork, fetcher: InputFetcher, links: OwnLinks, *, max_bytes: int) -> None:
        self._work = work
        self._fetcher = fetcher
        self._links = links
        self._max_bytes = max_bytes
        self._max_pixels = work.max_pixels

    async def open(self, request: ImageRequest, owner: str, needs: InputNeeds, limits: ImageLimits) -> OpenedInputs:
        """Every image of `request`, raising InvalidRequestError or TooLargeError for one that cannot be used.

        `limits` are the model's: an address that leads to an image beyond them is not handed on.
        """
        # A mask must have the size of its image, so one cannot be judged without the other.
        looks_at_mask = request.mask is not None and not needs.mask_as_is
        looks_at_first = needs.first_size or needs.first_pixels or looks_at_mask
        _refuse_ids(request, needs)
        # All at once: the slowest address, not the sum of them, is what the caller waits for.
        images = [
            self._open(image, owner, None if looks_at_first and index == 0 else limits)
            for index, image in enumerate(request.images)
        ]
        mask = [self._open(request.mask, owner, None if looks_at_mask else limits)] if request.mask else []
        markup = [self._open(request.markup, owner, None)] if request.markup else []
        opened = await gather_in_order([*images, *mask, *markup])
        others = iter(opened[len(images) :])
        own_mask, own_markup = next(others) if mask else None, next(others) if markup else None
        return OpenedInputs(tuple(opened[: len(images)]), own_mask, own_markup, first_size=_size_of(opened[0]))

    async def _open(self, image: InputImage, owner: str, limits: ImageLimits | None) -> OpenedImage:
        """One image; its address is enough where the image lies within `limits`, None where its bytes are needed."""
        if isinstance(image, LinkedImage):
            if image.is_id:
                return OpenedImage(image.param, reference=image.url)
            # A link of ours is read from the store: Runware may have no way to reach this gateway.
            own = await self._links.read_own(image.param, image.url)
            if own is None and limits is not None and await self._may_be_handed_on(image, limits, owner):
                return OpenedImage(image.param, reference=image.url)
            data = await self._fetch(image, owner) if own is None else own
            image = UploadedImage(image.param, ImageBytes(data))
        header = await self._read_header(image)
        opened = OpenedImage(image.param, image.content, header)
        needs_size = limits is None and not header.width
        return await self._measure(opened, header, image.data, owner) if needs_size else opened

    async def _may_be_handed_on(self, image: LinkedImage, limits: ImageLimits, owner: str) -> bool:
        """Whether the provider can take the image from its address as it is, by a look at its first bytes.

        Where they cannot be had, it is the provider who may still reach them.
        """
        try:
            head = await self._fetcher.peek(image.url, HEAD_BYTES, owner)
        except RefusedAddressError as error:
            raise bad_image(image.param, error.reason) from None
        # Not an error here: the provider may reach what we cannot, and its own message says if not.
        except FetchError:
            return True
        foreign = name_foreign(head.data)
        if foreign is not None:
            raise bad_image(image.param, f"is {foreign}")
        header = read_header(head.data)
        small_enough = limits.max_bytes is None or head.size is None or head.size <= limits.max_bytes
        return header is not None and needs_nothing(header, limits) and small_enough

    async def _read_header(self, image: UploadedImage) -> Header:
        param, data = image.param, image.data
        if not data:
            raise bad_image(param, "is empty")
        if len(data) > self._max_bytes:
            raise too_large(param, self._max_bytes)
        foreign = name_foreign(data)
        if foreign is not None:
            raise bad_image(param, f"is {foreign}")
        # A glance suffices for nearly every image; a header that lies deep is looked for off the loop.
        header = read_header(data, GLANCE)
        if header is not None and not header.width:
            header = await asyncio.to_thread(read_header, data)
        if header is None:
            raise bad_image(param, "is damaged or cut off")
        # From the header alone: decoding first is what a decompression bomb is made for.
        if header.width * header.height > self._max_pixels:
            raise too_many_pixels(param, self._max_pixels, header)
        return header

    async def _measure(self, opened: OpenedImage, header: Header, data: bytes, owner: str) -> OpenedImage:
        """The image with its size, where its header lies deep or only a decoder reads it."""
        width, height = await self._work.run_on_image(
            owner, opened.param, header, 0, measure_image, data, self._max_pixels
        )
        return replace(opened, header=replace(header, width=width, height=height, orientation=1))

    async def _fetch(self, image: LinkedImage, owner: str) -> bytes:
        try:
            return await self._fetcher.fetch_image(image.url, owner)
        except TooManyBytesError as error:
            message = f"`{image.param}` {error.reason}."
            raise TooLargeError(message, param=image.param, code="image_too_large") from None
        except FetchError as error:
            raise bad_image(image.param, error.reason) from None


def _size_of(image: OpenedImage) -> Dimensions | None:
    header = image.header
    return header.upright if header is not None and header.width and header.height else None


def _refuse_ids(request: ImageRequest, needs: InputNeeds) -> None:
    """Raise InvalidRequestError for an id where the gateway itself needs the image."""
    first = request.images[:1] if needs.first_pixels else ()
    mask = (request.mask,) if request.mask and not needs.mask_as_is else ()
    markup = (request.markup,) if request.markup else ()
    for image in (*first, *mask, *markup):
        if isinstance(image, LinkedImage) and image.is_id:
            message = (
                f"`{image.param}` is an image id, and the gateway needs the image itself: send a file or an address."
            )
            raise InvalidRequestError(message, param=image.param)
