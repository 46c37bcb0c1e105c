"""Keeps the images of answers that may be asked for again, gives answers back, and forgets them.

What the journal holds is an answer without bytes; the bytes lie in a store under names nobody can guess.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pybase64
from obstore.exceptions import BaseError

from app.catalog.registry import Registry
from app.domain.answer import Answer, DeliveredImage
from app.errors import NotFoundError, Spent
from app.jobs.codec import KeptImage, dump_answer, load_answer, load_error, to_answer
from app.journal.records import UNREADABLE, Record
from app.ledger.bill import known_cost, total_cost
from app.media.store import MEDIA_PATH, MediaNotFoundError, MediaStore
from app.observability.logs import get_logger

_logger = get_logger("results")


class ResultStore:
    """Answers of the past.

    `store` has the images that were embedded, `media` those behind our links. `clock` is unix seconds.
    """

    def __init__(
        self, store: MediaStore, media: MediaStore, registry: Registry, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._media = media
        self._registry = registry
        self._clock = clock

    async def store(self, answer: Answer, *, images: bool) -> str:
        """The answer for the journal; with `images` those that were embedded are stored too."""
        return dump_answer(answer, [await self._store_image(image) if images else None for image in answer.images])

    async def replay(self, record: Record) -> Answer:
        """The answer of a request that ended, raising the error it ended with."""
        if record.error is not None:
            error = load_error(record.error)
            # From the tasks as they are booked by now: a cost may have been completed since the error was stored
            # (0035).
            error.spent = Spent(total_cost(record.costs), known_cost(record.costs))
            raise error
        if record.answer is None:
            raise NotFoundError("The images of this request are gone.", code="result_gone")
        try:
            kept = load_answer(record.answer)
        except msgspec.MsgspecError:
            _logger.exception("a kept answer cannot be read", id=record.id)
            raise load_error(UNREADABLE) from None
        try:
            kept = replace(kept, images=tuple([await self._with_live_link(image) for image in kept.images]))
            contents = [await self._read(image) for image in kept.images]
        except MediaNotFoundError:
            raise NotFoundError("The images of this request are gone.", code="result_gone") from None
        if any(image.url is None and data is None for image, data in zip(kept.images, contents, strict=True)):
            raise NotFoundError("The images of this request were delivered and not kept.", code="result_gone")
        return to_answer(kept, record.id, self._registry.find(record.executed_model), contents, record.costs)

    async def _with_live_link(self, image: KeptImage) -> KeptImage:
        """The image with a new link to us where the old one has ended."""
        # A link is never prolonged: one that leaked ends when it said so (0057).
        if image.hosted is None or image.url is None or (image.expires_at or 0) > self._clock():
            return image
        link = await self._media.renew_link(image.hosted)
        origin = image.url.partition(MEDIA_PATH)[0]
        return replace(image, url=f"{origin}{link.path}", expires_at=link.expires_at)

    async def _read(self, image: KeptImage) -> bytes | None:
        """The base64 of an image that was embedded and kept."""
        if image.name is None:
            return None
        return await asyncio.to_thread(pybase64.b64encode, await self._store.read_image(image.name))

    async def forget(self, record: Record) -> None:
        """Delete the images of a request."""
        if record.answer is not None:
            for image in _images_of(record.answer):
                if image.name is not None:
                    await self._store.delete_image(image.name)
                if image.hosted is not None:
                    await self._media.delete_image(image.hosted)

    async def _store_image(self, image: DeliveredImage) -> str | None:
        if image.base64 is None:
            return None
        data = await asyncio.to_thread(pybase64.b64decode, image.base64)
        try:
            return await self._store.store_image(data, image.format.value)
        # A full disk must not cost the caller its answer; asked for again, the image is fetched from Runware (0036).
        except (OSError, BaseError):
            _logger.exception("an image cannot be kept")
            return None


def needs_refetch(record: Record) -> bool:
    """Whether an answer that nobody got had embedded images that were not stored: they are only at Runware."""
    # Once delivered, embedded images of a request without a key are nobody's: they are not fetched again (0053).
    if record.answer is None or record.delivered_at is not None:
        return False
    return any(image.url is None and image.name is None for image in _images_of(record.answer))


def _images_of(answer: str) -> tuple[KeptImage, ...]:
    """The images of a kept answer, none where it cannot be read."""
    try:
        return load_answer(answer).images
    except msgspec.MsgspecError:
        return ()


def is_embedded(answer: Answer) -> bool:
    """Whether an answer carries its images itself."""
    return any(image.base64 is not None for image in answer.images)
