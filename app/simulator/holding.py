"""Tasks whose images wait until somebody lets them come: `[sim:hold]`, and `POST /_simulator/release`.

For tests and demonstrations of answers that arrive one by one. Leaves everything else about a task to `state`.
"""

import asyncio
from collections import OrderedDict

_LONGEST_SECONDS = 120.0
"""A test that fails must not leave tasks that wait for ever."""


class HeldTasks:
    """The tasks that wait, oldest first."""

    def __init__(self, longest_seconds: float = _LONGEST_SECONDS) -> None:
        self._longest = longest_seconds
        self._waiting: OrderedDict[asyncio.Event, str] = OrderedDict()

    async def wait_for_release(self, prompt: str) -> None:
        """Wait until a task with this prompt may go on, or for the longest time at most."""
        released = asyncio.Event()
        self._waiting[released] = prompt
        try:
            async with asyncio.timeout(self._longest):
                await released.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.pop(released, None)

    def release(self, prompt: str, count: int) -> int:
        """Let the oldest `count` tasks with this prompt go on; how many there were."""
        going = [released for released, held in self._waiting.items() if held == prompt][:count]
        for released in going:
            # Taken out at once: who asks again before the task has run must not release the same one.
            del self._waiting[released]
            released.set()
        return len(going)
