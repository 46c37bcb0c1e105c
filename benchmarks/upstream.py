"""A fast stand-in for Runware: a raw asyncio server that answers every task with a canned result.

Speaks just enough HTTP/1.1 for a well-behaved client, so that what is measured is the gateway.
`python -m benchmarks.upstream DELAY_SECONDS BASE64_BYTES` prints its port.
"""

import asyncio
import json
import re
import sys
from typing import cast

import pybase64
from PIL import Image

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_UUID = re.compile(rb'"taskUUID":"([0-9a-f-]{36})"')


def image_of(size: int) -> bytes:
    """A PNG padded to about `size` bytes, with a true header and end."""
    import io  # noqa: PLC0415 - once, at start

    buffer = io.BytesIO()
    Image.new("RGB", (1024, 1024)).save(buffer, "PNG")
    data = buffer.getvalue()
    padding = max(0, size - len(data) - 12)
    filler = padding.to_bytes(4, "big") + b"spIL" + b"\x00" * padding + b"\x00" * 4
    return data[:33] + filler + data[33:]


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self, delay: float, template: tuple[bytes, bytes]) -> None:
        self._delay = delay
        self._template = template
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but ancestry

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in the buffer."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            match = _LENGTH.search(self._buffer, 0, end)
            total = end + 4 + (int(match[1]) if match else 0)
            if len(self._buffer) < total:
                return
            match = _UUID.search(self._buffer, end, total)
            uuid = bytes(match[1]) if match else b""
            del self._buffer[:total]
            asyncio.get_running_loop().call_later(self._delay, self._answer, uuid)

    def _answer(self, uuid: bytes) -> None:
        head, tail = self._template
        length = len(head) + len(uuid) + len(tail)
        if self._transport is not None and not self._transport.is_closing():
            start = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % length
            self._transport.write(start + head + uuid + tail)


def template(base64_bytes: int) -> tuple[bytes, bytes]:
    """The answer before and after the task's id."""
    item = {
        "taskType": "imageInference",
        "imageUUID": "8c80a2f6-f34a-4d64-a42d-4d07e74e76a0",
        "seed": 681039384,
        "cost": 0.0006,
    }
    if base64_bytes:
        item["imageBase64Data"] = pybase64.b64encode(image_of(base64_bytes * 3 // 4)).decode()
    else:
        item["imageURL"] = "https://im.runware.ai/image/os/a15d18/ws/2/ii/8c80a2f6-f34a-4d64-a42d-4d07e74e76a0.png"
    text = json.dumps({"data": [{**item, "taskUUID": "@"}]}, separators=(",", ":")).encode()
    head, _, tail = text.partition(b"@")
    return head, tail


async def main(delay: float, base64_bytes: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    answer = template(base64_bytes)
    server = await loop.create_server(lambda: Upstream(delay, answer), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(float(sys.argv[1]), int(sys.argv[2])))
