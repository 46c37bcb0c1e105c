"""Hosted images, behind signed links that end. No key is asked for: the link is the permission."""

import time
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.api.ranges import UnsatisfiableRangeError, find_range, has_already, http_date
from app.errors import ForbiddenError, GoneError, NotFoundError, RangeError, StorageError
from app.media.errors import LinkEndedError, LinkForgedError, MediaNotFoundError, MediaUnavailableError
from app.media.links import SignedLink, read_link
from app.media.store import FoundImage, MediaStore
from app.openai_api.render import error_headers, render_error

_FORGED = "This link was not signed by this gateway, or was changed since. Use it as it was given out."
_ENDED = "This link has ended. Ask for the result of its request again to get another one."


class MediaRoutes:
    """`/media/…`. `clock` is unix seconds."""

    def __init__(self, store: MediaStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    async def get_media(self, request: Request) -> Response:
        """An image this gateway made, or a part of it."""
        query = request.query_params
        name = str(request.path_params["name"])
        link = read_link(name, query.get("expires", ""), query.get("signature", ""))
        if link is None:
            raise ForbiddenError(_FORGED, code="link_forged")
        try:
            return await self._answer(request.method, request.headers, link)
        except LinkForgedError:
            # Says nothing of the name: only who has a link of ours learns whether there is an image.
            raise ForbiddenError(_FORGED, code="link_forged") from None
        except LinkEndedError:
            raise GoneError(_ENDED) from None
        except MediaNotFoundError:
            raise NotFoundError("The image behind this link was deleted.", code="media_not_found") from None
        except MediaUnavailableError:
            raise StorageError from None

    async def _answer(self, method: str, headers: Mapping[str, str], link: SignedLink) -> Response:
        tag = _tag(link)
        # Most readers want all of it: one question to the store is enough for them.
        if method == "GET" and not {"range", "if-none-match"} & set(headers):
            stored = await self._store.open_hosted(link)
            return self._send(stored.found, tag, StreamingResponse(stored.chunks))
        found = await self._store.head_hosted(link)
        if has_already(headers, tag):
            return self._send(found, tag, Response(status_code=304), size=None)
        if method == "HEAD":
            return self._send(found, tag, Response())
        try:
            part = find_range(headers, found.size, tag, found.modified_at)
        except UnsatisfiableRangeError:
            error = RangeError(found.size)
            told = {**error_headers(error), "Content-Range": f"bytes */{found.size}"}
            return Response(render_error(error), error.status, told, media_type="application/json")
        if part is None:
            return self._send(found, tag, StreamingResponse((await self._store.open_hosted(link)).chunks))
        stored = await self._store.open_hosted(link, *part)
        answer = StreamingResponse(stored.chunks, 206, {"Content-Range": f"bytes {part[0]}-{part[1] - 1}/{found.size}"})
        return self._send(found, tag, answer, size=part[1] - part[0])

    def _send(self, found: FoundImage, tag: str, answer: Response, size: int | None = -1) -> Response:
        """The answer with what is said of an image, `size` bytes of it: all unless it says otherwise."""
        left = max(0, int(found.expires_at - self._clock()))
        said = {
            "Content-Type": found.media_type,
            # Nobody shows it longer than its link lives; and it never changes.
            "Cache-Control": f"private, max-age={left}, immutable",
            "ETag": tag,
            "Last-Modified": http_date(found.modified_at),
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'inline; filename="{_file_name(found.name)}"',
            "X-Content-Type-Options": "nosniff",
            # An SVG may contain scripts; opened from this origin they would run with its rights.
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        }
        if size is not None:
            said["Content-Length"] = str(found.size if size < 0 else size)
        answer.headers.update(said)
        return answer


def _tag(link: SignedLink) -> str:
    # The name says it: what lies under one never changes, whichever store or copy of it answers.
    return f'"{link.name.partition(".")[0]}"'


def _file_name(name: str) -> str:
    """What a browser saves an image as."""
    stem, _, format_ = name.partition(".")
    return f"image-{stem[-8:]}.{'jpg' if format_ == 'jpeg' else format_}"
