"""When keys were last used, written now and then: it is worth no commit of a request's own."""

import asyncio
import time
from collections.abc import Callable

from app.access.key_store import touch_keys
from app.database.errors import DatabaseUnavailableError
from app.database.writer import Writer

_GATHERING_SECONDS = 1.0
_SECONDS_BETWEEN = 60.0


class KeyUses:
    """Notes uses and writes them down together, each key at most once a minute. `clock` is unix seconds."""

    def __init__(self, writer: Writer, clock: Callable[[], float] = time.time) -> None:
        self._writer = writer
        self._clock = clock
        self._written: dict[str, float] = {}
        self._noted: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, key_id: str) -> None:
        """A key is used now."""
        now = self._clock()
        if now - self._written.get(key_id, float("-inf")) < _SECONDS_BETWEEN:
            return
        self._written[key_id] = self._noted[key_id] = now
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_later())

    async def close(self) -> None:
        """Write what was noted."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
            await self._write()

    async def _write_later(self) -> None:
        while self._noted:
            await asyncio.sleep(_GATHERING_SECONDS)
            await self._write()

    async def _write(self) -> None:
        noted, self._noted = self._noted, {}
        try:
            await self._writer.write(touch_keys, list(noted.items()))
        except DatabaseUnavailableError:
            # Nothing depends on it: the next use is written all the same.
            for key_id in noted:
                self._written.pop(key_id, None)
