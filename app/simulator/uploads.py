"""Puts finished images where `uploadEndpoint` says, in the background. One that is not taken is only counted."""

import asyncio

import aiohttp

_SECONDS = 5.0
_REFUSED = 400


class ResultUploads:
    """Uploads in flight. `done` and `failed` count those that have ended."""

    def __init__(self) -> None:
        self.done = self.failed = 0
        self._session: aiohttp.ClientSession | None = None
        self._running: set[asyncio.Task[None]] = set()

    def begin_upload(self, endpoint: object, media_type: str, data: bytes) -> None:
        """Upload one image; nothing happens where no endpoint was given."""
        if not isinstance(endpoint, str):
            return
        # Apart from the answer: a slow endpoint delays nobody.
        running = asyncio.create_task(self._put(endpoint, media_type, data))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """End what runs."""
        for running in self._running:
            running.cancel()
        if self._session is not None:
            await self._session.close()

    async def _put(self, endpoint: str, media_type: str, data: bytes) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS))
        try:
            async with self._session.put(endpoint, data=data, headers={"Content-Type": media_type}) as response:
                taken = response.status < _REFUSED
        except (aiohttp.ClientError, TimeoutError, ValueError):
            taken = False
        self.done += taken
        self.failed += not taken
