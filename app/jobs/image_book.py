"""The rows of stored images for those who store and delete: each call a transaction of its own.

Says in the words of the store what goes wrong: what cannot be written down is not stored. Leaves what the rows mean to
`journal.stored_images`.
"""

from collections.abc import Sequence
from functools import partial

from app.database.errors import DatabaseUnavailableError
from app.journal.journal import Journal
from app.journal.stored_images import NewImage, Registration, StoredImages
from app.media.errors import MediaUnavailableError
from app.media.sweeper import Expired, FoundFile


class NoRoomError(MediaUnavailableError):
    """All images together may not take that much more."""


class ImageBook:
    """The rows on one database. `most` is what all images may take together, in bytes."""

    def __init__(self, journal: Journal, most: int | None = None, rows: StoredImages | None = None) -> None:
        self._writer = journal.writer
        self._reader = journal.reader
        self._rows = rows or StoredImages()
        self.most = most

    async def register(self, image: NewImage) -> None:
        """Count an image that is about to be stored, raising NoRoomError or MediaUnavailableError."""
        # Refused at once behind a database that is locked: what is paid for reaches its caller another way (0104).
        if self._writer.is_behind:
            raise MediaUnavailableError
        try:
            said = await self._writer.write(self._rows.register, image, self.most)
        except DatabaseUnavailableError as error:
            raise MediaUnavailableError from error
        if said is Registration.FULL:
            raise NoRoomError
        if said is Registration.DELETED:
            raise MediaUnavailableError

    async def resize(self, path: str, size: int) -> bool:
        """Say how large an image became whose size was not known; whether there is room for it.

        Raises DatabaseUnavailableError.
        """
        return await self._writer.write(self._rows.resize, path, size, self.most)

    async def used(self) -> int:
        """The bytes that all images take, raising DatabaseUnavailableError."""
        return await self._reader.peek(self._rows.used)

    async def end(self, request_id: str) -> list[str]:
        """End the time of the images of a request; where they lie. Raises DatabaseUnavailableError."""
        return await self._writer.write(self._rows.end, request_id)

    async def expired(self, after: Expired, limit: int, *, spared: float) -> list[Expired]:
        """Those whose time was over `spared` seconds ago, from the oldest on, beyond `after`."""
        return await self._reader.read(partial(self._rows.expired, after=after, limit=limit, spared=spared))

    async def forget(self, paths: Sequence[str]) -> None:
        """These are deleted, or were not stored after all."""
        await self._writer.write(self._rows.remove, paths)

    async def adopt(self, found: Sequence[FoundFile]) -> int:
        """Write down those that nobody knows of; how many they were."""
        # Most know all of them, which needs no lock.
        unknown = await self._reader.read(partial(self._rows.unknown, found=found))
        return await self._writer.write(self._rows.adopt, unknown) if unknown else 0

    async def restate(self) -> None:
        """Add up anew what all images take."""
        await self._writer.write(self._rows.restate)
