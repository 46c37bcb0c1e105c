"""Brings images that Runware made from where they lie, patiently: they are paid for.

Leaves one attempt to `egress.fetch`, and what is done with the bytes to `deliver`.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.egress.address_guard import FetchError, RefusedAddressError
from app.egress.fetch import Fetcher, TooManyBytesError
from app.observability.logs import get_logger

_logger = get_logger("downloads")
_PASSING = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class DownloadPolicy:
    """How long an image is asked for again; all times in seconds."""

    first_wait: float = 0.5
    longest_wait: float = 15.0
    absent: float = 45.0
    """While its server says that it is not there, or not ours."""
    unreachable: float = 600.0
    """While its server fails, or cannot be reached."""


class ResultDownloader:
    """Images by their addresses. `clock` is monotonic seconds; `chance` is in [0, 1)."""

    def __init__(
        self,
        fetcher: Fetcher,
        patience: DownloadPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._fetcher = fetcher
        self._patience = patience or DownloadPolicy()
        self._clock = clock
        self._chance = chance

    async def check(self, url: str) -> None:
        """Raise RefusedAddressError where an address leads inside."""
        await self._fetcher.check_result(url)

    async def bring(self, url: str) -> bytes:
        """The bytes of an image, raising FetchError when patience ends."""
        began = self._clock()
        wait = self._patience.first_wait
        while True:
            try:
                return await self._fetcher.fetch_result(url)
            except (TooManyBytesError, RefusedAddressError):
                raise
            except FetchError as error:
                if self._clock() + wait - began > self._longest(error.status):
                    raise
                _logger.warning("an image cannot be brought yet; it is tried again", reason=error.reason)
            await asyncio.sleep(wait * (0.5 + self._chance() / 2))
            wait = min(2 * wait, self._patience.longest_wait)

    def _longest(self, status: int | None) -> float:
        refuses = status is not None and 400 <= status < 500 and status not in _PASSING  # noqa: PLR2004 - HTTP's own
        return self._patience.absent if refuses else self._patience.unreachable
