"""What a worker process cannot do, whatever an image makes it try; on kernels that allow it, as this one must."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import app
from app.images.errors import WorkFailedError
from app.images.workers.bounds import Job
from app.images.workers.isolation import LAYERS
from app.images.workers.messages import decode_reply, encode_request
from app.images.workers.process import WorkerProcess
from tests.support import image_jobs

ROOT = Path(app.__file__).resolve().parents[1]


def ask(*jobs):
    """What several pieces of work in one process come to: their results, or the ends of their tracebacks."""

    async def told():
        process, bounds = await WorkerProcess.start(), Job("a").bounds
        ends = []
        try:
            for work, *arguments in jobs:
                reply = await process.ask(encode_request(work, tuple(arguments), bounds), bounds)
                try:
                    ends.append(decode_reply(work, reply))
                except WorkFailedError as error:
                    ends.append(str(error).strip().splitlines()[-1])
        finally:
            await process.end()
        return ends

    return asyncio.run(told())


PROBE = """
import ctypes, os
library = ctypes.CDLL(None)
allowed = ["network"] if any(library.unshare(flags) == 0 for flags in (0x40000000, 0x50000000)) else []
allowed += ["files"] if library.syscall(444, None, 0, 1) > 0 else []
allowed += ["calls"] if library.prctl(21, 0, 0, 0, 0) == 0 and os.path.exists("/proc/sys/kernel/seccomp") else []
print(*allowed)
"""


@pytest.fixture(scope="module")
def allowed() -> set[str]:
    """What this kernel lets a process of this user give up; the machines of developers and containers differ."""
    return set(subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True).stdout.split())


def test_every_layer_that_the_kernel_allows_is_in_force(allowed):
    async def layers():
        process = await WorkerProcess.start()
        await process.end()
        return process.layers

    assert asyncio.run(layers()) == allowed
    assert allowed <= set(LAYERS)


def test_it_has_no_network_runs_no_program_and_reaches_no_other_process():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ends = ask(
            (image_jobs.connect, port),
            (image_jobs.resolve,),
            (image_jobs.listen,),
            (image_jobs.run_program,),
            (image_jobs.end_other, os.getpid()),
            (image_jobs.echo, b"still there"),
        )
    assert all("PermissionError" in end or "OSError" in end or "gaierror" in end for end in ends[:5]), ends
    assert ends[5] == b"still there"


def test_it_reads_code_and_nothing_else(tmp_path, allowed):
    (tmp_path / "secret").write_text("of somebody")
    hidden = [str(tmp_path / "secret"), f"/proc/{os.getpid()}/environ", "/etc/passwd", str(ROOT / "pyproject.toml")]
    ends = ask(*((image_jobs.read_file, path) for path in hidden), (image_jobs.list_folder, str(ROOT)))
    assert all("PermissionError" in str(end) for end in ends) is ("files" in allowed), ends
    (code,) = ask((image_jobs.read_file, str(Path(asyncio.__file__))))
    assert b"asyncio" in code


def test_what_a_process_has_of_the_gateways_environment_is_what_it_needs_to_run():
    (names,) = ask((image_jobs.tell_environment,))
    assert set(names) <= {
        "PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "LANG", "TZ", "PYTHONPATH", "LC_CTYPE", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_",
    }  # fmt: skip


REFUSING = """
import asyncio, ctypes, os, sys
from app.images.workers import isolation
from app.images.workers.process import WorkerProcess

refused = tuple(int(number) for number in sys.argv[1:])
architecture, _, to_thread = isolation._TABLES[os.uname().machine]
library = isolation._library()
program = ctypes.create_string_buffer(isolation._program(architecture, refused, 0x3FFFFFFF, 0))
given = isolation._Filter((len(program) - 1) // 8, ctypes.addressof(program))
assert library.prctl(isolation._SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
assert library.prctl(isolation._SET_SECCOMP, isolation._FILTER, ctypes.byref(given), 0, 0) == 0

async def start():
    process = await WorkerProcess.start()
    await process.end()
    print(*sorted(process.layers))

asyncio.run(start())
"""
UNSHARE = {"x86_64": "272", "aarch64": "97"}[os.uname().machine]
LANDLOCK = "444"


@pytest.mark.parametrize(
    ("refused", "left"),
    [
        pytest.param((UNSHARE,), ["calls", "files"], id="no namespaces, as in most containers"),
        pytest.param((LANDLOCK,), ["calls", "network"], id="no Landlock, as in old kernels"),
        pytest.param((UNSHARE, LANDLOCK), ["calls"], id="neither"),
    ],
)
def test_where_the_kernel_refuses_a_layer_the_others_are_in_force(refused, left, allowed):
    command = [sys.executable, "-c", REFUSING, *refused]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.split() == [layer for layer in left if layer in allowed]
