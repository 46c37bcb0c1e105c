"""One gateway between two proxies, with clients before it and a journal behind it; breaks any of them on schedule."""

import asyncio
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from pathlib import Path

import httpx2

from app.domain.verification import Verification
from tests.support.faults.budgets import BUDGETED_KEY, read_ledger
from tests.support.faults.clients import ClientKilledError, ClientProcess, Job, Outcome
from tests.support.faults.databases import Journal, Journaled
from tests.support.faults.proxy import CutError, FaultProxy, Stage
from tests.support.processes import free_port, start_process

_START_SECONDS = 180.0
_ACCEPTED = 202
_SHORTEST_LIFE_SECONDS = 3.0
"""A gateway that is killed as soon as it listens would never finish anything that takes a moment."""
_BILL_LOOKS = 240
"""Seconds: an unknown cost is asked for two minutes after the end of its request."""
_CALLS, _PAUSE_SECONDS = 8, 0.5
"""How often a caller asks again whose process was killed, or whose stream broke off."""
_AUTH = {"Authorization": f"Bearer {BUDGETED_KEY}"}


class Victim(Enum):
    """What breaks."""

    CLIENT = "the client's connection is cut"
    CLIENT_PROCESS = "the client is killed"
    GATEWAY = "the gateway is killed"
    DATABASE = "the database connection breaks"
    UPSTREAM = "the connection to Runware is cut"


class Step(Enum):
    """When it breaks: before which proxy the exchange is, and at which stage."""

    BEFORE_THE_CLAIM = ("client", Stage.REQUEST_PART)
    AFTER_THE_CLAIM = ("upstream", Stage.REQUEST_HELD)
    AFTER_SENDING = ("upstream", Stage.REQUEST_SENT)
    ANSWER_LOST = ("upstream", Stage.RESPONSE_HELD)
    BEFORE_THE_ANSWER = ("upstream", Stage.RESPONSE_SENT)
    WHILE_DELIVERING = ("client", Stage.RESPONSE_PART)


def new_token() -> str:
    """What tells one logical request from all others, in its prompt."""
    return f"fault-{uuid.uuid4().hex}"


@dataclass(repr=False)
class Asked:
    """One logical request: what it asks for, what is to break on its way, and what its callers got in the end."""

    job: Job
    count: int
    faults: list[tuple[Victim, Step]]
    asks_again: bool
    token: str
    worker: ClientProcess | None = None
    outcome: Outcome | None = None
    was_killed: bool = False
    injected: list[tuple[Victim, Step]] = field(default_factory=list)

    def __repr__(self) -> str:
        """What matters when something went wrong."""
        keyed = "with a key" if self.job.headers else "without a key"
        faults = ", ".join(f"{victim.name} {step.name}" for victim, step in self.injected)
        form = self.job.fields.get("response_format")
        return f"{self.token}: {self.job.method} {form} x{self.count} {keyed}; {faults}; again={self.asks_again} killed={self.was_killed}"


class Lane:
    """Runs requests through one gateway, some clients at once, and breaks what they say."""

    def __init__(self, simulator_url: str, journal: Journal, folder: Path, clients: int) -> None:
        self._simulator_url = simulator_url
        self._journal = journal
        self._folder = folder
        self._clients = clients
        self._port = free_port()
        self._waiting: list[Asked] = []
        self._started = 0.0
        self.asked: dict[str, Asked] = {}
        self._threads = ThreadPoolExecutor(clients)
        self._front = FaultProxy(self._port, lambda token, stage: self._at("client", token, stage))
        self._back = FaultProxy(
            int(simulator_url.rpartition(":")[2]), lambda token, stage: self._at("upstream", token, stage)
        )
        self._gateway: subprocess.Popen | None = None
        self._is_down = True
        self._log = (folder / "gateway.log").open("ab")
        self.injected: list[tuple[Victim, Step]] = []

    async def run(self, asked: list[Asked]) -> None:
        """All requests to their ends, more than once if asked to."""
        if self._gateway is None:
            await self._front.start()
            await self._back.start()
            self._restart = asyncio.create_task(self._start_gateway())
            await self._restart
        self._waiting = asked
        await asyncio.gather(*(self._work_off() for _ in range(self._clients)))
        await self._restart

    async def settled(self) -> tuple[list[Journaled], Decimal]:
        """What the journal says once no request is unfinished.

        To be judged by this very look: what nobody received may be opened again right after it, to fetch its images.
        """
        for _ in range(600):
            listed, booked = await asyncio.to_thread(self._journal.read)
            if all(one.status not in {"queued", "processing"} for one in listed):
                return listed, booked
            await asyncio.sleep(0.2)
        raise AssertionError([one for one in listed if one.status in {"queued", "processing"}])

    async def ledger(self, *, waits_for_bills: bool) -> tuple[Verification, tuple[int, int]]:
        """What the ledger says; with `waits_for_bills` once Runware was asked for every cost that lost answers named."""
        for _ in range(_BILL_LOOKS):
            found = await asyncio.to_thread(read_ledger, self._journal.url)
            if not (found[0].estimated and waits_for_bills):
                break
            await asyncio.sleep(1)
        return found

    async def collect(self, request_id: str) -> httpx2.Response:
        """What the gateway answers when the result of a request is asked for, again while it is not there yet."""
        url = f"http://127.0.0.1:{self._port}/v1/requests/{request_id}/result"
        async with httpx2.AsyncClient() as client:
            for _ in range(100):
                response = await client.get(url, headers=_AUTH, timeout=30)
                if response.status_code != _ACCEPTED:
                    break
                await asyncio.sleep(0.2)
        return response

    def attempts_lost(self, token: str) -> int:
        """How often this request's task was on its way when all connections to Runware were cut."""
        return self._back.lost[token]

    def log(self) -> str:
        """What the gateway's processes said."""
        return (self._folder / "gateway.log").read_text()

    async def close(self) -> None:
        """End every process."""
        if self._gateway is not None:
            self._gateway.kill()
            self._gateway.wait()
        await self._front.close()
        await self._back.close()
        for one in self.asked.values():  # where a test ends early, calls would go on for minutes and keep their threads
            if one.worker is not None:
                one.worker.kill()
        self._threads.shutdown()
        self._log.close()

    async def _work_off(self) -> None:
        worker = self._new_worker()
        while self._waiting:
            asked = self._waiting.pop()
            self.asked[asked.token] = asked
            for _ in range(_CALLS):
                asked.worker = worker
                try:
                    asked.outcome = await worker.call(asked.job)
                except ClientKilledError:
                    asked.was_killed, asked.outcome = True, None  # what its stream said before died with it
                    worker.close()
                    worker = self._new_worker()
                    if not asked.asks_again:
                        break
                if asked.outcome is not None and (asked.outcome.error is None or not asked.job.fields.get("stream")):
                    break
                await asyncio.sleep(_PAUSE_SECONDS)
        worker.close()

    def _new_worker(self) -> ClientProcess:
        return ClientProcess(f"http://127.0.0.1:{self._front.port}/v1", BUDGETED_KEY, self._threads)

    async def _at(self, side: str, token: str, stage: Stage) -> None:
        """Break what is due at this stage of this request."""
        asked = self.asked.get(token)
        due = None if asked is None else next((f for f in asked.faults if f[1].value == (side, stage)), None)
        if asked is None or due is None:
            return
        if due[0] is Victim.GATEWAY:
            await asyncio.sleep(self._started + _SHORTEST_LIFE_SECONDS - time.monotonic())
            if self._is_down:
                raise CutError  # another was faster: it is due again
        asked.faults.remove(due)
        asked.injected.append(due)
        self.injected.append(due)
        await self._break(due[0], side, asked)

    async def _break(self, victim: Victim, side: str, asked: Asked) -> None:
        """Break it now, raising CutError where this exchange goes no further."""
        cuts_here = victim is Victim.GATEWAY
        match victim:
            case Victim.CLIENT:
                self._front.cut(asked.token)
                cuts_here = side == "client"
            case Victim.CLIENT_PROCESS:
                assert asked.worker is not None
                asked.worker.kill()
                await asyncio.sleep(0.05)
                cuts_here = side == "client"
            case Victim.GATEWAY:
                self._kill_gateway()
            case Victim.DATABASE:
                breaking = asyncio.ensure_future(asyncio.to_thread(self._journal.break_connections))
                await asyncio.wait({breaking}, timeout=0.05)
            case Victim.UPSTREAM:
                self._back.cut_all()
                cuts_here = side == "upstream"
        if cuts_here:
            raise CutError

    def _kill_gateway(self) -> None:
        assert self._gateway is not None
        self._is_down = True
        self._gateway.kill()
        self._restart = asyncio.create_task(self._start_gateway())

    async def _start_gateway(self) -> None:
        if self._gateway is not None:
            await asyncio.to_thread(self._gateway.wait)
        self._gateway = start_process(
            f"http://127.0.0.1:{self._back.port}",
            self._folder,
            self._port,
            log=self._log,
            SPILLWAY_DATABASE_URL=self._journal.url,
            SPILLWAY_STORE_PROMPTS="true",
            SPILLWAY_ALLOW_PRIVATE_INPUT_URLS="true",  # the images lie behind the proxy, at another address than Runware
        )
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                assert self._gateway.poll() is None, self.log()[-3000:]
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                self._started, self._is_down = time.monotonic(), False
                return
        raise AssertionError("the gateway does not start")
