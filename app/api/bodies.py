"""The body of an image request: a place in memory for it, its bytes, and what they ask for.

Owns the bounds on what is read. The wire format is `openai_api`'s, the count of bytes in flight `access.admission`'s.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

from starlette.requests import Request

from app.access.admission import MemoryBudget, Ticket
from app.catalog.modes import Mode
from app.domain.context import RequestContext
from app.domain.request import IgnoredField, ImageRequest, UploadedImage
from app.domain.values import replace
from app.domain.words import JSONValue
from app.errors import InvalidRequestError, OverloadedError
from app.images.hashing import ImageHash
from app.openai_api.defaults import with_defaults
from app.openai_api.input_images import FilePart
from app.openai_api.json_body import INLINE_BYTES, MAX_STRUCTURE, StructureGuard, decode_object
from app.openai_api.multipart import FormParser
from app.openai_api.parse import RequestParser
from app.openai_api.pieces import Pieces
from app.server.body import body_at_hand, read_body
from app.server.delivery import state_of
from app.settings.groups import ImageSettings, UpstreamSettings
from app.settings.server import ServerSettings

_FORMS = _FORM, _PAGE_FORM = b"multipart/form-data", b"application/x-www-form-urlencoded"
_LOOK_SECONDS = 0.5
"""How often it is looked whether a caller is still there."""
_JSON_COPIES = 3
"""While JSON with base64 is read there are its text, the text of its images, and their bytes."""


Fields = Mapping[str, JSONValue]
NO_DEFAULTS: Fields = {}


class _Asked(NamedTuple):
    """By what and for which endpoint a body is read, and what is said elsewhere."""

    parser: RequestParser
    mode: Mode
    deployment: str | None
    """What an address of Azure's form names as the model."""
    defaults: Fields
    """What its key says where the body is silent."""


class BodyReader:
    """Reads the bodies of image requests, each after it got a place."""

    def __init__(
        self,
        memory: MemoryBudget,
        server: ServerSettings,
        images: ImageSettings,
        upstream: UpstreamSettings,
        image_hash: ImageHash,
    ) -> None:
        self._memory, self._parser, self._image_hash = memory, RequestParser(image_hash), image_hash
        self._body_bytes, self._image_bytes = server.max_body_bytes, images.max_image_bytes
        self._longest_wait = upstream.request_timeout

    async def read_request(
        self, request: Request, context: RequestContext, mode: Mode, defaults: Fields = NO_DEFAULTS
    ) -> tuple[ImageRequest, Ticket]:
        """What a body asks for, and its place, which is the caller's to give back.

        The place is waited for as long as the caller waits, while the body is unread. Raises OverloadedError,
        InvalidRequestError, and what `read_body` raises.
        """
        state = state_of(request.scope)
        kind = state.headers.get(b"content-type", b"").lower()
        ticket = self._memory.take_body(context.tenant, _weigh(state.headers, kind, self._body_bytes))
        try:
            if ticket.waits:
                await self._wait_turn(request, ticket, context.wait or self._longest_wait)
            named = request.scope.get("path_params")
            asked = _Asked(self._parser, mode, named.get("deployment") if named else None, defaults)
            has_form = kind.startswith(_FORMS)
            body = None if has_form else body_at_hand(state, min(self._body_bytes, INLINE_BYTES))
            understood = await self._read(request, asked, kind) if body is None else _understand(asked, body)
        except BaseException:
            ticket.release()
            raise
        # The body is freed by now; what still counts are the images in it.
        ticket.resize(_weigh_images(understood))
        return understood, ticket

    async def _wait_turn(self, request: Request, ticket: Ticket, wait: float) -> None:
        """Wait as long as the caller does, raising OverloadedError afterwards."""
        until = time.monotonic() + wait
        turn = asyncio.ensure_future(ticket.wait_turn())
        try:
            while not turn.done():
                # Looked at while it waits: the server does not notice who leaves as long as the body lies unread.
                if time.monotonic() >= until or state_of(request.scope).has_left():
                    self._memory.bodies.refused += 1
                    raise OverloadedError
                await asyncio.wait({turn}, timeout=_LOOK_SECONDS)
        finally:
            turn.cancel()

    async def _read(self, request: Request, asked: _Asked, kind: bytes) -> ImageRequest:
        if kind.startswith(_PAGE_FORM):
            message = "Send JSON with Content-Type: application/json, or a multipart form."
            raise InvalidRequestError(message, param="body", code="unsupported_content_type")
        chunks = read_body(request, self._body_bytes)
        # Whatever else it calls itself is read as JSON: some clients send no type, or text/plain.
        return await (self._read_form(request, asked, chunks) if kind.startswith(_FORM) else _read_json(asked, chunks))

    async def _read_form(self, request: Request, asked: _Asked, chunks: AsyncIterator[bytes]) -> ImageRequest:
        with closing(FormParser(request.headers["content-type"], self._image_bytes, self._image_hash)) as parser:
            async for chunk in chunks:
                parser.feed(chunk)
            if parser.unread_bytes <= INLINE_BYTES:
                return _understand_form(asked, parser)
            return await asyncio.to_thread(_understand_form, asked, parser)


def _weigh_images(understood: ImageRequest) -> int:
    """Bytes of images that came with a request."""
    if not understood.images and understood.mask is None and understood.markup is None:
        return 0
    images = [*understood.images, understood.mask, understood.markup]
    return sum(len(image.content) for image in images if isinstance(image, UploadedImage))


def _weigh(headers: Mapping[bytes, bytes], kind: bytes, limit: int) -> int:
    """What reading a body takes; one that does not say how large it is may be as large as any."""
    announced = headers.get(b"content-length", b"")
    is_sized = announced.isdigit() and b"content-encoding" not in headers
    size = min(int(announced), limit) if is_sized else limit
    return size if kind.startswith(b"multipart/") else size * _JSON_COPIES


async def _read_json(asked: _Asked, chunks: AsyncIterator[bytes]) -> ImageRequest:
    pieces, guard = Pieces(), StructureGuard()
    async for chunk in chunks:
        # Judged as it arrives: a body made to be deep or crowded is refused before it is held whole.
        guard.feed(chunk)
        pieces.add(chunk)
    if pieces.size <= INLINE_BYTES:
        return _parse(asked, decode_object(pieces.join()))
    return await asyncio.to_thread(_understand_json, asked, pieces)


def _understand_json(asked: _Asked, pieces: Pieces) -> ImageRequest:
    # The body goes as soon as it is decoded: large images are not kept twice.
    return _parse(asked, decode_object(pieces.join()))


def _understand(asked: _Asked, body: bytes | bytearray) -> ImageRequest:
    if len(body) > MAX_STRUCTURE:  # a shorter one cannot hold too many values
        StructureGuard().feed(body)
    return _parse(asked, decode_object(body))


def _understand_form(asked: _Asked, parser: FormParser) -> ImageRequest:
    form = parser.finish()
    return _parse(asked, form.fields, form.files)


def _parse(asked: _Asked, fields: Fields, files: Sequence[FilePart] = ()) -> ImageRequest:
    """What is asked for; an address of Azure's form names the model, and another one in the body is reported."""
    deployment, named = asked.deployment, fields.get("model")
    own = fields if deployment is None else {**fields, "model": deployment}
    completed = with_defaults(own, files, asked.defaults)
    understood = asked.parser.parse(asked.mode, completed, files)
    if completed is not own:
        # What the caller itself said: nothing else is reported to it as adjusted.
        added = completed.keys() - {name for name, value in own.items() if value is not None and value != ""}
        understood = replace(understood, given=understood.given - added)
    if deployment is None or named is None or named in ("", deployment):
        return understood
    ignored = IgnoredField("model", named, "The address of the request names the model.")
    return replace(understood, ignored=(*understood.ignored, ignored))
