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
_LONGEST_STUCK_SECONDS = 10.0
"""So long a sweep goes on while nothing can be deleted; the next one goes on behind it."""
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

    async def restate(self) -> None:
        """Add up anew what all of them take."""
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


class _LostDutyError(Exception):
    """Another process sweeps from now on: this one stood still, or its database was away."""


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
        self._cleared = monotonic()
        self._behind = BEFORE_ALL
        self._making_room: asyncio.Task[None] | None = None
        self.used = 0
        """The bytes that all images took, on all replicas, when this process last looked."""
        trouble = "expired images cannot be deleted now; it is tried again"
        self.loop = Loop(self.sweep, every, self._logger, trouble, passing=(MediaUnavailableError, *passing))
        """What was being deleted when it is stopped is deleted by the process that sweeps next."""

    async def sweep(self) -> None:
        """Delete what is over and was spared long enough, where this process is the one to do it."""
        self.used = await self._book.used()
        try:
            await self._show_life()
            is_stuck = await self._clear()
            if self._listed is None or self._monotonic() - self._listed >= _LIST_EVERY_SECONDS:
                found = await self._adopt_unknown()
                self._listed = self._monotonic()
                is_stuck = await self._clear() if found else is_stuck
        except _LostDutyError:
            self._listed = None  # whoever begins anew looks at everything once
            return
        if is_stuck:  # only now: what cannot be deleted keeps nothing else
            raise MediaUnavailableError

    async def make_room(self) -> None:
        """Delete what is over, the oldest first, without sparing any; for a few seconds at most.

        Raises MediaUnavailableError where nothing can be deleted.
        """
        # Once for all who need some at once; it goes on when one of them leaves.
        if self._making_room is None or self._making_room.done():
            self._making_room = asyncio.create_task(self._make_room())
        await asyncio.shield(self._making_room)

    async def delete_now(self, paths: Sequence[str]) -> None:
        """Delete these, raising MediaUnavailableError where one of them could not be."""
        if len(await self._delete_files(paths)) < len(paths):
            raise MediaUnavailableError

    async def _show_life(self) -> None:
        """Say that this process still sweeps, raising _LostDutyError where it does not."""
        if not await self._duty.is_mine():
            raise _LostDutyError

    async def _clear(self) -> bool:
        """Delete all whose time and margin are over; whether some were there and none of a part could be deleted."""
        count, last, is_stuck, started = 0, self._behind, False, self._monotonic()
        self._behind = BEFORE_ALL
        while expired := await self._book.expired(last, _AT_ONCE, spared=SPARED_SECONDS):
            gone, last = await self._delete(expired), expired[-1]
            count, is_stuck = count + gone, is_stuck or not gone
            if not gone and self._monotonic() - started >= _LONGEST_STUCK_SECONDS:
                self._behind = last
                break
            await asyncio.sleep(_PAUSE_SECONDS)
            # Another may have taken over meanwhile, from one that stood still.
            await self._show_life()
            self.used = await self._book.used()
        self._cleared = self._monotonic()
        if count:
            self._logger.info("expired images were deleted", count=count)
        return is_stuck

    async def _make_room(self) -> None:
        until, last = self._monotonic() + _LONGEST_ROOM_SECONDS, BEFORE_ALL
        count, is_stuck = 0, False
        while expired := await self._book.expired(last, _AT_ONCE, spared=0.0):
            gone, last = await self._delete(expired), expired[-1]
            count, is_stuck = count + gone, is_stuck or not gone
            if self._monotonic() >= until:
                break
        if is_stuck and not count:
            raise MediaUnavailableError

    async def _delete(self, expired: Sequence[Expired]) -> int:
        """Delete these and forget those that are gone; how many. One that cannot be deleted keeps no other."""
        gone = await self._delete_files([one.path for one in expired])
        if not gone:
            return 0
        # After the files: a process that dies in between leaves rows, which the next sweep forgets.
        await self._book.forget(gone)
        return len(gone)

    async def _delete_files(self, paths: Sequence[str]) -> list[str]:
        gone: list[str] = []
        for start in range(0, len(paths), _DELETED_AT_ONCE):
            part, began, before = paths[start : start + _DELETED_AT_ONCE], self._monotonic(), len(gone)
            ends = await asyncio.gather(*[self._store.delete(path) for path in part], return_exceptions=True)
            gone += [path for path, end in zip(part, ends, strict=True) if end is None]
            others = [end for end in ends if end is not None and not isinstance(end, MediaUnavailableError)]
            if others:
                raise others[0]
            # A store that hangs: the others would take as long each, while nobody hears of this process.
            if len(gone) == before and self._monotonic() - began >= _LONGEST_ROOM_SECONDS:
                break
        return gone

    async def _adopt_unknown(self) -> int:
        """Give rows to files that have none: of an older version, or of before a database was restored. How many."""
        found: list[FoundFile] = []
        count = 0
        for folder, seconds in self._places.by_folder.items():
            async for file in self._store.walk(folder):
                if file.modified_at + _UNDER_WAY_SECONDS > self._clock():
                    continue
                found.append(self._found(file, seconds))
                if len(found) >= _AT_ONCE:
                    count += await self._adopt(found)
                    found = []
        count += await self._adopt(found)
        await self._book.restate()
        if count:
            self._logger.warning("images were found that nobody knew of; they go when their time is over", count=count)
        return count

    async def _adopt(self, found: Sequence[FoundFile]) -> int:
        """One part of a listing, which may take hours: others go meanwhile, and the duty is kept or lost."""
        await self._show_life()
        new = await self._book.adopt(found) if found else 0
        if new:
            await asyncio.sleep(_PAUSE_SECONDS)
        if self._monotonic() - self._cleared >= EVERY_SECONDS:
            await self._clear()
        return new

    def _found(self, file: StoredBytes, seconds: float) -> FoundFile:
        stays = self._places.outliving if outlives_link(file.name) else seconds
        return FoundFile(file.name, file.size, file.modified_at, file.modified_at + stays)
