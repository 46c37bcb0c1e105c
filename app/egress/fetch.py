"""Fetches the images that callers name, behind every guard, each caller within a share of the connections.

Leaves results, which are paid for and must not wait for any of these, to `download`.
"""

import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from app.egress.address_guard import AddressGuard, FetchError, RefusedAddressError
from app.egress.http_get import Getter, Head, deadline
from app.egress.slots import SharedSlots

_DEADLINE_SECONDS = 30.0
# Who has not shown the beginning of an image by then is left to the provider.
_PEEK_SECONDS = 5.0
_SILENT_SECONDS = 60.0
_REMEMBERED_HOSTS = 1000
_AT_ONCE = 64
# As many as one request may name.
_AT_ONCE_PER_CALLER = 16


class InputFetcher:
    """Gets images from addresses that callers name. `clock` is monotonic seconds."""

    def __init__(
        self,
        guard: AddressGuard,
        *,
        max_bytes: int,
        trust: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guard = guard
        self._max_bytes = max_bytes
        self._slots = SharedSlots(_AT_ONCE, _AT_ONCE_PER_CALLER)
        self._getter = Getter(_AT_ONCE, trust)
        self._clock = clock
        self._silent_until: dict[str, float] = {}

    async def check_address(self, url: str, caller: str) -> None:
        """Raise RefusedAddressError when `url` leads to an address that is not public.

        A host that does not resolve here passes: we would only hand its address on.
        """
        try:
            await self._guard.pin(url, caller)
        except RefusedAddressError:
            raise
        except FetchError:
            return

    async def fetch_image(self, url: str, caller: str) -> bytes:
        """The bytes at `url`, raising FetchError, RefusedAddressError or TooManyBytesError.

        Waiting for a turn counts, so that nobody waits for servers that drip.
        """
        with deadline(_DEADLINE_SECONDS):
            # Within a share for each caller, so that one request with many slow addresses does not stop everybody's.
            async with self._slots.held(caller):
                return await self._getter.get(url, self._guard_for, self._max_bytes, caller)

    async def peek(self, url: str, max_bytes: int, caller: str) -> Head:
        """The first `max_bytes` bytes at `url`, raising FetchError or RefusedAddressError.

        A host that did not answer is left alone for a minute: where there is no way out, nobody waits again and again.
        """
        host = f"{caller} {_place(url)}"  # each caller's own experience: nobody is to spoil an address for others
        if self._silent_until.get(host, 0) > self._clock():
            await self.check_address(url, caller)
            raise FetchError("did not answer a moment ago")
        try:
            with deadline(_PEEK_SECONDS):
                async with self._slots.held(caller):
                    return await self._getter.peek(url, self._guard_for, max_bytes, caller)
        except FetchError as error:
            if error.status is None and not isinstance(error, RefusedAddressError):
                self._remember_silent(host)
            raise

    def _guard_for(self, _: str) -> AddressGuard:
        """Redirects are judged like what the caller named."""
        return self._guard

    def _remember_silent(self, host: str) -> None:
        if len(self._silent_until) >= _REMEMBERED_HOSTS:
            self._silent_until.clear()
        self._silent_until[host] = self._clock() + _SILENT_SECONDS

    async def close(self) -> None:
        """Give back all connections."""
        await self._getter.close()


def _place(url: str) -> str:
    """Host and port of an address; empty where there is none."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""
