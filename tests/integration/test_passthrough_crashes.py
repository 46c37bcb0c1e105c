"""Gateways that pass keys on and are killed: requests wait for their callers, and no key is on any disk."""

import contextlib
import json
import signal
import sqlite3
from pathlib import Path
from typing import Self

import pytest

from tests.support.callers import PASSTHROUGH, Caller, new_key
from tests.support.processes import free_port, start_process, unique, wait_until_it_answers
from tests.support.raw import RawConnection, head
from tests.support.waiting import log_with, seen

pytestmark = pytest.mark.slow


def files_with(folder: Path, *values: str) -> list[str]:
    """The files below a folder that hold one of these values."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert found
    return [str(path) for path in found if any(value.encode() in path.read_bytes() for value in values)]


class Crashing:
    """A gateway process of its own, which is killed and started again on the same folder."""

    def __init__(self, simulator, folder: Path, **variables: str) -> None:
        self.simulator, self.folder, self.variables = simulator, folder, PASSTHROUGH | variables
        self.log = folder.parent / f"{folder.name}.log"
        self.process, self.origin = None, ""

    def start(self) -> None:
        port = free_port()
        with self.log.open("ab") as log:
            self.process = start_process(
                self.simulator.url, self.folder, port, log=log, **{"SPILLWAY_LOG_LEVEL": "debug"} | self.variables
            )
        wait_until_it_answers(port, running=self.process)
        self.origin = f"http://127.0.0.1:{port}"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


@pytest.fixture
def crashing(simulator, tmp_path):
    with Crashing(simulator, tmp_path / "data") as process:
        yield process


def leave_running(process: Crashing, caller: Caller, prompt: str) -> str:
    """A request in the background whose task has been accepted and runs; its id."""
    answer = caller.generate({"Prefer": "respond-async"}, prompt=prompt, response_format="b64_json")
    assert answer.status_code == 202
    assert seen(lambda: process.simulator.tasks(prompt), len)
    return answer.json()["id"]


@pytest.mark.parametrize(
    "marker", ["[sim:slow=5]", "[sim:slow=5][sim:late-cost=8]", "[sim:hang=5]"], ids=["slow", "late-cost", "hang"]
)
def test_after_a_crash_a_request_waits_for_its_caller_and_is_then_found(crashing, marker):
    caller, other, prompt = Caller(crashing.origin), Caller(crashing.origin), f"{marker} {unique()}"
    made = leave_running(crashing, caller, prompt)
    crashing.kill()
    crashing.start()
    # Others come and go; the request is left alone, since nobody could ask for it.
    log_with(crashing.log, "waits for its caller's key", made)
    other.origin = caller.origin = crashing.origin
    assert other.generate().status_code == 200
    assert "taking over" not in crashing.log.read_text()
    found = caller.result(made)
    assert (found.status_code, len(found.json()["data"])) == (200, 1)
    assert [task["submissions"] for task in crashing.simulator.tasks(prompt)] == [1]
    assert seen(lambda: caller.record(made), lambda record: record["cost"] is not None)["status"] == "completed"


def test_a_wait_for_a_caller_counts_as_no_try(crashing):
    caller, prompt = Caller(crashing.origin), f"[sim:slow=5] {unique()}"
    made = leave_running(crashing, caller, prompt)
    crashing.kill()
    crashing.start()
    log_with(crashing.log, "waits for its caller's key", made)
    assert tries_of(crashing.folder, made) == 0
    caller.origin = crashing.origin
    assert caller.ended(made)["status"] == "completed"
    assert tries_of(crashing.folder, made) == 1, "the one that its caller made possible"


def tries_of(folder: Path, request_id: str) -> int:
    with contextlib.closing(sqlite3.connect(folder / "spillway.db", timeout=20)) as journal:
        return journal.execute("SELECT tries FROM requests WHERE id = ?", (request_id,)).fetchone()[0]


def test_a_retry_after_a_crash_joins_what_was_bought_before(crashing):
    caller, prompt = Caller(crashing.origin), f"[sim:slow=6] {unique()}"
    with RawConnection(crashing.origin) as connection:  # which ends before the image is there
        body = json.dumps({"prompt": prompt, "size": "256x256"}).encode()
        fields = "Content-Type: application/json", f"Content-Length: {len(body)}"
        connection.send(head("/v1/images/generations", *fields, key=caller.key) + body)
        assert seen(lambda: crashing.simulator.tasks(prompt), len)
    crashing.kill()
    crashing.start()
    log_with(crashing.log, "waits for its caller's key")
    caller.origin = crashing.origin
    assert caller.generate({"x-stainless-retry-count": "1"}, prompt=prompt).status_code == 200
    assert [task["submissions"] for task in crashing.simulator.tasks(prompt)] == [1]


def test_a_caller_who_comes_back_at_another_replica_has_its_request_finished_there(crashing, simulator):
    caller, prompt = Caller(crashing.origin), f"[sim:slow=5] {unique()}"
    made = leave_running(crashing, caller, prompt)
    crashing.kill()
    with Crashing(simulator, crashing.folder) as other:
        log_with(other.log, "waits for its caller's key", made)
        crashing.start()
        caller.origin = other.origin
        assert caller.result(made).status_code == 200
        assert [task["submissions"] for task in simulator.tasks(prompt)] == [1]


def test_no_key_is_in_any_file_or_line_also_after_a_crash(crashing):
    keys = [new_key() for _ in range(3)] + [f"invalid{new_key()[:25]}"]
    callers = [Caller(crashing.origin, key) for key in keys]
    for caller in callers:
        key = caller.key
        webhook = {"webhook_url": "https://127.0.0.1/hook"}
        caller.generate(response_format="b64_json", output_format="gif", headers={"Idempotency-Key": key})
        caller.generate(prompt=f"[sim:drop] {unique()}", user=key, headers={"X-Client-Request-Id": key})
        caller.generate(apiKey=key, model=key)
        caller.generate(**webhook)
        caller.post("/images/generations", json=[{"taskType": "imageInference", "positivePrompt": "a", "apiKey": key}])
        caller.get(f"/models/{key}")
        caller.get(f"/requests/{key}?key={key}")
        caller.generate(stream=True, unknown=key)
        caller.generate(prompt=f"[sim:empty] {key}")
    leave_running(crashing, callers[0], f"[sim:slow=5] {unique()}")
    crashing.kill()
    assert files_with(crashing.folder.parent, *keys) == []
    crashing.start()
    callers[0].origin = crashing.origin
    callers[0].get("/requests")
    log_with(crashing.log, "taking over an abandoned request")
    assert files_with(crashing.folder.parent, *keys) == []
