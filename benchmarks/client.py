"""Drives a gateway: N connections kept busy with one request each, in a process of its own.

`python -m benchmarks.client PORT CONNECTIONS REQUESTS RAMP_SECONDS BODY` prints seconds, p50_ms, p99_ms and failed.
"""

import asyncio
import json
import re
import sys
import time

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


async def connection(port: int, request: bytes, budget: list[int], latencies: list[float], start: float) -> int:
    """From `start` seconds on, send requests one after the other until the budget is spent; the number that failed."""
    await asyncio.sleep(start)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4 * 1024 * 1024)
    failed = 0
    while budget[0] > 0:
        budget[0] -= 1
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        match = _LENGTH.search(head)
        left = int(match[1]) if match else 0
        while left:
            left -= len(await reader.read(min(left, 1 << 20)))
        latencies.append(time.perf_counter() - started)
        failed += not head.startswith(b"HTTP/1.1 200")
    writer.close()
    return failed


async def main(port: int, connections: int, requests: int, ramp: float, body: bytes) -> None:
    """Run and report; connections open evenly over `ramp` seconds, as independent callers do."""
    request = (
        b"POST /v1/images/generations HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nauthorization: Bearer bench\r\n"
        b"content-type: application/json\r\nuser-agent: OpenAI/Python 3.52.0\r\ncontent-length: %d\r\n\r\n%s"
    ) % (port, len(body), body)
    budget, latencies = [requests], list[float]()
    started = time.perf_counter()
    failures = await asyncio.gather(
        *(connection(port, request, budget, latencies, ramp * index / connections) for index in range(connections))
    )
    seconds = time.perf_counter() - started
    latencies.sort()
    report = {
        "seconds": seconds,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
        "failed": sum(failures),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5].encode()))
