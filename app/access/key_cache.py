"""What is known of the keys of the database for a few seconds, so that no request waits for it (0115).

A key in use is looked up again in the background, and is waited for only where what is known has become too old to be
believed. However many callers ask, there is one look at the database at a time.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection

from app.access.key_store import StoredKey, fetch_keys, has_keys
from app.database.errors import DatabaseUnavailableError
from app.database.reader import Reader
from app.domain.caller import Caller
from app.errors import JournalError

_FRESH_SECONDS = 1.0
"""Younger, it is not even looked up in the background."""
_BELIEVED_SECONDS = 2.5
_PATIENCE_SECONDS = 1.5
"""How long a caller waits for another look at what was known; with what it was believed before, less than the five
seconds promised. What was never known is waited for as long as the database is (0141)."""
_WITHOUT_DATABASE_SECONDS = 600.0
"""How long a key that was known is believed while the database does not answer. Nothing can be spent meanwhile: claims
need the same database."""
_MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key as it was read, with the caller that it names. `read_at` is in monotonic seconds."""

    stored: StoredKey
    caller: Caller
    read_at: float


@dataclass(slots=True)
class _Look:
    """A look at the database that callers wait for. `done` says whether it answered."""

    key_ids: set[str] = field(default_factory=set)
    done: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class KeyCache:
    """The keys of the database. `clock` is monotonic seconds."""

    def __init__(self, reader: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        # Only what is there is kept, so that nobody pushes it out with keys that were made up.
        self._known: OrderedDict[str, KnownKey] = OrderedDict()
        self._has_keys = False
        self._looked_at = float("-inf")
        self._next: _Look | None = None
        self._task: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> KnownKey | None:
        """The key as it was seconds ago at most, None where there is none.

        Raises JournalError where the database does not answer and the key was not known before.
        """
        known = self._known.get(key_id)
        if known is not None:
            age = self._clock() - known.read_at
            if age < _BELIEVED_SECONDS:
                if age >= _FRESH_SECONDS:
                    self._ask(key_id)
                return known
        if await self._answered(key_id, None if known is None else _PATIENCE_SECONDS):
            return self._known.get(key_id)
        if known is not None and self._clock() - known.read_at < _WITHOUT_DATABASE_SECONDS:
            return known
        raise JournalError("no key can be looked up")

    async def has_keys(self) -> bool:
        """Whether there was ever a key in the database, as of seconds ago; JournalError where nobody knows."""
        # Rows of keys are never removed: once there is one, there always is.
        if self._has_keys:
            return True
        age = self._clock() - self._looked_at
        if age < _BELIEVED_SECONDS:
            if age >= _FRESH_SECONDS:
                self._ask(None)
            return False
        was_known = age < _WITHOUT_DATABASE_SECONDS
        if not await self._answered(None, _PATIENCE_SECONDS if was_known else None) and not was_known:
            raise JournalError("nobody knows whether a key is needed")
        return self._has_keys

    def forget(self, key_id: str) -> None:
        """Look a key up before it is believed again: it was changed here."""
        self._known.pop(key_id, None)
        self._looked_at = float("-inf")

    async def close(self) -> None:
        """Let a look that is under way end."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _answered(self, key_id: str | None, patience: float | None) -> bool:
        done = self._ask(key_id)
        await asyncio.wait({done}, timeout=patience)
        return done.done() and done.result()

    def _ask(self, key_id: str | None) -> asyncio.Future[bool]:
        """The end of a look that begins after this."""
        self._next = self._next or _Look()
        if key_id is not None:
            self._next.key_ids.add(key_id)
        done = self._next.done
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        return done

    async def _look(self) -> None:
        while self._next is not None:
            look, self._next = self._next, None
            # Before the question: an answer is as old as that.
            asked = self._clock()
            try:
                found, exists = await self._reader.peek(partial(_read, look.key_ids))
            except DatabaseUnavailableError:
                look.done.set_result(False)
                continue
            self._has_keys = self._has_keys or exists
            self._looked_at = max(self._looked_at, asked)
            for key_id in look.key_ids:
                self._remember(key_id, found.get(key_id), asked)
            look.done.set_result(True)

    def _remember(self, key_id: str, stored: StoredKey | None, asked: float) -> None:
        self._known.pop(key_id, None)
        if stored is None:
            return
        key = stored.key
        caller = Caller(key.id, key.name, key.is_admin, key)
        self._known[key_id] = KnownKey(stored, caller, asked)
        if len(self._known) > _MOST_KEYS:
            self._known.popitem(last=False)


def _read(key_ids: Collection[str], connection: Connection) -> tuple[dict[str, StoredKey], bool]:
    found = {stored.key.id: stored for stored in fetch_keys(connection, key_ids)} if key_ids else {}
    return found, bool(found) or has_keys(connection)
