"""A fast stand-in for Runware: a raw asyncio server that answers every task with a canned result.

Speaks just enough HTTP/1.1 for a well-behaved client, so that what is measured is the gateway. Below `/openai` it
speaks OpenAI's form, for gateways that know no Runware.
`python -m benchmarks.upstream DELAY_SECONDS BASE64_BYTES` prints its port.
"""

import asyncio
import json
import re
import socket
import sys
from dataclasses import dataclass
from typing import cast

import pybase64

from benchmarks.payload import png

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_UUID = re.compile(rb'"taskUUID": ?"([0-9a-f-]{36})"')
_START_BYTES = 4096
"""Of a body, in which the id of its task stands."""
_CHUNKED = -1
_BACKLOG = 4096
_END = b"0\r\n\r\n"
_ADDRESS = "http://127.0.0.1:{port}/image/os/a15d18/ws/2/ii/8c80a2f6-f34a-4d64-a42d-4d07e74e76a0.png"
"""Here, as no name server is to be measured."""


def image_of(size: int) -> bytes:
    """A PNG padded to about `size` bytes, with a true header and end."""
    data = png(0, 0)
    padding = max(0, size - len(data) - 12)
    filler = padding.to_bytes(4, "big") + b"spIL" + b"\x00" * padding + b"\x00" * 4
    return data[:33] + filler + data[33:]


@dataclass(frozen=True)
class Answers:
    """What is answered: to a task before and after its id, and to a call in OpenAI's form."""

    delay: float
    head: bytes
    tail: bytes
    openai: bytes

    @classmethod
    def of(cls, delay: float, base64_bytes: int, port: int) -> "Answers":
        """Answers with an image of so many bytes of base64, or with its address on this port."""
        address = _ADDRESS.format(port=port)
        encoded = pybase64.b64encode(image_of(base64_bytes * 3 // 4)).decode() if base64_bytes else None
        item = {"taskType": "imageInference", "imageUUID": "8c80a2f6-f34a-4d64-a42d-4d07e74e76a0", "seed": 681039384}
        image = {"imageURL": address} if encoded is None else {"imageBase64Data": encoded}
        text = json.dumps({"data": [{**item, "cost": 0.0006, **image, "taskUUID": "@"}]}, separators=(",", ":"))
        head, _, tail = text.encode().partition(b"@")
        form = {"url": address} if encoded is None else {"b64_json": encoded}
        return cls(delay, head, tail, json.dumps({"created": 1, "data": [form]}).encode())

    def to(self, uuid: bytes | None) -> tuple[bytes, ...]:
        """The parts of an answer; without an id it is in OpenAI's form."""
        parts = (self.openai,) if uuid is None else (self.head, uuid, self.tail)
        start = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        return start % sum(map(len, parts)), *parts


class Upstream(asyncio.Protocol):
    """One connection. Of a body only the start is looked at; the rest is counted."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._head = bytearray()
        self._start = bytearray()
        self._left: int | None = None
        self._is_openai = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but ancestry

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        while data:
            if self._left is None:
                data = self._read_head(data)
            elif self._left == _CHUNKED:
                self._start = self._start[-len(_END) :] + data[-len(_END) :]
                data = b""
                if self._start.endswith(_END):
                    self._finish()
            else:
                part = data[: self._left]
                if len(self._start) < _START_BYTES:
                    self._start += part[:_START_BYTES]
                self._left -= len(part)
                data = data[len(part) :]
            if self._left == 0:
                self._finish()

    def _read_head(self, data: bytes) -> bytes:
        """Read on in the head of a request; what is left of `data` behind it."""
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return b""
        match = _LENGTH.search(self._head, 0, end)
        self._left = int(match[1]) if match else _CHUNKED if b"chunked" in self._head[:end] else 0
        self._is_openai = b" /openai/" in self._head[: self._head.find(b"\r\n")]
        rest = bytes(self._head[end + 4 :])
        self._head.clear()
        return rest

    def _finish(self) -> None:
        match = _UUID.search(self._start)
        uuid = None if self._is_openai else bytes(match[1]) if match else b""
        self._start, self._left = bytearray(), None
        if self._answers.delay:
            asyncio.get_running_loop().call_later(self._answers.delay, self._answer, uuid)
        else:
            self._answer(uuid)

    def _answer(self, uuid: bytes | None) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(self._answers.to(uuid))


async def main(delay: float, base64_bytes: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listening:
        port = listening.getsockname()[1]
        answers = Answers.of(delay, base64_bytes, port)
        server = await loop.create_server(lambda: Upstream(answers), sock=listening, backlog=_BACKLOG)
        print(port, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(float(sys.argv[1]), int(sys.argv[2])))
