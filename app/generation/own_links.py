"""Reads images behind links this gateway signed from its own store: nobody else may be able to reach them."""

from app.generation.image_work import bad_image, too_large
from app.media.errors import LinkEndedError, MediaNotFoundError
from app.media.store import MediaStore


class OwnLinks:
    """Images of up to `max_bytes` by their links."""

    def __init__(self, store: MediaStore, max_bytes: int) -> None:
        self._store = store
        self._max_bytes = max_bytes

    async def read_own(self, param: str, url: str) -> bytes | None:
        """The image behind a link; None for any other address. Raises InvalidRequestError for a link that has ended."""
        # Asked of every address: only the store can tell a link of ours, whatever name the gateway is reached by.
        try:
            stored = await self._store.find_link(url)
        except (LinkEndedError, MediaNotFoundError):
            raise bad_image(param, "is a link of this gateway that has ended") from None
        if stored is None:
            return None
        if stored.found.size > self._max_bytes:
            raise too_large(param, self._max_bytes)
        return b"".join([chunk async for chunk in stored.chunks])
