"""The body of an image request: a place in memory for it, its bytes, and what they ask for.

Owns the bounds on what is read. The wire format is `openai_api`'s, the count of bytes in flight `access.admission`'s.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass

from starlette.requests import Request

from app.access.admission import MemoryBudget, Ticket
from app.catalog.modes import Mode
from app.domain.context import RequestContext
from app.domain.request import IgnoredField, ImageRequest, UploadedImage
from app.domain.values import replace
from app.domain.words import JSONValue
from app.errors import InvalidRequestError, OverloadedError
from app.openai_api.defaults import with_defaults
from app.openai_api.input_images import FilePart
from app.openai_api.json_body import INLINE_BYTES, StructureGuard, decode_object
from app.openai_api.multipart import FormParser
from app.openai_api.parse import parse_request
from app.openai_api.pieces import Pieces
from app.server.body import read_body
from app.server.delivery import state_of
from app.settings.groups import ImageSettings, UpstreamSettings
from app.settings.server import ServerSettings

_LOOK_SECONDS = 0.5
"""How often it is looked whether a caller is still there."""
_JSON_COPIES = 3
"""While JSON with base64 is read there are its text, the text of its images, and their bytes."""


Fields = Mapping[str, JSONValue]
NO_DEFAULTS: Fields = {}


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose body is read, for which endpoint, and what its key says where it is silent."""

    request: Request
    mode: Mode
    defaults: Fields


class BodyReader:
    """Reads the bodies of image requests, each after it got a place."""

    def __init__(
        self, memory: MemoryBudget, server: ServerSettings, images: ImageSettings, upstream: UpstreamSettings
    ) -> None:
        self._memory = memory
        self._body_bytes, self._image_bytes = server.max_body_bytes, images.max_image_bytes
        self._longest_wait = upstream.request_timeout

    def admit_body(self, request: Request, context: RequestContext) -> AbstractAsyncContextManager[Ticket]:
        """A place for the body of `request`, waited for as long as its caller waits, while it is unread.

        The place is given back only when the block fails: otherwise it goes with the answer. Raises OverloadedError.
        """
        return _Admitted(self, request, context)

    async def take_place(self, request: Request, context: RequestContext) -> Ticket:
        """See `admit_body`."""
        ticket = self._memory.take_body(context.tenant, _weigh(request, self._body_bytes))
        if ticket.waits:
            try:
                await self._wait_turn(request, ticket, context.wait or self._longest_wait)
            except BaseException:
                ticket.release()
                raise
        return ticket

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

    async def read_request(
        self, request: Request, mode: Mode, ticket: Ticket, defaults: Fields = NO_DEFAULTS
    ) -> ImageRequest:
        """What a body asks for, raising InvalidRequestError and what `read_body` raises."""
        understood = await self._understand(_Asked(request, mode, defaults))
        # The body is freed by now; what still counts are the images in it.
        held = _weigh_images(understood)
        if held != ticket.weight:
            ticket.resize(held)
        return understood

    async def _understand(self, asked: _Asked) -> ImageRequest:
        request = asked.request
        content_type = request.headers.get("content-type", "")
        chunks = read_body(request, self._body_bytes)
        kind = content_type.lower()
        if kind.startswith("multipart/form-data"):
            return await self._read_form(asked, chunks)
        if kind.startswith("application/x-www-form-urlencoded"):
            message = "Send JSON with Content-Type: application/json, or a multipart form."
            raise InvalidRequestError(message, param="body", code="unsupported_content_type")
        # Whatever else it calls itself is read as JSON: some clients send no type, or text/plain.
        return await _read_json(asked, chunks)

    async def _read_form(self, asked: _Asked, chunks: AsyncIterator[bytes]) -> ImageRequest:
        with closing(FormParser(asked.request.headers["content-type"], self._image_bytes)) as parser:
            async for chunk in chunks:
                parser.feed(chunk)
            if parser.text_bytes <= INLINE_BYTES:
                return _understand_form(asked, parser)
            return await asyncio.to_thread(_understand_form, asked, parser)


class _Admitted:
    """A body with its place. No generator: it stands on the hot path, and costs a third of one."""

    __slots__ = ("_context", "_reader", "_request", "_ticket")

    def __init__(self, reader: BodyReader, request: Request, context: RequestContext) -> None:
        self._reader, self._request, self._context = reader, request, context
        self._ticket: Ticket | None = None

    async def __aenter__(self) -> Ticket:
        self._ticket = await self._reader.take_place(self._request, self._context)
        return self._ticket

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._ticket is not None:
            self._ticket.release()


def _weigh_images(understood: ImageRequest) -> int:
    """Bytes of images that came with a request."""
    images = [*understood.images, understood.mask, understood.markup]
    return sum(len(image.data) for image in images if isinstance(image, UploadedImage))


def _weigh(request: Request, limit: int) -> int:
    """What reading a body takes; one that does not say how large it is may be as large as any."""
    announced = request.headers.get("content-length", "")
    is_sized = announced.isdecimal() and "content-encoding" not in request.headers
    size = min(int(announced), limit) if is_sized else limit
    is_form = request.headers.get("content-type", "").lower().startswith("multipart/")
    return size if is_form else size * _JSON_COPIES


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


def _understand_form(asked: _Asked, parser: FormParser) -> ImageRequest:
    form = parser.finish()
    return _parse(asked, form.fields, form.files)


def _parse(asked: _Asked, fields: Fields, files: Sequence[FilePart] = ()) -> ImageRequest:
    """What is asked for; an address of Azure's form names the model, and another one in the body is reported."""
    deployment = asked.request.path_params.get("deployment")
    named = fields.get("model")
    own = fields if deployment is None else {**fields, "model": str(deployment)}
    completed = with_defaults(own, files, asked.defaults)
    understood = parse_request(asked.mode, completed, files)
    if completed is not own:
        # What the caller itself said: nothing else is reported to it as adjusted.
        added = completed.keys() - {name for name, value in own.items() if value is not None and value != ""}
        understood = replace(understood, given=understood.given - added)
    if deployment is None or named is None or named in ("", deployment):
        return understood
    ignored = IgnoredField("model", named, "The address of the request names the model.")
    return replace(understood, ignored=(*understood.ignored, ignored))
