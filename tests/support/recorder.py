"""Stands in for the making of images: keeps the parsed request and gives a fixed answer."""

import socket
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

from app.catalog.registry import unlisted_model
from app.domain.answer import Answer, DeliveredImage, Result, TaskCost
from app.domain.context import RequestContext
from app.domain.outcome import Answered, Outcome, Part
from app.domain.request import ImageRequest
from app.domain.values import replace
from app.domain.words import ImageFormat
from app.generation.service import ImageService
from app.generation.stream import Stream

_SECONDS = 10


class Recorder(ImageService):
    """Production's service up to the door: keeps each request in `requests`, and makes no image."""

    def __init__(self, requests: list[ImageRequest], *parts: Any) -> None:
        super().__init__(*parts)
        self._requests = requests

    async def stream(self, request: ImageRequest, context: RequestContext) -> Stream:
        """Keep the request; a stream of one part."""
        answer = self._keep(request, context)

        async def parts() -> AsyncIterator[Part]:
            image = replace(answer.result.images[0], url=None, base64=memoryview(b"AAAA"))
            yield Part(0, replace(answer, result=replace(answer.result, images=(image,))))

        return Stream(context.request_id, 1, answer.model, (), parts())

    async def generate(self, request: ImageRequest, context: RequestContext) -> Outcome:
        """Keep the request; an answer of one image."""
        return Answered(self._keep(request, context))

    def _keep(self, request: ImageRequest, context: RequestContext) -> Answer:
        self._requests.append(request)
        image = DeliveredImage((8, 8), ImageFormat.PNG, 7, url="https://example.com/a.png")
        return Answer(
            request_id=context.request_id,
            model=unlisted_model("civitai:1@1"),
            result=Result(1, (image,), failures=(), task_ids=(), attempts=(), adjustments=()),
            costs=(TaskCost("task", Decimal("0.01"), is_complete=True),),
        )


def exchange(origin: str, wire: bytes, *, continue_after: int | None = None) -> tuple[int, bytes]:
    """Send raw bytes, waiting for `100 Continue` after the head if asked to; status and body of the answer."""
    host, port = origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=_SECONDS) as connection:
        if continue_after is not None:
            connection.sendall(wire[:continue_after])
            assert connection.recv(1024).startswith(b"HTTP/1.1 100 Continue")
            wire = wire[continue_after:]
        connection.sendall(wire)
        return read_response(connection)


def read_response(connection: socket.socket) -> tuple[int, bytes]:
    """One answer with a Content-Length, or a stream of events with its framing."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        assert received, "the server closed the connection without an answer"
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    if b"text/event-stream" in head:
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536)
        return int(head.split()[1]), body
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), body
