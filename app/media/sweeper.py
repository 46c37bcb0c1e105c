"""Deletes images whose time is over, in small parts, and finds those that nobody knows of.

Never on a caller's time, except where there is no room left. Safe with several processes and after a kill: what is
deleted a second time is gone already. Leaves to its `Book` what is stored until when, and who sweeps to `Duty`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.media.errors import MediaUnavailableError
from app.media.object_store import ObjectStore, StoredBytes
from app.media.store import outlives_link
from app.observability.background import Loop
from app.observability.logs import get_logger

EVERY_SECONDS = 15.0
SPARED_SECONDS = 60.0
"""So long after its time an image goes: clocks may be that far apart, and a read that began goes on (0164)."""
_LIST_EVERY_SECONDS = 3600.0
_AT_ONCE = 100
_DELETED_AT_ONCE = 8
_PAUSE_SECONDS = 0.05
"""Between two parts: callers that came meanwhile go first."""
_UNDER_WAY_SECONDS = 600.0
"""A younger file without a row may be on its way to have one, or to be deleted."""
_LONGEST_ROOM_SECONDS = 3.0


@dataclass(frozen=True, slots=True, order=True)
class Expired:
    """An image whose time is over."""

    at: float
    path: str


BEFORE_ALL = Expired(-1.0, "")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that was found in the store, perhaps without a row; it stays until `expires_at`. Unix seconds."""

    path: str
    bytes: int
    modified_at: float
    expires_at: float


class Book(Protocol):
    """Where it stands what is stored until when."""

    async def expired(self, after: Expired, limit: int, *, spared: float) -> list[Expired]:
        """Those whose time was over `spared` seconds ago, from the oldest on, beyond `after`."""
        ...

    async def forget(self, paths: Sequence[str]) -> None:
        """These are deleted."""
        ...

    async def adopt(self, found: Sequence[FoundFile]) -> int:
        """Write down those that nobody knows of; how many they were."""
        ...

    async def used(self) -> int:
        """The bytes that all of them take."""
        ...


class Duty(Protocol):
    """Who sweeps."""

    async def is_mine(self) -> bool:
        """Whether this process does."""
        ...


@dataclass(frozen=True, slots=True)
class Places:
    """How long files stay that nobody knows of, in seconds: by where they lie, and images that outlive their link."""

    by_folder: Mapping[str, float]
    outliving: float


class ImageSweeper:
    """Sweeps one store. `clock` is unix seconds, `monotonic` never goes back."""

    def __init__(
        self,
        store: ObjectStore,
        book: Book,
        duty: Duty,
        places: Places,
        passing: tuple[type[Exception], ...] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        every: float = EVERY_SECONDS,
    ) -> None:
        self._logger = get_logger("sweeper")
        self._store = store
        self._book = book
        self._duty = duty
        self._places = places
        self._clock = clock
        self._monotonic = monotonic
        self._listed: float | None = None
        self.used = 0
        """The bytes that all images took, on all replicas, when this process last looked."""
        trouble = "expired images cannot be deleted now; it is tried again"
        self.loop = Loop(self.sweep, every, self._logger, trouble, passing=(MediaUnavailableError, *passing))
        """What was being deleted when it is stopped is deleted by the process that sweeps next."""

    async def sweep(self) -> None:
        """Delete what is over and was spared long enough, where this process is the one to do it."""
        self.used = await self._book.used()
        if not await self._duty.is_mine():
            self._listed = None  # whoever begins anew looks at everything once
            return
        if self._listed is None or self._monotonic() - self._listed >= _LIST_EVERY_SECONDS:
            await self._adopt_unknown()
            self._listed = self._monotonic()
        count, last = 0, BEFORE_ALL
        # Another may have taken over meanwhile, from one that stood still.
        while expired := await self._book.expired(last, _AT_ONCE, spared=SPARED_SECONDS):
            count, last = count + await self._delete(expired), expired[-1]
            await asyncio.sleep(_PAUSE_SECONDS)
            if not await self._duty.is_mine():
                return
            self.used = await self._book.used()
        if count:
            self._logger.info("expired images were deleted", count=count)

    async def make_room(self) -> None:
        """Delete what is over, the oldest first, without sparing any; for a few seconds at most.

        Raises MediaUnavailableError where nothing can be deleted.
        """
        until, last = self._monotonic() + _LONGEST_ROOM_SECONDS, BEFORE_ALL
        while expired := await self._book.expired(last, _AT_ONCE, spared=0.0):
            await self._delete(expired)
            last = expired[-1]
            if self._monotonic() >= until:
                return

    async def delete_now(self, paths: Sequence[str]) -> None:
        """Delete these, raising MediaUnavailableError where one of them could not be."""
        if len(await self._delete_files(paths)) < len(paths):
            raise MediaUnavailableError

    async def _delete(self, expired: Sequence[Expired]) -> int:
        """Delete these and forget those that are gone; how many. One that cannot be deleted keeps no other."""
        gone = await self._delete_files([one.path for one in expired])
        if not gone:
            raise MediaUnavailableError
        # After the files: a process that dies in between leaves rows, which the next sweep forgets.
        await self._book.forget(gone)
        return len(gone)

    async def _delete_files(self, paths: Sequence[str]) -> list[str]:
        gone: list[str] = []
        for start in range(0, len(paths), _DELETED_AT_ONCE):
            part = paths[start : start + _DELETED_AT_ONCE]
            ends = await asyncio.gather(*[self._store.delete(path) for path in part], return_exceptions=True)
            gone += [path for path, end in zip(part, ends, strict=True) if end is None]
            others = [end for end in ends if end is not None and not isinstance(end, MediaUnavailableError)]
            if others:
                raise others[0]
        return gone

    async def _adopt_unknown(self) -> None:
        """Give rows to files that have none: of an older version, or of before a database was restored."""
        found: list[FoundFile] = []
        count = 0
        for folder, seconds in self._places.by_folder.items():
            async for file in self._store.walk(folder):
                if file.modified_at + _UNDER_WAY_SECONDS > self._clock():
                    continue
                found.append(self._found(file, seconds))
                if len(found) >= _AT_ONCE:
                    count += await self._book.adopt(found)
                    found = []
                    await asyncio.sleep(_PAUSE_SECONDS)
        count += await self._book.adopt(found)
        if count:
            self._logger.warning("images were found that nobody knew of; they go when their time is over", count=count)

    def _found(self, file: StoredBytes, seconds: float) -> FoundFile:
        stays = self._places.outliving if outlives_link(file.name) else seconds
        return FoundFile(file.name, file.size, file.modified_at, file.modified_at + stays)
