"""A standard error that cannot be written fails no request, and stalls none."""

import os
import time

import pytest

from tests.support import loopback
from tests.support.processes import free_port, start_process, unique, wait_until_it_answers

pytestmark = pytest.mark.slow
HEADERS = {"Authorization": "Bearer test-key"}


def closed_reader() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("kind", ["nobody reads it", "its reader is gone", "its disk is full", "it is closed"])
def test_requests_are_served_whatever_becomes_of_the_log(simulator, tmp_path, kind):
    port, reader = free_port(), None
    if kind == "nobody reads it":
        reader, log = os.pipe()
    else:
        log = closed_reader() if kind == "its reader is gone" else os.open("/dev/full", os.O_WRONLY)
    before = ("/bin/sh", "-c", 'exec "$@" 2>&-', "sh") if kind == "it is closed" else ()
    running = start_process(simulator.url, tmp_path, port, log=log, before=before, SPILLWAY_LOG_LEVEL="info")
    try:
        wait_until_it_answers(port)
        url = f"http://127.0.0.1:{port}/v1"
        with loopback.client(base_url=url, headers=HEADERS, timeout=60) as client:
            for _ in range(600):  # each leaves a line, together more than a pipe holds
                assert client.get("/models/none-of-this-name" + "x" * 200).status_code == 404
            body = {"model": "flux.1-schnell", "size": "256x256", "prompt": unique()}
            began = time.monotonic()
            assert client.post("/images/generations", json=body).status_code == 200
            assert time.monotonic() - began < 10
            assert (
                client.post("/images/generations", json=body | {"prompt": f"{unique()} [sim:moderation]"}).status_code
                == 400
            )
        running.terminate()
        running.wait(20)  # it ends in peace too
    finally:
        running.kill()
        running.wait()
        for end in (reader, log):
            if end is not None:
                os.close(end)
