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

_NAME = re.compile(r"k?[0-9a-f]{32}\.(png|jpeg|webp|gif|avif|svg)")
# What S3, Google Cloud Storage and Azure call the signature in the addresses they sign.
_SIGNED = re.compile(r"(?:^|&)(?:X-Amz-Signature|X-Goog-Signature|Signature|sig)=", re.IGNORECASE)
# How the name of an image begins that outlives its link.
_LONGER = "k"
_NOWHERE = "readyz"
"""Nothing is called so: that it is not there is the answer of a store that works."""
LONGEST_PRESIGNED = 7 * 86_400
_ANY_SECONDS = 60


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


class MediaStore:
    """Stores images below `prefix` and hands them out against links. `clock` is unix seconds, by which links end.

    They are dated by `dates`, which is the same clock unless said otherwise. Where `presigned`, links lead to the
    object store itself.
    """

    def __init__(
        self,
        store: ObjectStore,
        prefix: str,
        signer: LinkSigner,
        clock: Callable[[], float] = time.time,
        *,
        presigned: bool = False,
        dates: Callable[[], float] | None = None,
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._signer = signer
        self._clock = clock
        self._dates = dates or clock
        self._presigned = presigned

    def path_of(self, name: str) -> str:
        """Where an image lies in the store."""
        return f"{self._prefix}/{name}"

    async def is_available(self, seconds: float) -> bool:
        """Whether the store answers within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._store.head(self.path_of(_NOWHERE))
        except MediaNotFoundError:
            return True
        except (MediaUnavailableError, TimeoutError):
            return False
        return True

    async def put(self, name: str, data: bytes) -> None:
        """Store an image under a name of `new_name`, raising MediaUnavailableError."""
        await self._store.put(self.path_of(name), data, _media_type(name))

    async def put_stream(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Store an image as its bytes come; nothing is stored where `chunks` raises, and that is raised.

        Raises MediaUnavailableError.
        """
        await self._store.put_stream(self.path_of(name), chunks, _media_type(name))

    async def link_to(self, name: str, seconds: int) -> HostedImage:
        """A link to an image that was just stored, which lives so long."""
        return await self._link(name, seconds, presigned=self._presigned)

    async def renew_link(self, name: str, url: str, seconds: int) -> HostedImage:
        """Another link to the image that was given out under `url`, raising MediaNotFoundError."""
        await self._store.head(self.path_of(name))
        return await self._link(name, seconds, presigned=self._presigned or MEDIA_PATH not in url)

    async def head_hosted(self, link: SignedLink) -> FoundImage:
        """What is known of the image behind a link.

        Raises LinkForgedError, LinkEndedError, MediaNotFoundError or MediaUnavailableError.
        """
        media_type = self._checked(link)
        return _found(link, media_type, await self._store.head(self.path_of(link.name)))

    async def open_hosted(self, link: SignedLink, start: int = 0, end: int | None = None) -> StoredImage:
        """The image behind a link, with an `end` only a part of it, raising what `head_hosted` raises."""
        media_type = self._checked(link)
        opened = await self._store.get(self.path_of(link.name), start, end)
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
        given = urlsplit(url)
        name = given.path.rpartition("/")[2]
        path = self.path_of(name)
        # Looked at first: to sign, a store may have to ask its service for keys.
        if not (_NAME.fullmatch(name) and given.path.endswith(f"/{path}") and _SIGNED.search(given.query)):
            return False
        signed = await self._store.try_sign(path, _ANY_SECONDS)
        if signed is None:
            return False
        own = urlsplit(signed)
        return (own.scheme, own.netloc, own.path) == (given.scheme, given.netloc, given.path)

    async def read_image(self, name: str) -> memoryview:
        """The bytes of a stored image, raising MediaNotFoundError or MediaUnavailableError."""
        return await self._store.read(self.path_of(name))

    def _checked(self, link: SignedLink) -> str:
        """The media type of what a good link leads to."""
        self._signer.check(link, self._clock())
        if not _NAME.fullmatch(link.name):
            raise MediaNotFoundError
        return _media_type(link.name)

    async def _link(self, name: str, seconds: int, *, presigned: bool) -> HostedImage:
        # Longer no object store signs for.
        seconds = min(seconds, LONGEST_PRESIGNED) if presigned else seconds
        expires_at = int(self._dates()) + seconds
        if presigned:
            return HostedImage(name, await self._store.sign(self.path_of(name), seconds), expires_at)
        return HostedImage(name, self._signer.sign(name, expires_at).path, expires_at)


def new_name(format_: str, *, longer: bool = False) -> str:
    """A name that nobody can guess; `longer` for an image that outlives its link."""
    # Random, not a hash of the image: a hash would let anybody with the image find whose it was.
    return f"{_LONGER if longer else ''}{secrets.token_hex(16)}.{format_}"


def outlives_link(path: str) -> bool:
    """Whether what lies there was stored to outlive its link."""
    return path.rpartition("/")[2].startswith(_LONGER)


def _media_type(name: str) -> str:
    format_ = name.rpartition(".")[2]
    return "image/svg+xml" if format_ == "svg" else f"image/{format_}"


def _found(link: SignedLink, media_type: str, stored: StoredBytes) -> FoundImage:
    return FoundImage(link.name, media_type, stored.size, stored.modified_at, link.expires_at)
