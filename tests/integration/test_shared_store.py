"""Gateways on several machines share a database and an object store, and nothing else."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.support import loopback
from tests.support.images import open_base64, open_bytes
from tests.support.object_stores import BUCKET, ObjectServer
from tests.support.processes import ODD, free_port, start_process, unique, wait_until_it_answers

pytestmark = pytest.mark.slow
URL = f"s3://{BUCKET}/shared"
SECRET = "one secret for all of them"
RETRY = {"x-stainless-retry-count": "1"}


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    running = ObjectServer()
    yield running
    running.close()


@dataclass(frozen=True)
class Machine:
    """A gateway with a folder of its own."""

    process: subprocess.Popen
    origin: str
    client: httpx2.Client

    def ask(self, **fields: object) -> httpx2.Response:
        headers = {"Idempotency-Key": str(fields.pop("key", uuid.uuid4().hex))} | RETRY
        return self.client.post("/images/generations", json={"size": "256x256"} | fields, headers=headers)

    def here(self, url: str) -> str:
        """A link of another machine, as this one is reached."""
        return f"{self.origin}/v1/media/{url.partition('/v1/media/')[2]}"


@contextmanager
def machine(simulator_url: str, database: str, folder: Path, server: ObjectServer) -> Iterator[Machine]:
    port = free_port()
    folder.mkdir()
    own = {"SPILLWAY_DATABASE_URL": database, "SPILLWAY_STORAGE_URL": URL, "SPILLWAY_SECRET": SECRET}
    own |= {"SPILLWAY_HOST_ALL_PICTURES": "true", "TEST_LEASE_SECONDS": "2"}
    with start_process(simulator_url, folder, port, program=ODD, **(own | dict(server.variables()))) as process:
        try:
            wait_until_it_answers(port, running=process)
            headers = {"Authorization": "Bearer test-key"}
            origin = f"http://127.0.0.1:{port}"
            with loopback.client(base_url=f"{origin}/v1", headers=headers, timeout=90) as client:
                yield Machine(process, origin, client)
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def machines(simulator, postgres, tmp_path, server) -> Iterator[tuple[Machine, Machine]]:
    database = postgres.fresh()
    with (
        machine(simulator.url, database, tmp_path / "first", server) as first,
        machine(simulator.url, database, tmp_path / "second", server) as second,
    ):
        yield first, second


def test_what_one_machine_made_another_serves_when_the_first_is_gone(machines, simulator, tmp_path):
    first, second = machines
    prompt, keys = unique(), [uuid.uuid4().hex for _ in range(3)]
    forms = [{}, {"output_format": "gif"}, {"response_format": "b64_json"}]
    made = [first.ask(prompt=prompt, key=key, **form).json() for key, form in zip(keys, forms, strict=True)]
    first.process.kill()
    first.process.wait()
    for answer in made[:2]:
        link = second.here(answer["data"][0]["url"])
        assert open_bytes(loopback.get(link).content).size == (256, 256)
        assert loopback.request("HEAD", link).status_code == 200
    again = [second.ask(prompt=prompt, key=key, **form).json() for key, form in zip(keys, forms, strict=True)]
    assert [answer["id"] for answer in again] == [answer["id"] for answer in made]
    assert open_base64(again[2]["data"][0]["b64_json"]).size == (256, 256)
    assert simulator.made(prompt) == 3
    left = [path.name for path in tmp_path.rglob("*") if path.suffix in {".png", ".gif"}]
    assert left == [], "nothing lies on a machine"


def test_what_a_machine_began_before_it_died_another_ends(machines, simulator):
    first, second = machines
    prompt, key = f"{unique()} [sim:slow=3]", uuid.uuid4().hex
    accepted = first.client.post(
        "/images/generations",
        json={"prompt": prompt, "size": "256x256"},
        headers={"Idempotency-Key": key, "Prefer": "respond-async"},
    )
    assert accepted.status_code == 202
    first.process.kill()
    first.process.wait()
    ended = second.ask(prompt=prompt, key=key)
    while ended.headers.get("x-should-retry") == "true":
        ended = second.ask(prompt=prompt, key=key)
    assert ended.status_code == 200, ended.text
    assert open_bytes(loopback.get(second.here(ended.json()["data"][0]["url"])).content).size == (256, 256)
    assert simulator.made(prompt) == 1


def start(folder: Path, **variables: str) -> subprocess.CompletedProcess:
    """A gateway that cannot start, with what it said."""
    environment = os.environ | {"RUNWARE_API_KEY": "a-runware-key", "SPILLWAY_PORT": str(free_port())} | variables
    command = [sys.executable, "-m", "app", "serve"]
    own = environment | {"SPILLWAY_DATA_DIR": str(folder / "data")}
    return subprocess.run(command, env=own, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        pytest.param({"SPILLWAY_STORAGE_URL": "ftp://host/path"}, "expected file:///path, s3://", id="another scheme"),
        pytest.param({"SPILLWAY_STORAGE_URL": "s3://"}, "expected file:///path, s3://", id="no bucket"),
        pytest.param({"SPILLWAY_STORAGE_URL": "s3://key:secret@bucket"}, "expected file:///path", id="a key in it"),
        pytest.param({"SPILLWAY_STORAGE_URL": "file:///proc/no"}, "the folder cannot be made", id="no such folder"),
        pytest.param({"SPILLWAY_STORAGE_URL": "file:///proc"}, "cannot be written to", id="no folder for files"),
        pytest.param({"SPILLWAY_STORAGE_URL": "s3://not-there/a"}, "does not exist: create it", id="no such bucket"),
        pytest.param({"SPILLWAY_STORAGE_URL": "az://container"}, "set the variables", id="no account"),
        pytest.param({"SPILLWAY_MEDIA_LINKS": "presigned"}, "a folder signs no links", id="presigned on a folder"),
        pytest.param(
            {"SPILLWAY_MEDIA_LINKS": "presigned", "SPILLWAY_STORAGE_URL": URL, "SPILLWAY_MEDIA_TTL": "8d"},
            "at most 604800",
            id="presigned for too long",
        ),
        pytest.param(
            {"SPILLWAY_MEDIA_LINKS": "presigned", "SPILLWAY_STORAGE_URL": f"gs://{BUCKET}/a"},
            "cannot sign",
            id="presigned without a key that signs",
        ),
        pytest.param({"SPILLWAY_MEDIA_LINKS": "signed"}, "'own' or 'presigned'", id="links of no kind"),
    ],
)
def test_a_store_that_cannot_be_used_ends_the_start_with_a_sentence(server, tmp_path, variables, said):
    ended = start(tmp_path, **(dict(server.variables()) | variables))
    lines = ended.stderr.strip().splitlines()
    assert (ended.returncode, len(lines), said in lines[0]) == (2, 1, True), ended.stderr
    assert lines[0].startswith(("SPILLWAY_STORAGE_URL", "SPILLWAY_MEDIA_LINKS"))
    assert "test-secret" not in ended.stderr


def test_a_store_that_refuses_to_be_written_to_ends_the_start(server, tmp_path):
    with server.answering(403):
        ended = start(tmp_path, **dict(server.variables()), SPILLWAY_STORAGE_URL=URL)
    assert (ended.returncode, "refuses to be written to" in ended.stderr) == (2, True), ended.stderr


def test_a_store_that_is_away_keeps_no_gateway_from_starting(simulator, server, tmp_path):
    port, log = free_port(), tmp_path / "log"
    own = dict(server.variables()) | {"SPILLWAY_STORAGE_URL": URL, "SPILLWAY_HOST_ALL_PICTURES": "true"}
    with (
        log.open("wb") as out,
        server.answering(500),
        start_process(simulator.url, tmp_path / "data", port, log=out, **own) as process,
    ):
        try:
            wait_until_it_answers(port, running=process)
            answer = loopback.post(
                f"http://127.0.0.1:{port}/v1/images/generations",
                json={"prompt": unique(), "size": "256x256"},
                headers={"Authorization": "Bearer test-key"},
                timeout=60,
            )
        finally:
            process.kill()
            process.wait()
    assert answer.json()["data"][0]["url"].startswith("data:image/png;base64,")
    assert "does not answer now" in log.read_text()
