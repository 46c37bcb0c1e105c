"""Reads images behind links that this gateway gave out from its own store: nobody else may be able to reach them.

Of links of its own the signature is judged here; of presigned ones the store judges when it is asked.
"""

from app.egress.address_guard import FetchError
from app.egress.download import ResultFetcher
from app.egress.http_get import TooManyBytesError
from app.errors import StorageError
from app.generation.image_work import bad_image, too_large
from app.media.errors import LinkEndedError, MediaNotFoundError, MediaUnavailableError
from app.media.store import MediaStore

_FAULTS = 500
_ENDED = "is a link of this gateway that has ended"


class OwnLinks:
    """Images of up to `max_bytes` by their links; `fetcher` reaches the store."""

    def __init__(self, store: MediaStore, fetcher: ResultFetcher, max_bytes: int) -> None:
        self._store = store
        self._fetcher = fetcher
        self._max_bytes = max_bytes

    async def read_own(self, param: str, url: str) -> bytes | None:
        """The image behind a link; None for any other address.

        Raises InvalidRequestError for a link that has ended, StorageError where the store does not answer.
        """
        # Asked of every address: only the store can tell a link of ours, whatever name the gateway is reached by.
        try:
            stored = await self._store.find_link(url)
            if stored is None:
                return await self._read_presigned(param, url) if await self._store.leads_to_store(url) else None
            if stored.found.size > self._max_bytes:
                raise too_large(param, self._max_bytes)
            return b"".join([chunk async for chunk in stored.chunks])
        except (LinkEndedError, MediaNotFoundError):
            raise bad_image(param, _ENDED) from None
        except MediaUnavailableError:
            raise StorageError from None

    async def _read_presigned(self, param: str, url: str) -> bytes:
        try:
            return await self._fetcher.fetch_result(url, self._max_bytes)
        except TooManyBytesError:
            raise too_large(param, self._max_bytes) from None
        except FetchError as error:
            if error.status is None or error.status >= _FAULTS:
                raise StorageError from None
            # The store looked at the signature: it has ended, was changed, or the image is gone.
            raise bad_image(param, _ENDED) from None
