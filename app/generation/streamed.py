"""Passes an image from Runware into the store while it comes: a part of it is in memory, never the whole.

Its header and its end are read on the way, so that label and size are what the bytes are, and a broken image is not
stored. An image of another format than was asked for is gathered instead, to be converted. Leaves fetching to
`egress.download`.
"""

from collections.abc import AsyncIterator

from app.domain.words import ImageFormat
from app.generation.made_image import broken_image, is_measured, whole_ends
from app.images.headers import HEAD_BYTES, read_header
from app.images.types import Header
from app.jobs.shelf import ImageShelf, Owner
from app.media.store import HostedImage

_TAIL_BYTES = 1024


class StreamedImage:
    """One image on its way, which may be asked for several times until all of it has come.

    Afterwards it is `hosted` with its `header`, or its bytes are `data`.
    """

    def __init__(self, shelf: ImageShelf, wanted: ImageFormat, owner: Owner) -> None:
        self._shelf = shelf
        self._wanted = wanted
        self._owner = owner
        self.header: Header | None = None
        self.hosted: HostedImage | None = None
        self.data = b""

    async def take(self, chunks: AsyncIterator[bytes]) -> None:
        """Take the bytes of one attempt, raising ProviderError for what is no whole image, or MediaUnavailableError."""
        head = bytearray()
        async for chunk in chunks:
            head += chunk
            if len(head) >= HEAD_BYTES:
                break
        header = read_header(bytes(head))
        if header is None or header.format != self._wanted.value or not is_measured(header):
            # Whoever converts or refuses it needs all of it.
            async for chunk in chunks:
                head += chunk
            self.data = bytes(head)
            return
        passing = _watched(bytes(head), chunks)
        self.hosted = await self._shelf.host_stream(passing, self._wanted.value, self._owner)
        self.header = header


async def _watched(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """All bytes as they come; raises ProviderError behind the last of an image that is not whole."""
    tail, size = head[-_TAIL_BYTES:], len(head)
    yield head
    async for chunk in chunks:
        tail, size = (tail + chunk[-_TAIL_BYTES:])[-_TAIL_BYTES:], size + len(chunk)
        yield chunk
    # Before the store is told that this was all: what is raised here keeps it from storing anything.
    if not whole_ends(head, tail, size):
        raise broken_image()
