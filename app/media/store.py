"""Stores the images this gateway made, for as long as their links live.

A folder today; the same calls reach an object store, for which `obstore` has one interface. Names are unguessable and
carry nothing of the request.
"""

import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from app.media.links import parse_link, sign, verify
from app.observability.logs import get_logger

if TYPE_CHECKING:  # exists only in the stubs
    from obstore import GetResult

_logger = get_logger("media")
MEDIA_PATH = "/v1/media/"
"""Where links to images begin below the origin."""
_NAME = re.compile(r"k?[0-9a-f]{32}\.(png|jpeg|webp|gif|avif|svg)")
# How the name of an image begins that outlives its link.
_LONGER = "k"
_SWEEP_SECONDS = 300
# So much longer an image stays than its link: a clock that is wrong for an hour or two deletes nothing.
_SPARED_SECONDS = 2 * 3600
# A response is sent in such pieces, so that a large image is never in memory whole.
_CHUNK = 256 * 1024


class MediaNotFoundError(Exception):
    """No such image, or its link has ended or was never ours."""


class MediaUnavailableError(Exception):
    """An image cannot be stored: the disk is full, or the store cannot be reached."""


@dataclass(frozen=True, slots=True)
class HostedImage:
    """Where a stored image is: `path` is below the origin, with its signature; `expires_at` in unix seconds."""

    name: str
    path: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image on its way out."""

    media_type: str
    size: int
    expires_at: int
    chunks: AsyncIterator[bytes]


class MediaStore:
    """Stores images and hands them out against signed links. `clock` is unix seconds.

    Links live `ttl_seconds`, and so do their images, or `keep_seconds` where a new link may be asked for.
    """

    def __init__(
        self,
        folder: Path,
        secret: bytes,
        ttl_seconds: int,
        keep_seconds: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._store = LocalStore(folder)
        self._secret = secret
        self._ttl = ttl_seconds
        self._longer = max(keep_seconds, ttl_seconds)
        self._clock = clock
        self._next_sweep = 0.0

    async def open(self) -> None:
        """Start what the store runs beside the loop, while there are descriptors left for it, and look through it."""
        # On the way, so that no process needs a timer and several may share a folder.
        await self._sweep()

    async def host_image(self, data: bytes, format_: str, *, longer: bool = False) -> HostedImage:
        """Store an image in one of the delivered formats; `longer` than its link lives, so that it can be renewed.

        Raises MediaUnavailableError.
        """
        await self._sweep()
        # Random, not a hash of the image: a hash would let anybody with the image find whose it was.
        name = f"{_LONGER if longer else ''}{secrets.token_hex(16)}.{format_}"
        await self._put(name, data)
        return self._link(name)

    async def renew_link(self, name: str) -> HostedImage:
        """Another link to an image, raising MediaNotFoundError."""
        try:
            await obstore.head_async(self._store, name)
        except FileNotFoundError:
            raise MediaNotFoundError from None
        return self._link(name)

    def _link(self, name: str) -> HostedImage:
        expires_at = int(self._clock()) + self._ttl
        signature = sign(self._secret, name, expires_at)
        return HostedImage(name, f"{MEDIA_PATH}{name}?expires={expires_at}&signature={signature}", expires_at)

    async def get_hosted(self, name: str, expires_at: int, signature: str) -> StoredImage:
        """The image behind a link, raising MediaNotFoundError."""
        match = _NAME.fullmatch(name)
        if match is None or not verify(self._secret, name, expires_at, signature, self._clock()):
            raise MediaNotFoundError
        try:
            found = await obstore.get_async(self._store, name)
        except FileNotFoundError:
            raise MediaNotFoundError from None
        media_type = "image/svg+xml" if match[1] == "svg" else f"image/{match[1]}"
        return StoredImage(media_type, found.meta["size"], expires_at, _chunks(found))

    async def find_link(self, url: str) -> StoredImage | None:
        """The image behind the address of a link this gateway signed; None for any other address.

        Raises MediaNotFoundError for a link of ours that has ended.
        """
        link = parse_link(url)
        # Signature only: an ended link of ours deserves its own error, a foreign address none.
        if link is None or not verify(self._secret, link.name, link.expires_at, link.signature, now=0):
            return None
        return await self.get_hosted(link.name, link.expires_at, link.signature)

    async def store_image(self, data: bytes, format_: str) -> str:
        """Store an image without a link; the name it can be read by. Raises MediaUnavailableError."""
        await self._sweep()
        name = f"{secrets.token_hex(16)}.{format_}"
        await self._put(name, data)
        return name

    async def read_image(self, name: str) -> bytes:
        """The bytes of a stored image, raising MediaNotFoundError."""
        try:
            return bytes(await (await obstore.get_async(self._store, name)).bytes_async())
        except FileNotFoundError:
            raise MediaNotFoundError from None

    async def delete_image(self, name: str) -> None:
        """Delete a stored image, if it is there."""
        await obstore.delete_async(self._store, name)

    async def _put(self, name: str, data: bytes) -> None:
        try:
            await obstore.put_async(self._store, name, data)
        # One error for every back end, so that those who store need not know which it is.
        except (OSError, BaseError) as error:
            raise MediaUnavailableError from error

    async def _sweep(self) -> None:
        """Delete what no link can reach any more, now and then; what cannot be deleted keeps nobody from storing."""
        now = self._clock()
        if now < self._next_sweep:
            return
        self._next_sweep = now + _SWEEP_SECONDS
        try:
            await self._delete_old(now)
        except (OSError, BaseError) as error:
            _logger.warning("old images cannot be deleted", reason=type(error).__name__)

    async def _delete_old(self, now: float) -> None:
        async for batch in obstore.list(self._store):
            for entry in batch:
                lives = self._longer if entry["path"].startswith(_LONGER) else self._ttl
                # A margin after the end: a read that began just before it goes on.
                if entry["last_modified"].timestamp() + lives + _SPARED_SECONDS < now:
                    await obstore.delete_async(self._store, entry["path"])


async def _chunks(found: "GetResult") -> AsyncIterator[bytes]:
    async for chunk in found.stream(min_chunk_size=_CHUNK):
        yield bytes(chunk)
