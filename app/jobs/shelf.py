"""Stores the images of requests, hosted and kept, each under its row: written before the image, with until when (0164).

Owns what is stored at all (0165), and what is refused before it is bought: work whose images must be hosted, while the
store takes no writes or has no room. Leaves links to `media.store`, deleting to `media.sweeper`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.database.errors import DatabaseUnavailableError
from app.domain.lifetimes import Lifetimes
from app.errors import StorageError, StorageFullError
from app.jobs.image_book import ImageBook, NoRoomError
from app.journal.stored_images import NewImage
from app.media.errors import MediaUnavailableError
from app.media.health import StoreHealth
from app.media.store import HostedImage, MediaStore, new_name
from app.media.sweeper import ImageSweeper
from app.observability.logs import get_logger

_logger = get_logger("shelf")
HANDOVER_SECONDS = 600
"""Where nothing is kept, what was fetched from Runware again lies here so long for those who asked."""
_FORGETS = 0.98
"""How much of the largest image is remembered with each further one."""


class Keep(StrEnum):
    """Which images are stored to be asked for again (0165)."""

    UNDELIVERED = "undelivered"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Stores:
    """Where images lie: those behind links, and those that were embedded."""

    media: MediaStore
    results: MediaStore


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose images are stored, how long where it says, and whether it may ask for their links again."""

    request_id: str
    lives: Lifetimes | None
    asked_again: bool


class ImageShelf:
    """Stores images. `lives` is how long, where a request does not say."""

    def __init__(
        self,
        stores: Stores,
        book: ImageBook,
        health: StoreHealth,
        sweeper: ImageSweeper,
        lives: Lifetimes,
        keep: Keep = Keep.UNDELIVERED,
    ) -> None:
        self.stores = stores
        self._book = book
        self._health = health
        self._sweeper = sweeper
        self.lives = lives
        self.keep = keep
        self._usual = 0.0
        self._forgetting: set[asyncio.Task[None]] = set()

    def takes_writes(self) -> bool:
        """Whether the store takes what is written, as far as is known here; nobody waits for it."""
        return self._health.seems_open()

    async def check(self, images: int) -> None:
        """Raise StorageError or StorageFullError where so many images could not be hosted: before they are bought."""
        if not await self._health.takes_writes():
            raise StorageError
        if self._book.most is None or await self._has_room(images):
            return
        try:
            await self._sweeper.make_room()
        except (MediaUnavailableError, DatabaseUnavailableError):
            _logger.warning("there is no room for images, and what has expired cannot be deleted")
        if not await self._has_room(images):
            self._usual *= _FORGETS  # or one large image would refuse all others for good
            raise StorageFullError

    async def host(self, data: bytes, format_: str, owner: Owner) -> HostedImage:
        """Store an image behind a link, raising MediaUnavailableError."""
        name, seconds = self._name(format_, owner)
        path = self.stores.media.path_of(name)
        await self._register(NewImage(path, owner.request_id, len(data), seconds))
        await self._put(self.stores.media, name, data)
        return await self.stores.media.link_to(name, (owner.lives or self.lives).link)

    async def host_stream(self, chunks: AsyncIterator[bytes], format_: str, owner: Owner) -> HostedImage:
        """As `host`, of bytes as they come; what `chunks` raises is raised, and nothing is stored."""
        name, seconds = self._name(format_, owner)
        path, counted, expected = self.stores.media.path_of(name), _Counted(chunks), max(1, int(self._usual))
        await self._register(NewImage(path, owner.request_id, expected, seconds))
        try:
            await self.stores.media.put_stream(name, counted.chunks())
        except MediaUnavailableError:
            await self._give_up(path, max(counted.size, expected))
            raise
        except BaseException:  # of the source, or of a caller who left: the store is fine
            # A scope that was cancelled cancels whatever is waited for in it.
            forgetting = asyncio.create_task(self._forget(path))
            self._forgetting.add(forgetting)
            forgetting.add_done_callback(self._forgetting.discard)
            await asyncio.shield(forgetting)
            raise
        self._worked(counted.size)
        await self._measure(path, counted.size)
        return await self.stores.media.link_to(name, (owner.lives or self.lives).link)

    async def keep_image(self, data: bytes, format_: str, request_id: str, seconds: float) -> str:
        """Store an image that was embedded; the name it can be read by. Raises MediaUnavailableError."""
        name = new_name(format_)
        await self._register(NewImage(self.stores.results.path_of(name), request_id, len(data), seconds))
        await self._put(self.stores.results, name, data)
        return name

    async def delete_of(self, request_id: str, known: Sequence[str] = ()) -> None:
        """Delete all images of a request, and those that are `known` to be its own.

        Raises DatabaseUnavailableError, or MediaUnavailableError where the sweeper will have to.
        """
        await self._sweeper.delete_now(sorted({*known, *await self._book.end(request_id)}))

    async def _measure(self, path: str, size: int) -> None:
        """Say how large an image became, raising NoRoomError for one that there was no room for after all."""
        try:
            fits = await self._book.resize(path, size)
        except DatabaseUnavailableError:
            _logger.warning("the size of an image cannot be written down", path=path)
            return
        if not fits:
            await self._sweeper.delete_now([path])
            await self._forget(path)
            raise NoRoomError

    def _name(self, format_: str, owner: Owner) -> tuple[str, int]:
        """A name for a hosted image, and how long it stays."""
        lives = owner.lives or self.lives
        outlives = self.keep is Keep.ALL or (owner.asked_again and self.keep is not Keep.NONE)
        return new_name(format_, longer=outlives), lives.longest if outlives else lives.link

    async def _has_room(self, images: int) -> bool:
        try:
            used = await self._book.used()
        except DatabaseUnavailableError:
            return True  # nothing is claimed either while the journal is away
        most = self._book.most or 0
        # As large as images were lately: nobody knows the size of one that is not made.
        return used + min(max(images * self._usual, 1), most) <= most

    async def _register(self, image: NewImage) -> None:
        try:
            await self._book.register(image)
        except NoRoomError:
            self._usual = max(self._usual, image.bytes)
            await self._make_room(image)

    async def _make_room(self, image: NewImage) -> None:
        try:
            await self._sweeper.make_room()
        except DatabaseUnavailableError as error:
            raise MediaUnavailableError from error
        await self._book.register(image)

    async def _put(self, store: MediaStore, name: str, data: bytes) -> None:
        try:
            await store.put(name, data)
        except MediaUnavailableError:
            await self._give_up(store.path_of(name), len(data))
            raise
        self._worked(len(data))

    def _worked(self, size: int) -> None:
        self._usual = max(float(size), self._usual * _FORGETS)
        self._health.worked()

    async def _give_up(self, path: str, size: int) -> None:
        self._health.failed(size)
        await self._forget(path)

    async def _forget(self, path: str) -> None:
        try:
            await self._book.forget([path])
        except DatabaseUnavailableError:
            _logger.warning("an image that was not stored stays written down until its time is over", path=path)


class _Counted:
    """Bytes on their way, and how many came."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.size = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes."""
        async for chunk in self._chunks:
            self.size += len(chunk)
            yield chunk
