"""What a worker process cannot do, whatever an image makes it try; on kernels that allow it, as this one must."""

import asyncio
import os
import socket
from pathlib import Path

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


def test_every_layer_is_in_force_here():
    async def layers():
        process = await WorkerProcess.start()
        await process.end()
        return process.layers

    assert asyncio.run(layers()) == set(LAYERS)


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


def test_it_reads_code_and_nothing_else(tmp_path):
    (tmp_path / "secret").write_text("of somebody")
    hidden = [str(tmp_path / "secret"), f"/proc/{os.getpid()}/environ", "/etc/passwd", str(ROOT / "pyproject.toml")]
    ends = ask(*((image_jobs.read_file, path) for path in hidden), (image_jobs.list_folder, str(ROOT)))
    assert all("PermissionError" in end for end in ends), ends
    (code,) = ask((image_jobs.read_file, str(Path(asyncio.__file__))))
    assert b"asyncio" in code


def test_what_a_process_has_of_the_gateways_environment_is_what_it_needs_to_run():
    (names,) = ask((image_jobs.tell_environment,))
    assert set(names) <= {
        "PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "LANG", "TZ", "PYTHONPATH", "LC_CTYPE", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_",
    }  # fmt: skip
