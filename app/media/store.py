"""Stores the images this gateway made, for as long as their links live, in whatever store there is.

Names are unguessable and carry nothing of the request. Leaves how bytes are written and read to `object_store`, and
how links are signed to `links`.
"""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.media.errors import MediaNotFoundError, MediaUnavailableError
from app.media.links import MEDIA_PATH, LinkSigner, SignedLink, parse_link
from app.media.object_store import ObjectStore, StoredBytes
from app.observability.logs import get_logger

_logger = get_logger("media")
_NAME = re.compile(r"k?[0-9a-f]{32}\.(png|jpeg|webp|gif|avif|svg)")
# How the name of an image begins that outlives its link.
_LONGER = "k"
_NOWHERE = "readyz"
"""Nothing is called so: that it is not there is the answer of a store that works."""
_SWEEP_SECONDS = 300
# So much longer an image stays than its link: a clock that is wrong for an hour or two deletes nothing.
_SPARED_SECONDS = 2 * 3600


@dataclass(frozen=True, slots=True)
class HostedImage:
    """Where a stored image is: at `address`, which is below the origin where it begins with a slash.

    `expires_at` is in unix seconds.
    """

    name: str
    address: str
    expires_at: int

    def url_at(self, origin: str) -> str:
        """The whole address for callers that reach this gateway at `origin`."""
        return f"{origin}{self.address}" if self.address.startswith("/") else self.address


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image behind a link that is good until `expires_at`; both times are unix seconds."""

    name: str
    media_type: str
    size: int
    modified_at: float
    expires_at: int


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image on its way out, or a part of it."""

    found: FoundImage
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long links live, and images whose link may be asked for again; in seconds."""

    link: int
    longer: int = 0


class MediaStore:
    """Stores images below `prefix` and hands them out against links. `clock` is unix seconds.

    Where `presigned`, links lead to the object store itself.
    """

    def __init__(
        self,
        store: ObjectStore,
        prefix: str,
        signer: LinkSigner,
        lives: Lifetimes,
        clock: Callable[[], float] = time.time,
        *,
        presigned: bool = False,
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._signer = signer
        self._lives = lives
        self._clock = clock
        self._presigned = presigned
        self._next_sweep = 0.0

    async def open(self) -> None:
        """Start what the store runs beside the loop, while there are descriptors left for it, and look through it."""
        # On the way, so that no process needs a timer and several may share a folder.
        await self._sweep()

    async def is_available(self, seconds: float) -> bool:
        """Whether the store answers within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._store.head(self._path(_NOWHERE))
        except MediaNotFoundError:
            return True
        except (MediaUnavailableError, TimeoutError):
            return False
        return True

    async def host_image(self, data: bytes, format_: str, *, longer: bool = False) -> HostedImage:
        """Store an image in one of the delivered formats; `longer` than its link lives, so that it can be renewed.

        Raises MediaUnavailableError.
        """
        await self._sweep()
        name = _new_name(format_, longer=longer)
        await self._store.put(self._path(name), data, _media_type(format_))
        return await self._link(name)

    async def host_stream(self, chunks: AsyncIterator[bytes], format_: str, *, longer: bool = False) -> HostedImage:
        """Store an image as its bytes come; nothing is stored where `chunks` raises, and that is raised.

        Raises MediaUnavailableError.
        """
        await self._sweep()
        name = _new_name(format_, longer=longer)
        await self._store.put_stream(self._path(name), chunks, _media_type(format_))
        return await self._link(name)

    async def renew_link(self, name: str, url: str) -> HostedImage:
        """Another link to the image that was given out under `url`, raising MediaNotFoundError."""
        await self._store.head(self._path(name))
        return await self._link(name, presigned=self._presigned or MEDIA_PATH not in url)

    async def head_hosted(self, link: SignedLink) -> FoundImage:
        """What is known of the image behind a link.

        Raises LinkForgedError, LinkEndedError, MediaNotFoundError or MediaUnavailableError.
        """
        media_type = self._checked(link)
        return _found(link, media_type, await self._store.head(self._path(link.name)))

    async def open_hosted(self, link: SignedLink, start: int = 0, end: int | None = None) -> StoredImage:
        """The image behind a link, with an `end` only a part of it, raising what `head_hosted` raises."""
        media_type = self._checked(link)
        opened = await self._store.get(self._path(link.name), start, end)
        return StoredImage(_found(link, media_type, opened.stored), opened.chunks)

    async def find_link(self, url: str) -> StoredImage | None:
        """The image behind the address of a link this gateway signed; None for any other address.

        Raises LinkEndedError or MediaNotFoundError for a link of ours that leads nowhere any more.
        """
        link = parse_link(url)
        # Signature only: an ended link of ours deserves its own error, a foreign address none.
        return await self.open_hosted(link) if link is not None and self._signer.is_ours(link) else None

    async def leads_to_store(self, url: str) -> bool:
        """Whether an address has the form of a presigned link to an image here; whether it is one, the store says."""
        name = urlsplit(url).path.rpartition("/")[2]
        if not self._store.signs or not _NAME.fullmatch(name):
            return False
        own, given = urlsplit(await self._store.sign(self._path(name), self._lives.link)), urlsplit(url)
        return (own.scheme, own.netloc, own.path) == (given.scheme, given.netloc, given.path)

    async def store_image(self, data: bytes, format_: str) -> str:
        """Store an image without a link; the name it can be read by. Raises MediaUnavailableError."""
        await self._sweep()
        name = _new_name(format_, longer=False)
        await self._store.put(self._path(name), data, _media_type(format_))
        return name

    async def read_image(self, name: str) -> memoryview:
        """The bytes of a stored image, raising MediaNotFoundError or MediaUnavailableError."""
        return await self._store.read(self._path(name))

    async def delete_image(self, name: str) -> None:
        """Delete a stored image, if it is there. Raises MediaUnavailableError."""
        await self._store.delete(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _checked(self, link: SignedLink) -> str:
        """The media type of what a good link leads to."""
        self._signer.check(link, self._clock())
        match = _NAME.fullmatch(link.name)
        if match is None:
            raise MediaNotFoundError
        return _media_type(match[1])

    async def _link(self, name: str, *, presigned: bool | None = None) -> HostedImage:
        expires_at = int(self._clock()) + self._lives.link
        if self._presigned if presigned is None else presigned:
            return HostedImage(name, await self._store.sign(self._path(name), self._lives.link), expires_at)
        return HostedImage(name, self._signer.sign(name, expires_at).path, expires_at)

    async def _sweep(self) -> None:
        """Delete what no link can reach any more, now and then; what cannot be deleted keeps nobody from storing."""
        now = self._clock()
        if now < self._next_sweep:
            return
        self._next_sweep = now + _SWEEP_SECONDS
        try:
            await self._delete_old(now)
        except MediaUnavailableError as error:
            _logger.warning("old images cannot be deleted", reason=type(error.__cause__).__name__)

    async def _delete_old(self, now: float) -> None:
        async for stored in self._store.walk(self._prefix):
            longer = stored.name.rpartition("/")[2].startswith(_LONGER)
            lives = max(self._lives.link, self._lives.longer) if longer else self._lives.link
            # A margin after the end: a read that began just before it goes on.
            if stored.modified_at + lives + _SPARED_SECONDS < now:
                await self._store.delete(stored.name)


def _new_name(format_: str, *, longer: bool) -> str:
    # Random, not a hash of the image: a hash would let anybody with the image find whose it was.
    return f"{_LONGER if longer else ''}{secrets.token_hex(16)}.{format_}"


def _media_type(format_: str) -> str:
    return "image/svg+xml" if format_ == "svg" else f"image/{format_}"


def _found(link: SignedLink, media_type: str, stored: StoredBytes) -> FoundImage:
    return FoundImage(link.name, media_type, stored.size, stored.modified_at, link.expires_at)
