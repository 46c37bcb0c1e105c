"""Shares a number of slots among callers, so that no single one can hold them all.

Owns counting and waiting, on the event loop only. Leaves what a slot stands for to its users.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class SharedSlots:
    """`total` slots, of which one caller holds at most `per_caller`."""

    def __init__(self, total: int, per_caller: int) -> None:
        self._free = total
        self._per_caller = per_caller
        self._held: Counter[str] = Counter()
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def held(self, caller: str) -> AsyncIterator[None]:
        """Hold a slot, once there is one."""
        await self.take(caller)
        try:
            yield
        finally:
            self.give_back(caller)

    async def take(self, caller: str) -> None:
        """Wait for a slot; `give_back` must follow."""
        if self._fits(caller):
            self._hold(caller)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((caller, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot came in the same moment: pass it on
                self.give_back(caller)
            else:
                self._waiting.remove((caller, turn))
            raise

    def give_back(self, caller: str) -> None:
        """Free a slot and hand it to the waiting caller that holds the fewest."""
        self._free += 1
        self._held[caller] -= 1
        if not self._held[caller]:
            del self._held[caller]
        # One that was cancelled in this very moment is still listed.
        fitting = [entry for entry in self._waiting if not entry[1].done() and self._fits(entry[0])]
        if not fitting:
            return
        # By what each holds, not by order of arrival: one caller with many requests would come first every time.
        following = min(fitting, key=lambda entry: self._held[entry[0]])
        self._waiting.remove(following)
        self._hold(following[0])
        following[1].set_result(None)

    def _fits(self, caller: str) -> bool:
        return self._free > 0 and self._held[caller] < self._per_caller

    def _hold(self, caller: str) -> None:
        self._free -= 1
        self._held[caller] += 1
