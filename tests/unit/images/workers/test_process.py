"""One worker process and its bounds, with real processes."""

import asyncio
import subprocess
import sys
import time

import psutil
import pytest

from app.images.errors import BoundCrossedError, WorkerDiedError
from app.images.workers.bounds import Bounds
from app.images.workers.messages import decode_reply, encode_request
from app.images.workers.process import WorkerProcess
from tests.support import image_jobs

MIB = 1024 * 1024
FREE = Bounds(cpu_seconds=20, wall_seconds=30, memory_bytes=512 * MIB, reply_bytes=64 * MIB)


def ask(work, *arguments, bounds=FREE):
    """The result of work in a process of its own."""

    async def both():
        process = await WorkerProcess.start()
        try:
            return decode_reply(work, await process.ask(encode_request(work, arguments, bounds), bounds))
        finally:
            await process.end()

    return asyncio.run(both())


@pytest.mark.parametrize("size", [0, 1, 8, 100_000, 5 * MIB])
def test_bytes_of_every_length_go_in_and_come_out(size):
    data = bytes(range(256)) * (size // 256) + b"\xff" * (size % 256)
    assert ask(image_jobs.echo, data) == data


def test_a_process_that_computes_too_long_is_ended_by_the_system():
    with pytest.raises(BoundCrossedError, match="time"):
        ask(image_jobs.spin, 60.0, bounds=Bounds(0.5, 55, 512 * MIB, MIB))


def test_the_time_of_earlier_work_does_not_count():
    async def several():
        process = await WorkerProcess.start()
        bounds = Bounds(1.0, 55, 512 * MIB, MIB)
        try:
            for _ in range(4):
                await process.ask(encode_request(image_jobs.spin, (0.7,), bounds), bounds)
        finally:
            await process.end()

    asyncio.run(several())


def test_a_process_that_hangs_is_left_alone_after_a_while():
    with pytest.raises(BoundCrossedError, match="time"):
        ask(image_jobs.sleep, 50.0, bounds=Bounds(20, 0.3, 512 * MIB, MIB))


def test_memory_beyond_the_bound_is_not_given():
    with pytest.raises(MemoryError):
        ask(image_jobs.hoard, 300 * MIB, bounds=Bounds(20, 30, 200 * MIB, MIB))
    ask(image_jobs.hoard, 100 * MIB, bounds=Bounds(20, 30, 200 * MIB, MIB))


def test_an_answer_beyond_the_bound_is_not_received():
    with pytest.raises(BoundCrossedError, match="size"):
        ask(image_jobs.answer, 5 * MIB, bounds=Bounds(20, 30, 512 * MIB, MIB))


def test_what_a_library_prints_goes_nowhere_and_holds_up_nothing():
    assert ask(image_jobs.chatter, 5 * MIB) == "said"


def test_a_process_that_ends_by_itself_is_told():
    with pytest.raises(WorkerDiedError):
        ask(image_jobs.die)


def test_the_gateways_secrets_are_not_in_it(monkeypatch):
    monkeypatch.setenv("RUNWARE_API_KEY", "a secret")
    monkeypatch.setenv("SPILLWAY_SECRET", "another secret")
    assert not [name for name in ask(image_jobs.tell_environment) if name.startswith(("RUNWARE", "SPILLWAY"))]


def test_it_writes_no_files(tmp_path):
    with pytest.raises(Exception, match=r"File too large|Permission denied"):
        ask(image_jobs.write_file, str(tmp_path / "a"))


ABANDON = """
import asyncio, os
from app.images.workers.messages import decode_reply, encode_request
from app.images.workers.process import WorkerProcess
from app.images.workers.bounds import Job
from tests.support.image_jobs import tell_process

async def abandon():
    process, bounds = await WorkerProcess.start(), Job("a").bounds
    reply = await process.ask(encode_request(tell_process, (), bounds), bounds)
    print(decode_reply(tell_process, reply), flush=True)
    os.kill(os.getpid(), 9)

asyncio.run(abandon())
"""


def test_it_ends_when_the_gateway_is_killed():
    gateway = subprocess.run([sys.executable, "-c", ABANDON], capture_output=True, text=True, check=False, timeout=60)
    own = int(gateway.stdout)
    deadline = time.monotonic() + 20
    while psutil.pid_exists(own) and psutil.Process(own).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
