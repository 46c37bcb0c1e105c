"""Hosted images, behind signed links that end. No key is asked for: the link is the permission."""

import re

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.errors import NotFoundError
from app.media.store import MediaNotFoundError, MediaStore

_SECONDS = re.compile(r"[0-9]{1,12}")


class MediaRoutes:
    """`/media/…`."""

    def __init__(self, store: MediaStore) -> None:
        self._store = store

    async def get_media(self, request: Request) -> Response:
        """An image this gateway made."""
        query = request.query_params
        expires, signature = query.get("expires", ""), query.get("signature", "")
        name = str(request.path_params["name"])
        ends = int(expires) if _SECONDS.fullmatch(expires) else 0
        try:
            stored = await self._store.get_hosted(name, ends, signature)
        except MediaNotFoundError:
            # One answer for a wrong signature, an ended link and no image: nobody learns which names exist.
            raise NotFoundError("There is no such image, or its link has ended.", code="media_not_found") from None
        headers = {
            "Content-Length": str(stored.size),
            "Cache-Control": "private, max-age=3600, immutable",
            "X-Content-Type-Options": "nosniff",
            # An SVG may contain scripts; opened from this origin they would run with its rights.
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        }
        return StreamingResponse(stored.chunks, media_type=stored.media_type, headers=headers)
