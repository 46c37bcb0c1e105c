"""What this process last saw of each account, so that every answer can tell how its key stands.

Owns how old that may be. Nothing is decided by it: claims read the account itself, under its lock.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from app.access.account import Account
from app.access.budgets import read_account
from app.database.errors import DatabaseUnavailableError
from app.database.reader import Reader
from app.domain.caller import ApiKey

_FRESH_SECONDS = 3.0
"""So long what was seen is shown: as long as a key itself is remembered."""
_PATIENCE_SECONDS = 0.5
"""An answer does not wait longer for its headers: a database that is away keeps nobody from reading (0123)."""
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class _Seen:
    account: Account | None
    at: float
    """By the steady clock, when the question was asked."""
    is_stale: bool = False


class Meters:
    """The accounts as they were last seen here. `clock` is unix seconds, `steady` never goes back."""

    def __init__(
        self, reader: Reader, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._steady = steady
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._reading: dict[str, asyncio.Task[None]] = {}

    def note(self, account: Account) -> None:
        """An account as a claim has just left it."""
        self._put(account.key_id, _Seen(account, self._steady()))

    def mark_stale(self, key_id: str) -> None:
        """Something was settled: what was seen holds no more."""
        seen = self._seen.get(key_id)
        if seen is not None:
            # As of now, so that a look that began before does not count as one that came after.
            self._seen[key_id] = _Seen(seen.account, self._steady(), is_stale=True)

    def account_of(self, key_id: str) -> Account | None:
        """An account as far as it is known here, at this moment."""
        seen = self._seen.get(key_id)
        return None if seen is None or seen.account is None else seen.account.at(self._clock())

    async def freshen(self, key: ApiKey) -> None:
        """Look at the account of a key whose limits an answer tells of, unless it was seen just now."""
        if not is_metered(key):
            return
        seen = self._seen.get(key.id)
        if seen is not None and not seen.is_stale and self._steady() - seen.at < _FRESH_SECONDS:
            return
        reading = self._reading.get(key.id)
        if reading is None:
            # One question for all answers that want to know at once.
            reading = self._reading[key.id] = asyncio.create_task(self._read(key.id))
            reading.add_done_callback(partial(self._forget_reading, key.id))
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await asyncio.shield(reading)
        except TimeoutError:
            # Not waited for again by every answer that follows.
            self._put(key.id, _Seen(None if seen is None else seen.account, self._steady()))

    async def _read(self, key_id: str) -> None:
        asked = self._steady()
        try:
            account = await self._reader.read(partial(read_account, key_id=key_id))
        except DatabaseUnavailableError:
            # What was seen before is shown a while longer.
            account = None if (before := self._seen.get(key_id)) is None else before.account
        seen = self._seen.get(key_id)
        if seen is None or seen.at <= asked:  # else a claim has seen it meanwhile
            self._put(key_id, _Seen(account, asked))

    def _put(self, key_id: str, seen: _Seen) -> None:
        self._seen[key_id] = seen
        self._seen.move_to_end(key_id)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def _forget_reading(self, key_id: str, _: asyncio.Task[None]) -> None:
        self._reading.pop(key_id, None)


def is_metered(key: ApiKey) -> bool:
    """Whether answers to this key tell how it stands."""
    limits = key.limits
    return not (limits.budget is None and limits.rpm is None and limits.images_per_minute is None)
