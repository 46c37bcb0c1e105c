"""Whether the store takes what is written: closed by a failure, opened again by a small write that succeeds.

Asked before a purchase whose images must be stored. Costs nothing while the store works.
"""

import asyncio
import secrets
import time
from collections.abc import Callable

from app.media.errors import MediaUnavailableError
from app.media.object_store import ObjectStore
from app.observability.logs import get_logger

_logger = get_logger("media")
PROBES = "probes"
"""Where what is written to try lies, for a moment."""
_PAUSE_SECONDS = 2.0
"""How soon after one probe there is another."""
_LARGEST_PROBE = 4 * 1024 * 1024


class StoreHealth:
    """What this process knows of its store. `clock` never goes back."""

    def __init__(self, store: ObjectStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._failed = 0
        self._probed = float("-inf")
        self._probing: asyncio.Task[None] | None = None
        self.is_open = True
        """Whether the last write succeeded, or none was tried yet."""

    def worked(self) -> None:
        """Something was stored."""
        if not self.is_open:
            _logger.info("the store of images takes what is written again")
        self.is_open, self._failed = True, 0

    def failed(self, size: int) -> None:
        """So many bytes could not be stored."""
        if self.is_open:
            _logger.error("the store of images does not take what is written; nothing is bought that needs it")
        # As large as what failed: a disk that is nearly full takes a byte, and not the next image.
        self.is_open, self._failed = False, max(self._failed, size)
        self._probed = max(self._probed, self._clock() - _PAUSE_SECONDS)

    async def takes_writes(self) -> bool:
        """Whether it does, as far as is known; tries it now and then while it is not known."""
        if not self.seems_open() and self._probing is not None:
            # One for all who ask meanwhile; it goes on when one of them leaves.
            await asyncio.shield(self._probing)
        return self.is_open

    def seems_open(self) -> bool:
        """The same for those who cannot wait: what is known; the next who asks knows what a try brought."""
        if not self.is_open and self._probing is None and self._clock() - self._probed >= _PAUSE_SECONDS:
            self._probing = asyncio.create_task(self._probe())
        return self.is_open

    async def _probe(self) -> None:
        path = f"{PROBES}/{secrets.token_hex(16)}"
        try:
            await self._store.put(path, bytes(min(max(self._failed, 1), _LARGEST_PROBE)))
        except MediaUnavailableError:
            pass
        else:
            self.worked()
        finally:
            self._probed, self._probing = self._clock(), None
        try:
            await self._store.delete(path)
        except MediaUnavailableError:
            _logger.warning("what was written to try the store stays until it is swept")
