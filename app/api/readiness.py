"""What stands between a gateway and its next request, part by part: database, store, upstream, workers, disk, its end.

Owns the states and their words. Leaves to `health` how they are answered.
"""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from app.images.workers.pool import Workers
from app.jobs.shelf import ImageShelf
from app.journal.journal import Journal
from app.runware.account import RunwareAccount
from app.runware.client import RunwareClient
from app.server.process import Shutdown

OK = "ok"
_LONGEST_SECONDS = 1.0
_MIB = 1024 * 1024
_FULL_BYTES, _LOW_BYTES = 32 * _MIB, 512 * _MIB
"""Of free space: with less than the first a journal on this disk takes no claim, with less than the second it soon
will not."""


@dataclass(frozen=True, slots=True)
class State:
    """How one part stands; `is_ready` says whether another replica could do better."""

    word: str = OK
    problem: str | None = None
    is_ready: bool = True


@dataclass(frozen=True, slots=True)
class Readiness:
    """The parts that are asked."""

    runware: RunwareClient
    account: RunwareAccount
    journal: Journal
    shelf: ImageShelf
    workers: Workers
    folder: Path
    shutdown: Shutdown

    async def states(self) -> dict[str, State]:
        """Every part by its name. Asked side by side, so that two that are slow do not take twice as long."""
        database, store, disk = await asyncio.gather(self._database(), self._store(), self._disk())
        return {
            "process": self._process(),
            "database": database,
            "store": store,
            "upstream": self._upstream(),
            "workers": self._workers(),
            "disk": disk,
        }

    def _process(self) -> State:
        if self.shutdown.announced:
            return State("ending", "This gateway ends: send requests to another one.", is_ready=False)
        return State()

    async def _database(self) -> State:
        if await self.journal.writer.is_available(_LONGEST_SECONDS):
            return State()
        # Not ready: without the journal nothing may be bought, and another replica may still reach it.
        problem = "The journal does not answer, or is behind; new requests are refused until it does."
        return State("away", problem, is_ready=False)

    async def _store(self) -> State:
        # Another replica would fare no better, and what Runware hosts itself needs no store: ready in any case.
        if not await self.shelf.stores.media.is_available(_LONGEST_SECONDS):
            problem = "The store does not answer; images that must be hosted here are refused until it does."
            return State("away", problem)
        # Not tried while somebody waits: a store that hangs on writes would take every replica out of service.
        if not self.shelf.takes_writes():
            problem = "The store takes nothing; images that must be hosted here are refused until it does."
            return State("takes nothing", problem)
        return State()

    def _upstream(self) -> State:
        if self.runware.key_refused:
            problem = "Runware refuses the API key: set a valid RUNWARE_API_KEY."
            return State("key refused", problem, is_ready=False)
        if self.runware.unreachable:  # another replica would fare no better, so this one stays in service
            return State("away", "Runware does not answer; new requests are refused until it does.")
        # Not how much: anybody may ask here (0131).
        if self.account.is_low:
            return State("balance low", "The balance at Runware is low: add credit there.")
        return State()

    def _workers(self) -> State:
        if self.workers.ready:
            missing = self.workers.missing_layers
            # No problem of the day: the kernel, or the container, allows no more.
            return State(f"{OK}, without isolation of {', '.join(missing)}" if missing else OK)
        # Ready all the same: else whoever sends an image that kills its process could take a gateway out of service.
        return State("starting", "No process for images is there; images that must be converted wait for one.")

    async def _disk(self) -> State:
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                # In a thread: a network file system may not answer.
                free = (await asyncio.to_thread(shutil.disk_usage, self.folder)).free
        except (OSError, TimeoutError):
            return State("away", "The data folder cannot be looked at.", is_ready=False)
        if free < _FULL_BYTES:
            return State("full", "The disk of the data folder is full.", is_ready=False)
        if free < _LOW_BYTES:
            return State("low", f"The disk of the data folder has {free // _MIB} MiB left.")
        return State()
