"""What this process remembers of requests with keys, so that they are answered again while the journal is away.

Only then: the journal knows what other processes did. Owns how much is remembered and for how long. Images are not
here, they lie in their store; nothing can be bought by what is found here (0142).
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from app.domain.values import replace
from app.errors import ConflictingKeyError
from app.journal.records import Intent, Record, Settlement
from app.ledger.bill import Costs

MOST_BYTES = 16 * 1024 * 1024
_ENTRY_BYTES = 4096
"""About what a request needs beside its answer."""
_LONGEST_SECONDS = 3600.0


class _Remembered(Struct, frozen=True):
    record: Record
    way: tuple[str, str]
    noted_at: float

    @property
    def size(self) -> int:
        return _ENTRY_BYTES + len(self.record.plan) + len(self.record.answer or self.record.error or "")


class KeyMemory:
    """Requests by tenant and key, the latest ones. `clock` is monotonic seconds."""

    def __init__(self, most_bytes: int = MOST_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes = most_bytes
        self._clock = clock
        self._by_id: OrderedDict[str, _Remembered] = OrderedDict()
        self._ids: dict[tuple[str, str], str] = {}
        self._bytes = 0

    def note(self, intent: Intent, record: Record) -> None:
        """Remember what a claim led to."""
        if intent.key_hash is not None:
            self._put(_Remembered(record, (intent.tenant, intent.key_hash), self._clock()))

    def end(self, request_id: str, settlement: Settlement, costs: Costs) -> None:
        """Remember how a request ended; one that frees its key is forgotten."""
        known = self._by_id.get(request_id)
        if known is None:
            return
        record = replace(
            known.record,
            status=settlement.status,
            answer=settlement.answer,
            error=settlement.error,
            images_kept=settlement.images_kept,
            costs=costs,
        )
        # Images that were not kept are only at Runware, and the way there leads over the journal.
        if settlement.releases or settlement.images_kept is False:
            self.forget(request_id)
        else:
            self._put(replace(known, record=record))

    def forget(self, request_id: str) -> None:
        """Answer nobody with this any more."""
        known = self._by_id.pop(request_id, None)
        if known is not None:
            self._bytes -= known.size
            del self._ids[known.way]

    def find(self, intent: Intent) -> Record | None:
        """The request that the key of `intent` leads to, raising ConflictingKeyError where that is another one."""
        request_id = None if intent.key_hash is None else self._ids.get((intent.tenant, intent.key_hash))
        known = None if request_id is None else self._by_id[request_id]
        if known is None or self._is_over(known):
            return None
        if known.record.fingerprint != intent.fingerprint:
            raise ConflictingKeyError
        return known.record

    def _put(self, known: _Remembered) -> None:
        self.forget(known.record.id)
        earlier = self._ids.get(known.way)
        if earlier is not None:
            self.forget(earlier)
        self._by_id[known.record.id] = known
        self._ids[known.way] = known.record.id
        self._bytes += known.size
        while self._bytes > self._most_bytes:
            self.forget(next(iter(self._by_id)))
        # What may not be used any more is not held either: another process may have deleted it.
        while self._by_id and self._is_over(next(iter(self._by_id.values()))):
            self.forget(next(iter(self._by_id)))

    def _is_over(self, known: _Remembered) -> bool:
        return self._clock() - known.noted_at > _LONGEST_SECONDS
