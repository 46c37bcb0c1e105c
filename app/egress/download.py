"""Downloads the images that Runware made, with retries and over connections of their own: they are paid for.

Runware's own origin, which the operator named, is trusted; everything else is checked like an input. Leaves what is
done with the bytes to `deliver`.
"""

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

from app.egress.address_guard import AddressGuard, FetchError, RefusedAddressError
from app.egress.http_get import Getter, Sink, TooManyBytesError, deadline
from app.egress.names import Resolve
from app.observability.logs import get_logger

_logger = get_logger("downloads")
_T = TypeVar("_T")
_TRANSIENT = frozenset({408, 425, 429})
_CONNECTIONS = 1024
_ATTEMPT_SECONDS = 120.0
MAX_BYTES = 512 * 1024 * 1024
"""The caller's limit is not that of a result: an enlarged image may be larger than any that is sent here."""
_LOOK_UP_SECONDS = 2.0
_REMEMBERED_SECONDS = 300.0
_UNKNOWN_SECONDS = 5.0
# Hosts of results whose addresses were found to be public, or were not found.
_REMEMBERED_HOSTS = 1000


@dataclass(frozen=True, slots=True)
class DownloadPolicy:
    """How long an image is asked for again; all times in seconds."""

    first_wait: float = 0.5
    longest_wait: float = 15.0
    absent: float = 45.0
    """While its server says that it is not there, or not ours."""
    unreachable: float = 600.0
    """While its server fails, or cannot be reached."""


class ResultFetcher:
    """Gets results, one attempt at a time. `provider_url` is where Runware is; `clock` is monotonic seconds."""

    def __init__(
        self,
        resolve: Resolve,
        *,
        allow_private: bool,
        provider_url: str = "",
        trust: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guard = AddressGuard(allow_private=allow_private, resolve=resolve)
        # The operator named this origin, which may be private, as the simulator's is (0102).
        self._trusting = AddressGuard(allow_private=True, resolve=resolve)
        self._provider = _origin(provider_url)
        self._clock = clock
        self._passes_until: dict[str, float] = {}
        self._looked_up: dict[str, asyncio.Task[None]] = {}
        self._getter = Getter(_CONNECTIONS, trust)

    async def fetch_result(self, url: str, max_bytes: int = MAX_BYTES) -> bytes:
        """The bytes of a result, raising FetchError, or RefusedAddressError where it leads inside."""
        with deadline(_ATTEMPT_SECONDS):
            return await self._getter.get(url, self._guard_for, max_bytes)

    async def pour_result(self, url: str, sink: Sink, max_bytes: int = MAX_BYTES) -> None:
        """Give `sink` the bytes of a result as they come, raising as `fetch_result` does, and what the sink raises."""
        with deadline(_ATTEMPT_SECONDS):
            await self._getter.pour(url, self._guard_for, max_bytes, sink)

    async def check_address(self, url: str) -> None:
        """Raise RefusedAddressError when a result's address leads inside; the caller is not sent there either.

        A host is looked up once in a while only, and one that does not resolve in time passes: it is the caller's then.
        """
        host = _origin(url)
        if self._passes_until.get(host, 0) > self._clock():
            return
        # One question for all who wait for its answer: hundreds in flight would each ask, and fill the threads (0102).
        looked_up = self._looked_up.get(host)
        if looked_up is None:
            looked_up = self._looked_up[host] = asyncio.create_task(self._look_up(host, url))
        # Shielded: whoever leaves first takes nothing from the others.
        await asyncio.shield(looked_up)

    async def _look_up(self, host: str, url: str) -> None:
        if host in self._passes_until:
            # It passed before: for as long as this may take, others need not wait for it.
            self._passes_until[host] = self._clock() + _LOOK_UP_SECONDS
        try:
            seconds = await self._seconds_to_pass(url)
        except RefusedAddressError:
            self._passes_until.pop(host, None)
            raise
        finally:
            del self._looked_up[host]
        # Cleared whole: results come from a handful of hosts, and who fills it with others gains nothing.
        if len(self._passes_until) >= _REMEMBERED_HOSTS:
            self._passes_until.clear()
        # Remembered, so that an answer with a link need not wait for a name lookup each time.
        self._passes_until[host] = self._clock() + seconds

    async def _seconds_to_pass(self, url: str) -> float:
        """How long the host of a result need not be looked up again."""
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                await self._guard_for(url).pin(url)
        except RefusedAddressError:
            raise
        except (FetchError, TimeoutError):
            # A name server that is away would otherwise be asked for each answer, and each would wait for it.
            return _UNKNOWN_SECONDS
        return _REMEMBERED_SECONDS

    async def close(self) -> None:
        """Give back all connections."""
        for task in self._looked_up.values():
            task.cancel()
        await self._getter.close()

    def _guard_for(self, url: str) -> AddressGuard:
        return self._trusting if self._provider and _origin(url) == self._provider else self._guard


class ResultDownloader:
    """Images by their addresses. `clock` is monotonic seconds; `chance` is in [0, 1)."""

    def __init__(
        self,
        fetcher: ResultFetcher,
        policy: DownloadPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._fetcher = fetcher
        self._policy = policy or DownloadPolicy()
        self._clock = clock
        self._chance = chance

    async def check_address(self, url: str) -> None:
        """Raise RefusedAddressError where an address leads inside."""
        await self._fetcher.check_address(url)

    async def download(self, url: str, max_bytes: int = MAX_BYTES) -> bytes:
        """The bytes of an image, of which there may be so many, raising FetchError once the policy gives it up."""
        return await self._insist(partial(self._fetcher.fetch_result, url, max_bytes))

    async def pour(self, url: str, sink: Sink, max_bytes: int = MAX_BYTES) -> None:
        """Give `sink` the bytes of an image, again from the first one where an attempt fails.

        Raises FetchError once the policy gives it up, and at once what the sink raises.
        """
        await self._insist(partial(self._fetcher.pour_result, url, sink, max_bytes))

    async def _insist(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        began = self._clock()
        wait = self._policy.first_wait
        while True:
            try:
                return await attempt()
            # Asking again would end the same way; everything else is tried again, since the image is paid for (0054).
            except (TooManyBytesError, RefusedAddressError):
                raise
            except FetchError as error:
                if self._clock() + wait - began > self._retry_seconds(error.status):
                    raise
                _logger.warning("an image cannot be downloaded yet; it is tried again", reason=error.reason)
            # Jitter: images of one request would otherwise ask a struggling server all at once.
            await asyncio.sleep(wait * (0.5 + self._chance() / 2))
            wait = min(2 * wait, self._policy.longest_wait)

    def _retry_seconds(self, status: int | None) -> float:
        refuses = status is not None and 400 <= status < 500 and status not in _TRANSIENT  # noqa: PLR2004 - HTTP's own
        return self._policy.absent if refuses else self._policy.unreachable


def _origin(url: str) -> str:
    """Scheme and place of an address, for comparing; empty where there is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme in {"http", "https"} and parts.netloc else ""
