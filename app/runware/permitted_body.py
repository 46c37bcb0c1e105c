"""A request body that asks before every piece of it leaves, so that a process that stood still meanwhile sends no more.

A connection may take seconds to be made, and a large body as long to be written; a process that was allowed to send
before may not be any more. Without its last piece a body is nothing to the server.
"""

from collections.abc import Awaitable, Callable

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

_PIECE_BYTES = 64 * 1024
# Held back until all others have left this process: nothing that is written later waits in a buffer unasked.
_LAST_BYTES = 1024


class PermittedBody(Payload):
    """Bytes. `permit` raises when they may not be sent; `refusal` is what it raised."""

    _value: bytes

    def __init__(self, value: bytes, permit: Callable[[], Awaitable[None] | None]) -> None:
        super().__init__(value, content_type="application/json")
        self._size = len(value)
        self._permit = permit
        self.refusal: Exception | None = None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The bytes as text."""
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write all of it."""
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write it piece by piece, asking before each."""
        value = memoryview(self._value)[:content_length]
        # The end of the body is what makes it a request. It leaves only after a last look at the lease (0040).
        last = len(value) - _LAST_BYTES if len(value) > _PIECE_BYTES else 0
        for start in range(0, last, _PIECE_BYTES):
            await self._ask()
            await writer.write(value[start : min(start + _PIECE_BYTES, last)])
        if last and writer.transport is not None:
            # With no buffer, `drain` returns only once everything before is with the system: the permission is not
            # asked while seconds of body still wait here.
            writer.transport.set_write_buffer_limits(0)
            await writer.drain()
        await self._ask()
        await writer.write(value[last:])

    async def _ask(self) -> None:
        try:
            waiting = self._permit()
            if waiting is not None:
                await waiting
        except Exception as refusal:
            # aiohttp wraps what a body raises; kept here, so that the transport can tell a lost lease from a lost
            # connection.
            self.refusal = refusal
            raise
