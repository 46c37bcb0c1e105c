"""One worker process, seen from the gateway: started, asked, and ended when it goes beyond its bounds."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import app
from app.images.errors import BoundCrossedError, WorkerDiedError, WorkerError, WorkerUnavailableError
from app.images.workers.bounds import Bounds
from app.images.workers.messages import MAX_ATTACHED, PREFIX, Message, read_lengths

_START_SECONDS = 60.0
_READY_BYTES = 256
_PAGE = os.sysconf("SC_PAGE_SIZE")
# What one step of sending may copy: less takes more steps, more holds up the loop.
_SOCKET_BYTES = 512 * 1024
# A gateway that was itself asleep finds the time over and the answer there: it looks once more.
_LAST_LOOK_SECONDS = 2.0
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "LANG", "TZ")
# What a large image took goes back to the system when it is done; what usual ones take is kept, since pages that are
# given back and taken again cost a conversion a fifth of its time.
_MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "16777216", "MALLOC_TRIM_THRESHOLD_": "33554432"}


class WorkerProcess:
    """A running process, and the connection to it."""

    def __init__(self, process: subprocess.Popen[bytes], link: socket.socket) -> None:
        self._process = process
        self._link = link
        self.layers: frozenset[str] = frozenset()
        """Which layers of isolation are in force in it."""
        self.ready_bytes = 0
        """The memory it had when it was ready."""

    @classmethod
    async def start(cls) -> "WorkerProcess":
        """A process that is ready for work, raising WorkerUnavailableError. Must not be canceled."""
        try:
            ours, theirs = socket.socketpair()
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
            with theirs:
                ours.settimeout(0)
                started = cls(await asyncio.to_thread(_spawn, theirs.fileno()), ours)
        except OSError as error:
            raise WorkerUnavailableError(str(error)) from error
        try:
            async with asyncio.timeout(_START_SECONDS):
                ready = await started._receive(_READY_BYTES)
        except (WorkerError, TimeoutError) as error:
            await started.end()
            raise WorkerUnavailableError(type(error).__name__) from error
        started.layers, started.ready_bytes = frozenset(ready.head.decode().split()), started.resident_bytes
        return started

    @property
    def resident_bytes(self) -> int:
        """The memory it has; 0 where the system does not say."""
        try:
            return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * _PAGE
        except (OSError, ValueError, IndexError):
            return 0

    async def ask(self, request: Message, bounds: Bounds) -> Message:
        """The reply to a request, raising BoundCrossedError or WorkerDiedError. Afterwards only `end` is of use."""
        # A task of its own, so that it can be waited for twice.
        asking = asyncio.create_task(self._ask(request, bounds.reply_bytes))
        try:
            for seconds in (bounds.wall_seconds, _LAST_LOOK_SECONDS):
                done, _ = await asyncio.wait({asking}, timeout=seconds)
                if done:
                    return asking.result()
        finally:
            asking.cancel()
        raise BoundCrossedError("time")

    async def end(self) -> None:
        """End the process at once, and wait until the system has forgotten it."""
        self._process.kill()
        self._link.close()
        await asyncio.to_thread(self._process.wait)

    async def _ask(self, request: Message, max_bytes: int) -> Message:
        loop = asyncio.get_running_loop()
        try:
            for piece in (request.prefix, request.head, *request.attached):
                await loop.sock_sendall(self._link, piece)
            return await self._receive(max_bytes)
        except ConnectionError:
            raise await self._cause_of_death() from None

    async def _receive(self, max_bytes: int) -> Message:
        """The next message, raising BoundCrossedError when it is larger than `max_bytes` bytes."""
        size, count = PREFIX.unpack(await self._read(PREFIX.size))
        if count > MAX_ATTACHED:
            raise BoundCrossedError("size")
        sizes = read_lengths(await self._read(8 * count))
        # Before anything is allocated: sizes come from a process that may have been taken over.
        if size + sum(sizes) > max_bytes:
            raise BoundCrossedError("size")
        head = await self._read(size)
        return Message(head, [await self._read(length) for length in sizes])

    async def _read(self, size: int) -> bytearray:
        loop = asyncio.get_running_loop()
        data = bytearray(size)
        view = memoryview(data)
        while view:
            received = await loop.sock_recv_into(self._link, view)
            if not received:
                raise await self._cause_of_death()
            view = view[received:]
        return data

    async def _cause_of_death(self) -> WorkerError:
        self._process.kill()  # it may only have closed the connection
        code = await asyncio.to_thread(self._process.wait)
        return BoundCrossedError("time") if code == -signal.SIGXCPU else WorkerDiedError(f"exit code {code}")


def _spawn(descriptor: int) -> subprocess.Popen[bytes]:
    """A process of its own session, without the gateway's secrets, streams and files."""
    paths = [str(Path(app.__file__).resolve().parent.parent), *(str(Path(path).resolve()) for path in sys.path if path)]
    # No secrets: a decoder that was taken over by an image finds nothing worth stealing (0025).
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-B", "-P", "-m", "app.images.workers.inside", str(descriptor)],
        env={**kept, **_MALLOC, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        pass_fds=(descriptor,),
        # A signal to the gateway's group must not end workers that hold paid images.
        start_new_session=True,
    )
