"""A stand-in for Runware on a loopback socket that answers what a test scripted, however odd it is.

The simulator plays a sensible service; this one plays a broken or hostile one. Answers are raw bytes, so that they may
say what no JSON library would write.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

Task = dict


@dataclass(frozen=True)
class Odd:
    """One answer. `pieces` are sent one after the other, for bodies larger than this machine should hold twice."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Callable[[], Iterator[bytes]] | None = None
    cuts: bool = False
    """The connection ends without an answer."""


Script = Callable[[Task], Odd | bytes]


@dataclass
class OddRunware:
    """Where it listens, what it answers to each task type, what images it has, and what it was sent."""

    origin: str = ""
    scripts: dict[str, Script] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)

    @property
    def url(self) -> str:
        """What a gateway is given as RUNWARE_BASE_URL."""
        return f"{self.origin}/v1"

    def sent(self, task_type: str) -> list[Task]:
        """The tasks of one type, in order."""
        return [task for task in self.tasks if task.get("taskType") == task_type]

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """Answer one task as scripted; an envelope without data where nothing is."""
        (task,) = msgspec.json.decode(await request.read())
        self.tasks.append(task)
        script = self.scripts.get(task.get("taskType", ""))
        answer = script(task) if script else b'{"data":[]}'
        odd = Odd(answer) if isinstance(answer, bytes) else answer
        if odd.cuts and request.transport is not None:
            request.transport.abort()
        headers = {"Content-Type": "application/json"} | odd.headers
        if odd.pieces is None:
            return web.Response(body=odd.body, status=odd.status, headers=headers)
        response = web.StreamResponse(status=odd.status, headers=headers)
        await response.prepare(request)
        async for piece in _pieces(odd.pieces()):
            await response.write(piece)
        return response

    async def image(self, request: web.Request) -> web.Response:
        """An image by its name."""
        data = self.images.get(request.match_info["name"])
        return web.Response(status=404) if data is None else web.Response(body=data)


async def _pieces(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(0)


@contextmanager
def odd_runware() -> Iterator[OddRunware]:
    """One that listens until the block ends."""
    runware = OddRunware()
    loop = asyncio.new_event_loop()
    started = threading.Event()
    runners: list[web.AppRunner] = []

    async def start() -> None:
        application = web.Application(client_max_size=1 << 28)
        application.add_routes([web.post("/v1", runware.receive), web.get("/image/{name}", runware.image)])
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        runware.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()

    def serve() -> None:
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runners[0].cleanup())
        loop.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield runware
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def item(task: Task, place: int = 0, **members: object) -> Task:
    """An entry of `data` as Runware writes it, without a cost."""
    return {
        "taskType": task["taskType"],
        "taskUUID": task["taskUUID"],
        "imageUUID": f"00000000-0000-4000-8000-{place:012d}",
        "imageURL": f"https://im.example/{place}.png",
    } | members


def envelope(*items: object, **members: object) -> bytes:
    """An answer with these entries."""
    return msgspec.json.encode({"data": list(items)} | members)


def envelope_with(items: list[Task], raw_cost: str) -> bytes:
    """An answer whose costs are written exactly so, also where that is no number."""
    text = msgspec.json.encode({"data": [one | {"cost": "@@"} for one in items]}).decode()
    return text.replace('"@@"', raw_cost).encode()
