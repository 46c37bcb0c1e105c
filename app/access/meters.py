"""What this process last saw of each account, so that every answer can tell how its key stands.

Owns how old that may be. Nothing is decided by it: claims read the account itself, under its lock.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Look:
    """A question to the database that is under way, and the answers that wait for it: one timer for all of them."""

    key_id: str
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    """Held here, since the event loop holds none."""
    timer: asyncio.TimerHandle | None = None

    def end_waits(self) -> None:
        """Let all go on that wait by now."""
        if self.timer is not None:
            self.timer.cancel()
        waiting, self.waiting, self.timer = self.waiting, [], None
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)


class Meters:
    """The accounts as they were last seen here.

    `clock` is unix seconds, `steady` never goes back, `patience` is in seconds.
    """

    def __init__(
        self,
        reader: Reader,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        patience: float = _PATIENCE_SECONDS,
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._steady = steady
        self._patience = patience
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._looks: dict[str, _Look] = {}

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
        seen = self._seen.get(key.id)
        if seen is not None and not seen.is_stale and self._steady() - seen.at < _FRESH_SECONDS:
            return
        look = self._looks.get(key.id)
        if look is None:
            # One question for all answers that want to know at once.
            look = self._looks[key.id] = _Look(key.id)
            look.task = asyncio.create_task(self._look(look))
        loop = asyncio.get_running_loop()
        if look.timer is None:
            look.timer = loop.call_later(self._patience, self._give_up, look)
        waiter = loop.create_future()
        look.waiting.append(waiter)
        await waiter

    async def _look(self, look: _Look) -> None:
        asked = self._steady()
        try:
            account = await self._reader.read(partial(read_account, key_id=look.key_id))
        except DatabaseUnavailableError:
            # What was seen before is shown a while longer.
            account = self._last(look.key_id)
        finally:
            del self._looks[look.key_id]
            look.end_waits()
        seen = self._seen.get(look.key_id)
        if seen is None or seen.at <= asked:  # else a claim has seen it meanwhile
            self._put(look.key_id, _Seen(account, asked))

    def _give_up(self, look: _Look) -> None:
        """The look goes on, but whoever waits for it has waited long enough."""
        # Not waited for again by every answer that follows.
        self._put(look.key_id, _Seen(self._last(look.key_id), self._steady()))
        look.end_waits()

    def _last(self, key_id: str) -> Account | None:
        seen = self._seen.get(key_id)
        return None if seen is None else seen.account

    def _put(self, key_id: str, seen: _Seen) -> None:
        self._seen[key_id] = seen
        self._seen.move_to_end(key_id)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)


def is_metered(key: ApiKey) -> bool:
    """Whether answers to this key tell how it stands."""
    limits = key.limits
    return not (limits.budget is None and limits.rpm is None and limits.images_per_minute is None)
