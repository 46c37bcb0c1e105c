"""Drives a gateway: N connections kept busy with one request each, in a process of its own.

`python -m benchmarks.client PORT CONNECTIONS REQUESTS RAMP_SECONDS FOLDER` sends the requests that stand in the
folder's files in turn, and prints the seconds of all, how many failed, and the latency of each.
"""

import asyncio
import itertools
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"transfer-encoding: *chunked", re.IGNORECASE)
_PIECE = 1 << 20


@dataclass
class Load:
    """What is still to be sent, and what became of what was."""

    port: int
    requests: Iterator[bytes]
    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    async def connection(self, start: float) -> None:
        """From `start` seconds on, send requests one after the other until none is left."""
        await asyncio.sleep(start)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=4 * _PIECE)
        for request in self.requests:
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await _read_body(reader, head)
            self.latencies.append(time.perf_counter() - started)
            self.failed += not head.startswith(b"HTTP/1.1 200")
        writer.close()


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> None:
    if _CHUNKED.search(head):
        while size := int((await reader.readline()).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readline()
        return
    match = _LENGTH.search(head)
    left = int(match[1]) if match else 0
    while left:
        piece = await reader.read(min(left, _PIECE))
        if not piece:
            raise EOFError
        left -= len(piece)


async def main(load: Load, connections: int, ramp: float) -> None:
    """Run and report; connections open evenly over `ramp` seconds, as independent callers do."""
    started = time.perf_counter()
    await asyncio.gather(*(load.connection(ramp * index / connections) for index in range(connections)))
    seconds = time.perf_counter() - started
    report = {
        "seconds": seconds,
        "failed": load.failed,
        "latencies_ms": [round(latency * 1000, 3) for latency in load.latencies],
    }
    print(json.dumps(report))


if __name__ == "__main__":
    import uvloop

    kinds = [path.read_bytes() for path in sorted(Path(sys.argv[5]).iterdir())]
    load = Load(int(sys.argv[1]), itertools.islice(itertools.cycle(kinds), int(sys.argv[3])))
    uvloop.run(main(load, int(sys.argv[2]), float(sys.argv[4])))
