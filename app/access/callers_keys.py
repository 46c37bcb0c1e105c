"""The callers' own keys at Runware, in memory only: by tenant, bounded, and forgotten when they are not used.

Owns which keys are known here and for how long. What is not known is waited for: whoever needs it asks again when its
caller does.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from pydantic import SecretStr

from app.runware.keys import RunwareKey

_FORGOTTEN_AFTER_SECONDS = 86_400.0
"""As long as an open request is looked for."""


@dataclass(frozen=True, slots=True)
class _Known:
    key: RunwareKey
    used_at: float


class CallersKeys:
    """Keys by tenant. `clock` is monotonic seconds.

    Of `capacity` keys that Runware has taken, or that a request waits for; and of `newcomers` of which nobody knows yet
    whether they are keys at all.
    """

    def __init__(
        self, capacity: int = 10_000, newcomers: int = 1_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity, self._newcomers_capacity = capacity, newcomers
        self._clock = clock
        # Apart, so that nobody drives out keys that work with a flood of made-up ones.
        self._proven: OrderedDict[str, _Known] = OrderedDict()
        self._newcomers: OrderedDict[str, _Known] = OrderedDict()
        self._awaited: frozenset[str] = frozenset()
        self._wake: Callable[[], None] | None = None

    def remember(self, tenant: str, secret: SecretStr) -> None:
        """A caller has shown its key."""
        now = self._clock()
        known = _Known(RunwareKey(secret, is_callers=True), now)
        is_awaited = tenant in self._awaited
        kept = self._proven if is_awaited or tenant in self._proven else self._newcomers
        kept[tenant] = known
        kept.move_to_end(tenant)
        self._forget_old(now)
        if is_awaited:
            self._newcomers.pop(tenant, None)
            self._awaited -= {tenant}
            if self._wake is not None:
                self._wake()

    def key_of(self, tenant: str) -> RunwareKey | None:
        """See Keys."""
        known = self._proven.get(tenant) or self._newcomers.get(tenant)
        if known is None or known.used_at + _FORGOTTEN_AFTER_SECONDS < self._clock():
            return None
        return known.key

    def prove(self, tenant: str) -> None:
        """See Keys."""
        known = self._newcomers.pop(tenant, None)
        if known is not None:
            self._proven[tenant] = replace(known, used_at=self._clock())
            self._forget_old(self._clock())

    def await_callers(self, tenants: frozenset[str], wake: Callable[[], None]) -> None:
        """See Keys."""
        self._awaited, self._wake = tenants, wake

    def _forget_old(self, now: float) -> None:
        """Keep no more than there is room for, and nothing that was not used for long; the oldest come first."""
        for kept, capacity in ((self._proven, self._capacity), (self._newcomers, self._newcomers_capacity)):
            while len(kept) > capacity or (kept and _oldest(kept).used_at + _FORGOTTEN_AFTER_SECONDS < now):
                kept.popitem(last=False)


def _oldest(kept: OrderedDict[str, _Known]) -> _Known:
    return next(iter(kept.values()))
