"""The loop of what runs in the background: again and again until it is stopped, whatever goes wrong in one turn.

Owns start, stop, the pauses, and what the log says of a turn that failed. Leaves what a turn does to its part.
"""

import asyncio
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger


class Loop:
    """Takes turns, `every` so many seconds or as soon as it is woken.

    A turn that fails says `trouble` in the log: in one line for `passing`, which are expected to pass by themselves,
    with the whole fault for anything else.
    """

    def __init__(
        self,
        turn: Callable[[], Awaitable[object]],
        every: float,
        logger: FilteringBoundLogger,
        trouble: str,
        *,
        passing: type[Exception] | tuple[type[Exception], ...] = (),
        pauses_first: bool = False,
    ) -> None:
        self._turn = turn
        self._every = every
        self._logger = logger
        self._trouble = trouble
        self._passing = passing
        self._pauses_first = pauses_first
        self._news = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the background."""
        self._running = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Take no further turn; the one under way is broken off where it waits."""
        if self._running is not None:
            self._running.cancel()

    def wake(self) -> None:
        """There is something to do: the next turn begins now, or right after the one under way."""
        self._news.set()

    async def _run(self) -> None:
        if self._pauses_first:
            await self._pause()
        while True:
            try:
                await self._turn()
            except self._passing as error:
                self._logger.warning(self._trouble, reason=type(error).__name__)
            except Exception:  # of one turn: a part that has ended does nothing until the next start
                self._logger.exception(self._trouble)
            await self._pause()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._news.wait(), self._every)
        except TimeoutError:
            return
        self._news.clear()
