"""The least that a gateway can do: an ASGI application that passes one call on and its answer back, and nothing else.

No keys, checks, records, prices, retries or logs. `python -m benchmarks.floor PORT UPSTREAM` serves it as `spillway
serve` serves the gateway: uvicorn with uvloop and httptools in one process, aiohttp upstream.
"""

import gc
import json
import sys
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import aiohttp
import pybase64
import uvicorn
from python_multipart.multipart import MultipartParser
from starlette.types import Message, Receive, Scope, Send

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_JSON = {"Content-Type": "application/json"}


class Floor:
    """The application."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call, or start and end."""
        if scope["type"] == "lifespan":
            await receive()
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as self._session:
                await send({"type": "lifespan.startup.complete"})
                await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        pieces, more = [], scope["method"] == "POST"
        while more:
            message: Message = await receive()
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
        body = b"".join(pieces)
        headers = dict(scope["headers"])
        task = _task(body, headers.get(b"content-type", b"")) if body else b"[]"
        async with self._session.post(self._upstream, data=task, headers=_JSON) as response:
            answer = await response.read()
        length = (b"content-length", b"%d" % len(answer))
        start = [(b"content-type", b"application/json"), length]
        await send({"type": "http.response.start", "status": response.status, "headers": start})
        await send({"type": "http.response.body", "body": answer})


def _task(body: bytes, content_type: bytes) -> bytes:
    if not content_type.startswith(b"multipart/"):
        return _encode(json.loads(body), b"")
    fields: dict[str, str] = {}
    spans: list[tuple[bytes, int, int]] = []
    headers: list[bytes] = []

    def header(data: bytes, start: int, end: int) -> None:
        headers.append(data[start:end])

    def content(_: bytes, start: int, end: int) -> None:
        spans.append((headers[-1] if b"name=" in headers[-1] else headers[-2], start, end))

    callbacks = cast("MultipartCallbacks", {"on_header_value": header, "on_part_data": content})
    MultipartParser(content_type.partition(b"boundary=")[2], callbacks).write(body)
    image = b""
    for name, start, end in spans:
        if b"filename=" in name:
            image += body[start:end]
        else:
            fields[name.split(b'"')[1].decode()] = body[start:end].decode()
    return _encode(fields, b'"data:image/png;base64,' + pybase64.b64encode(image) + b'"')


def _encode(fields: Mapping[str, str], image: bytes) -> bytes:
    form = "base64Data" if fields.get("response_format") == "b64_json" else "URL"
    task = {"taskType": "imageInference", "taskUUID": str(uuid.uuid4()), "model": fields["model"]}
    text = json.dumps([{**task, "positivePrompt": fields["prompt"], "outputType": form}]).encode()
    return text[:-2] + b',"inputs":{"referenceImages":[' + image + b"]}}]" if image else text


if __name__ == "__main__":
    gc.freeze()
    gc.set_threshold(50_000)
    quiet = {"access_log": False, "server_header": False, "date_header": False}
    application = Floor(sys.argv[2])
    uvicorn.run(
        application,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        log_level="warning",
        **quiet,  # type: ignore[arg-type]  # options of one kind
    )
