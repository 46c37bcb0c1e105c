"""What others on the same machine can read: not the data folder, not a second line in the log, not the docs if unwanted."""

import json
import os
import re
import stat
import subprocess
import sys

import httpx2
import pytest

from tests.support import loopback
from tests.support.images import png
from tests.support.processes import free_port, wait_until_it_answers
from tests.support.waiting import log_with

ESCAPES = "\x1b[2J\r\nlevel=error event=forged \u202e\x00\u2028"


@pytest.fixture(scope="module", params=["console", "json"])
def logged(request, simulator, tmp_path_factory):
    """A gateway process with a data folder that was open to all; its origin, folder and log."""
    folder = tmp_path_factory.mktemp(request.param)
    data = folder / "data"
    data.mkdir(mode=0o755)
    (data / "old").write_bytes(b"from before")
    port = free_port()
    environment = os.environ | {
        "SPILLWAY_DATA_DIR": str(data), "SPILLWAY_PORT": str(port), "RUNWARE_API_KEY": "a-runware-key", "RUNWARE_BASE_URL": f"{simulator.url}/v1",
        "SPILLWAY_LOG_FORMAT": request.param, "SPILLWAY_STORE_PROMPTS": "true", "SPILLWAY_API_KEYS": "test-key",
    }  # fmt: skip
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([sys.executable, "-m", "app", "serve"], env=environment, stderr=log) as process,
    ):
        try:
            wait_until_it_answers(port)
            yield f"http://127.0.0.1:{port}", data, folder / "log"
        finally:
            process.terminate()


def post(origin: str, body: object, **headers: str) -> httpx2.Response:
    return loopback.post(
        f"{origin}/v1/images/generations", json=body, headers={"Authorization": "Bearer test-key"} | headers, timeout=60
    )


def test_the_data_folder_is_its_owners_alone(logged):
    origin, data, _ = logged
    body = {"prompt": "a pier", "size": "256x256", "output_format": "gif", "response_format": "b64_json", "n": 2}
    assert post(origin, body, **{"Idempotency-Key": "a"}).status_code == 200
    files = {"image": ("a.png", png(256, 256)), "prompt": (None, "b"), "model": (None, "flux.2-pro")}
    assert (
        loopback.post(
            f"{origin}/v1/images/edits", files=files, headers={"Authorization": "Bearer test-key"}
        ).status_code
        == 200
    )
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    found = list(data.rglob("*"))
    assert len([path for path in found if path.is_file()]) > 3
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_what_callers_write_stays_on_its_line_in_the_log(logged):
    origin, _, log = logged
    marked = f"mark{ESCAPES}mark"
    answers = [
        post(origin, {"prompt": "a pier", "size": "256x256", "user": marked}),
        post(origin, {"prompt": marked, "size": "256x256", "model": marked}),
        post(origin, {"prompt": f"{marked} [sim:error-500]", "size": "256x256", marked: 1}),
        post(origin, {"prompt": "a pier", "image": "https://mark%1b%0a.example/", "webhook_url": marked}),
        loopback.get(f"{origin}/mark%0d%0alevel=error%20event=forged%1b[2J%e2%80%ae"),
    ]
    log_with(log, *(answer.headers["x-request-id"] for answer in answers))
    text = log.read_bytes()
    lines = text.decode().splitlines()
    assert [line for line in lines if "mark" in line]
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", text)
    assert not re.search("[\u202e\u2028]", text.decode())
    for line in lines:
        assert not line.startswith(("level=error event=forged", "mark"))
        if line.startswith("{"):
            json.loads(line)


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/v1/docs", "/docs/swagger-ui.css"])
def test_the_documentation_can_be_turned_off(gateway, start_shared_gateway, path):
    assert loopback.get(f"{gateway.origin}{path}").status_code == 200
    quiet = start_shared_gateway(SPILLWAY_DOCS="false")
    answer = loopback.get(f"{quiet.origin}{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")
