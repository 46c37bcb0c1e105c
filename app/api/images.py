"""The two image endpoints: bytes in, understood by `openai_api`, carried out by `generation`, bytes out."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.context import Gateway, context_of, gateway_of, prefers_background, wants_dry_run
from app.api.memory import HoldingResponse, admit_body, weigh_images
from app.api.receipts import track_delivery
from app.catalog.model import Mode
from app.domain.request import IgnoredField, ImageRequest, JSONValue, RequestContext
from app.errors import GatewayError, InvalidRequestError, StillProcessingError
from app.generation.service import Part, Stream
from app.journal.records import Receipt
from app.observability.logs import get_logger
from app.openai_api.events import KEEP_ALIVE, render_completed, render_failed
from app.openai_api.input_images import FilePart
from app.openai_api.json_body import INLINE_BYTES, StructureGuard, decode_object
from app.openai_api.multipart import FormParser
from app.openai_api.parse import parse_request
from app.openai_api.render import Chunk, answer_headers, model_headers, render_answer, render_dry_run
from app.openai_api.request_log import render_record
from app.server.body import read_body
from app.server.delivery import DeliveryTracker, cancel_on_disconnect

_logger = get_logger("images")
_ACCEPTED = 202
_CLIENT_GONE = 499
"""What the log says of a caller who did not wait; nobody reads the answer."""
_JOINED_BYTES = 16_384
"""Up to here one write is cheaper than several."""


class PiecewiseResponse(Response):
    """A JSON body in pieces, sent one after the other; large ones are never joined."""

    media_type = "application/json"

    def __init__(
        self, chunks: Sequence[Chunk], headers: dict[str, str], delivery: DeliveryTracker, status: int = 200
    ) -> None:
        self._delivery = delivery
        self.held_bytes = length = sum(len(chunk) for chunk in chunks)
        self._chunks = [b"".join(chunks)] if length <= _JOINED_BYTES else chunks
        super().__init__(None, status, headers={**headers, "content-length": str(length)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and every piece, and note whether the caller was there until the end."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        last = len(self._chunks) - 1
        for index, chunk in enumerate(self._chunks):
            # Before the last piece: afterwards the server reports every connection as ended.
            if index == last:
                await self._delivery.look(receive)
            await send({"type": "http.response.body", "body": chunk, "more_body": index < last})
        self._delivery.say(scope)


class EventResponse(Response):
    """Server-sent events. If the caller disconnects, the work behind them goes on."""

    media_type = "text/event-stream"

    def __init__(self, mode: Mode, stream: Stream, delivery: DeliveryTracker) -> None:
        self._mode, self._stream, self._delivery = mode, stream, delivery
        headers = model_headers(stream.model.id, stream.adjustments) | {"Cache-Control": "no-cache"}
        super().__init__(None, headers={**headers, "X-Accel-Buffering": "no"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head at once, then every event when it comes."""
        if await cancel_on_disconnect(receive, self._send(send)) is None:
            self._delivery.lacks()
        self._delivery.say(scope)

    async def _send(self, send: Send) -> bool:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = self._stream.count
        async for part in self._stream.parts:
            chunks = self._render(part)
            if isinstance(part, StillProcessingError):  # its images come later, to whoever asks again
                self._delivery.lacks()
            left -= len(part.answer.images) if isinstance(part, Part) else 0
            for index, chunk in enumerate(chunks):
                more = left > 0 or index < len(chunks) - 1  # ends with the last image: nothing stays unread
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
            if left <= 0:
                return True
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return True

    def _render(self, part: Part | GatewayError | None) -> list[Chunk]:
        if part is None:
            return [KEEP_ALIVE]
        if isinstance(part, GatewayError):
            return [render_failed(part)]
        images = enumerate(part.answer.images, part.first_index)
        return [chunk for index, image in images for chunk in render_completed(self._mode, part.answer, image, index)]


async def create_image(request: Request) -> Response:
    """Images from text, on some models guided by other images."""
    return await _answer(request, Mode.GENERATE)


async def edit_image(request: Request) -> Response:
    """Images changed as the prompt says, from a form or from JSON."""
    return await _answer(request, Mode.EDIT)


async def refuse_variation(_: Request) -> Response:
    """Variations are retired; say what to use instead."""
    message = "Variations are retired: send the image to /v1/images/edits with a prompt."
    raise InvalidRequestError(message, code="unsupported_endpoint")


async def _answer(request: Request, mode: Mode) -> Response:
    gateway = gateway_of(request)
    tenant = gateway.keys.check(request.headers)
    context = context_of(request, gateway, tenant)
    limit, wait = gateway.settings.max_body_bytes, context.wait or gateway.settings.request_timeout
    async with admit_body(request, gateway.memory, tenant, limit=limit, wait=wait) as ticket:
        understood = await _read(request, mode, gateway)
        # The body is gone by now; what still counts are the images in it.
        ticket.resize(weigh_images(understood))
        if understood.user is not None:
            _logger.info("user", id=context.request_id, user=understood.user)
        try:
            response = await _answer_understood(request, mode, understood, context)
        except GatewayError as error:
            error.rename_fields(understood.names)
            raise
        ticket.resize(response.held_bytes if isinstance(response, PiecewiseResponse) else 0)
        return HoldingResponse(response, ticket)


async def _answer_understood(
    request: Request, mode: Mode, understood: ImageRequest, context: RequestContext
) -> Response:
    gateway = gateway_of(request)
    if wants_dry_run(request):
        dry_run = await gateway.images.estimate(understood, context)
        return Response(
            await asyncio.to_thread(render_dry_run, dry_run),
            headers=model_headers(dry_run.model.id, dry_run.adjustments),
            media_type="application/json",
        )
    if understood.stream:
        stream = await gateway.images.stream(understood, context)
        _answer_as(request, stream.request_id)
        return EventResponse(mode, stream, track_delivery(gateway.images, stream.request_id))
    if understood.in_background or prefers_background(request.headers):
        return await _accept(request, gateway, understood, context)
    try:
        answer = await cancel_on_disconnect(request.receive, gateway.images.run(understood, context))
    except GatewayError as error:
        if error.request_id is not None:
            _answer_as(request, error.request_id)
            # After 504 the retry must find the request; any other error is final and counts as delivered.
            waits = isinstance(error, StillProcessingError)
            gateway.images.leave(error.request_id, Receipt.BROKEN if waits else Receipt.DELIVERED)
        raise
    # The caller has left. The work goes on apart from it, and a retry joins (0062).
    if answer is None:
        return Response(status_code=_CLIENT_GONE)
    _answer_as(request, answer.request_id)
    return PiecewiseResponse(
        render_answer(answer), answer_headers(answer), track_delivery(gateway.images, answer.request_id, answer)
    )


async def _accept(request: Request, gateway: Gateway, understood: ImageRequest, context: RequestContext) -> Response:
    """202 with the record of a request that is carried out in the background."""
    claim = await gateway.images.submit(understood, context)
    record = claim.record
    _answer_as(request, record.id)
    headers = {"Location": f"/v1/requests/{record.id}", "Preference-Applied": "respond-async", "Retry-After": "1"}
    if not claim.is_new and context.idempotency_key is not None:
        headers["Idempotent-Replayed"] = "true"
    # LATER: this caller has the id, so it is no broken connection that an equal request would join (0062).
    delivery = track_delivery(gateway.images, record.id, receipt=Receipt.LATER)
    return PiecewiseResponse([json.dumps(render_record(record)).encode()], headers, delivery, status=_ACCEPTED)


def _answer_as(request: Request, request_id: str) -> None:
    """Let the answer carry the id of the logical request, also where an earlier one is joined."""
    request.scope["state"]["request_id"] = request_id


async def _read(request: Request, mode: Mode, gateway: Gateway) -> ImageRequest:
    content_type = request.headers.get("content-type", "")
    chunks = read_body(request, gateway.settings.max_body_bytes)
    if content_type.lower().startswith("multipart/form-data"):
        with closing(FormParser(content_type, gateway.settings.max_image_bytes)) as parser:
            async for chunk in chunks:
                parser.feed(chunk)

            def understand() -> ImageRequest:
                form = parser.finish()
                return _parse(request, mode, form.fields, form.files)

            return await asyncio.to_thread(understand) if parser.text_bytes > INLINE_BYTES else understand()
    if content_type.lower().startswith("application/x-www-form-urlencoded"):
        message = "Send JSON with Content-Type: application/json, or a multipart form."
        raise InvalidRequestError(message, param="body", code="unsupported_content_type")
    body, guard = bytearray(), StructureGuard()
    async for chunk in chunks:
        guard.feed(chunk)
        body += chunk
    if len(body) <= INLINE_BYTES:
        return _parse(request, mode, decode_object(body))
    fields = await asyncio.to_thread(decode_object, body)
    body.clear()  # what it held stands in the fields: large images are not kept twice
    return await asyncio.to_thread(_parse, request, mode, fields)


def _parse(
    request: Request, mode: Mode, fields: Mapping[str, JSONValue], files: Sequence[FilePart] = ()
) -> ImageRequest:
    """What is asked for; an address of Azure's form names the model, and another one in the body is reported."""
    deployment = request.path_params.get("deployment")
    if deployment is None:
        return parse_request(mode, fields, files)
    understood = parse_request(mode, {**fields, "model": str(deployment)}, files)
    named = fields.get("model")
    if named is None or named in ("", deployment):
        return understood
    ignored = IgnoredField("model", named, "The address of the request names the model.")
    return replace(understood, ignored=(*understood.ignored, ignored))
