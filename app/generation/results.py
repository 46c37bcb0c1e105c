"""Keeps the pictures of answers that may be asked for again, gives answers back, and forgets them.

What the journal holds is an answer without bytes; the bytes lie in a store under names nobody can guess.
"""

import asyncio

import pybase64
from obstore.exceptions import BaseError

from app.catalog.registry import Registry
from app.errors import NotFoundError
from app.generation.archive import dump_answer, load_answer, load_error, to_answer
from app.generation.types import Answer, DeliveredImage
from app.journal.records import Record
from app.media.store import MediaNotFoundError, MediaStore
from app.observability.logs import get_logger

_logger = get_logger("results")


class Results:
    """Answers of the past."""

    def __init__(self, store: MediaStore, registry: Registry) -> None:
        self._store = store
        self._registry = registry

    async def keep(self, answer: Answer, *, pictures: bool) -> str:
        """The answer for the journal; with `pictures` those that were embedded are stored too."""
        return dump_answer(answer, [await self._keep(image) if pictures else None for image in answer.images])

    async def replay(self, record: Record) -> Answer:
        """The answer of a request that ended, raising the error it ended with."""
        if record.error is not None:
            raise load_error(record.error)
        if record.answer is None:
            raise NotFoundError("The pictures of this request are gone.", code="result_gone")
        kept = load_answer(record.answer)
        pictures: list[bytes | None] = []
        for image in kept.images:
            try:
                data = None if image.name is None else await self._store.read(image.name)
            except MediaNotFoundError:
                raise NotFoundError("The pictures of this request are gone.", code="result_gone") from None
            pictures.append(None if data is None else await asyncio.to_thread(pybase64.b64encode, data))
        if any(image.url is None and data is None for image, data in zip(kept.images, pictures, strict=True)):
            raise NotFoundError("The pictures of this request were delivered and not kept.", code="result_gone")
        return to_answer(kept, record.id, self._registry.find(record.executed_model), pictures)

    async def forget(self, record: Record) -> None:
        """Delete the pictures of a request."""
        if record.answer is not None:
            for image in load_answer(record.answer).images:
                if image.name is not None:
                    await self._store.delete(image.name)

    async def _keep(self, image: DeliveredImage) -> str | None:
        if image.base64 is None:
            return None
        data = await asyncio.to_thread(pybase64.b64decode, image.base64)
        try:
            return await self._store.keep(data, image.format.value)
        except (OSError, BaseError):
            _logger.exception("a picture cannot be kept")
            return None


def is_to_be_brought(record: Record) -> bool:
    """Whether an answer that nobody got had embedded pictures that were not stored: they are only at Runware."""
    if record.answer is None or record.delivered_at is not None:
        return False
    return any(image.url is None and image.name is None for image in load_answer(record.answer).images)


def embeds(answer: Answer) -> bool:
    """Whether an answer carries its pictures itself."""
    return any(image.base64 is not None for image in answer.images)
