"""Fetches the images that callers name, behind every guard, each caller within a share of the connections.

Leaves results, which are paid for and must not wait for any of these, to `download`.
"""

from app.egress.address_guard import AddressGuard, FetchError, RefusedAddressError
from app.egress.http_get import Getter, deadline
from app.egress.slots import SharedSlots

_DEADLINE_SECONDS = 30.0
_AT_ONCE = 64
_AT_ONCE_PER_CALLER = 16
"""As many as one request may name."""


class InputFetcher:
    """Gets images from addresses that callers name."""

    def __init__(self, guard: AddressGuard, *, max_bytes: int) -> None:
        self._guard = guard
        self._max_bytes = max_bytes
        self._slots = SharedSlots(_AT_ONCE, _AT_ONCE_PER_CALLER)
        self._getter = Getter(_AT_ONCE)

    async def check(self, url: str, caller: str) -> None:
        """Raise RefusedAddressError when `url` leads to an address that is not public.

        A host that does not resolve here passes: we would only hand its address on.
        """
        try:
            await self._guard.pin(url, caller)
        except RefusedAddressError:
            raise
        except FetchError:
            return

    async def fetch(self, url: str, caller: str) -> bytes:
        """The bytes at `url`, raising FetchError, RefusedAddressError or TooManyBytesError.

        Waiting for a turn counts, so that nobody waits for servers that drip.
        """
        with deadline(_DEADLINE_SECONDS):
            await self._slots.take(caller)
            try:
                return await self._getter.get(url, lambda _: self._guard, self._max_bytes, caller)
            finally:
                self._slots.give_back(caller)

    async def close(self) -> None:
        """Give back all connections."""
        await self._getter.close()
