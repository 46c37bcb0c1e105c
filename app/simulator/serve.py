"""Runs the simulated service: binds it, announces its address, and ends it with the process that started it."""

import asyncio
import json
import sys
from collections.abc import Callable
from decimal import Decimal

from aiohttp import web

from app.simulator.account import OPENING
from app.simulator.server import Simulator
from app.simulator.state import TaskStore


async def serve(
    host: str,
    port: int,
    *,
    latency_seconds: float,
    keys: frozenset[str] | None = None,
    balance: Decimal = OPENING,
    announce: Callable[[str], None],
    ends_with_stdin: bool = False,
) -> None:
    """Serve until cancelled, or until stdin closes; `announce` gets the address once it listens."""
    store = TaskStore(latency_seconds)
    # No access log: benchmarks would measure it.
    runner = web.AppRunner(Simulator(store, keys, balance).application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    # Port 0 is how tests start many side by side; the one that was given is announced.
    bound = runner.addresses[0][1]
    store.base_url = f"http://{host}:{bound}"
    announce(store.base_url)
    try:
        await (_until_stdin_closes() if ends_with_stdin else asyncio.Event().wait())
    finally:
        await runner.cleanup()


async def _until_stdin_closes() -> None:
    """Wait for the end of stdin, which comes when the starting process ends, however it ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    # However the starting process ends, also by SIGKILL, its end of the pipe closes: no orphan stays.
    await reader.read()
    transport.close()


def announcement(url: str) -> str:
    """The line by which a starting process learns the address."""
    return json.dumps({"simulator": f"{url}/v1"})
