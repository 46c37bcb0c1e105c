"""Uploads input images to Runware and deletes them, so that several tasks can name one instead of each carrying it.

An upload is a convenience: when it fails, the image goes with each task. Leaves the choice of images to `generation`.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from app.observability.logs import get_logger
from app.runware.keys import RunwareKey
from app.runware.tasks import InlineImage, encode, encode_data_uri
from app.runware.transport import Transport, TransportError

_logger = get_logger("runware")
_SECONDS = 60.0
_OK = 200


@dataclass(frozen=True, slots=True)
class UploadedImage:
    """An image at Runware: the address tasks name it by, and the id it is deleted by."""

    media_uuid: str
    url: str


class _Item(msgspec.Struct, rename="camel"):
    media_uuid: str | None = msgspec.field(default=None, name="mediaUUID")
    media_url: str | None = msgspec.field(default=None, name="mediaURL")


class _Envelope(msgspec.Struct):
    data: list[_Item] | _Item | None = None


_decoder = msgspec.json.Decoder(_Envelope)


class MediaStorage:
    """Runware's `mediaStorage` task. `new_id` gives version 4 UUIDs."""

    def __init__(self, transport: Transport, new_id: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        self._transport = transport
        self._new_id = new_id
        self._running: set[asyncio.Task[None]] = set()

    async def upload_image(self, image: InlineImage, key: RunwareKey) -> UploadedImage | None:
        """The image at Runware, or None when Runware did not take it."""
        task = {"taskType": "mediaStorage", "taskUUID": self._new_id(), "operation": "upload"}
        # Base64 of a large image would hold up the event loop.
        body = await asyncio.to_thread(lambda: encode([task | {"media": encode_data_uri(image)}]))
        try:
            answer = await self._transport.post(body, key, _SECONDS)
            items = _decoder.decode(answer.body).data if answer.status == _OK else None
        # No retry: sending the image with each task costs bytes, waiting for another attempt costs the caller time.
        except (TransportError, msgspec.MsgspecError, UnicodeDecodeError):
            items = None
        for item in items if isinstance(items, list) else [items]:
            if item is not None and item.media_uuid and item.media_url:
                return UploadedImage(item.media_uuid, item.media_url)
        _logger.warning("Runware did not store an input image; it is sent with each task instead")
        return None

    def delete_image(self, image: UploadedImage, key: RunwareKey) -> None:
        """Delete an image in the background; one that cannot be deleted is only logged."""
        running = asyncio.create_task(self._delete(image, key))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Wait for what is still being deleted."""
        # Input images are the callers' own: they are not left at Runware when the process ends.
        if self._running:
            await asyncio.wait(self._running, timeout=_SECONDS)

    async def _delete(self, image: UploadedImage, key: RunwareKey) -> None:
        uuid_, media = self._new_id(), image.media_uuid
        task = {"taskType": "mediaStorage", "taskUUID": uuid_, "operation": "delete", "media": media}
        try:
            answer = await self._transport.post(encode([task]), key, _SECONDS)
        except TransportError:
            answer = None
        if answer is None or answer.status != _OK:
            _logger.warning("an input image could not be deleted at Runware", media=media)
