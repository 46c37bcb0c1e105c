"""Unexpected faults of our own behind the purchase: tried again at once, then ever later, and in the end given up."""

import contextlib
import sqlite3
import time

import pytest

from app.jobs.lease_watch import MAX_TRIES
from app.runware.http_transport import HTTPTransport
from app.runware.keys import RunwareKey
from app.runware.transport import HTTPReply, Permit
from tests.support.processes import unique
from tests.support.waiting import seen


class Stumbling(HTTPTransport):
    """Fails unexpectedly after Runware has answered about a task, so often."""

    def __init__(self, url: str, left: int) -> None:
        super().__init__(url)
        self.left = left

    async def post(
        self,
        body: bytes,
        key: RunwareKey | None,
        timeout_seconds: float,
        max_bytes: int = 0,
        permit: Permit | None = None,
    ) -> HTTPReply:
        reply = await super().post(body, key, timeout_seconds, max_bytes, permit)
        if self.left and reply.status == 200:
            self.left -= 1
            raise ZeroDivisionError
        return reply


def ended(gateway, request_id: str, seconds: float) -> dict:
    """What became of a request, once it has ended."""
    record = seen(
        lambda: gateway.client.get(f"/requests/{request_id}").json(),
        lambda record: record["status"] not in {"queued", "processing"},
        seconds,
    )
    assert record["status"] not in {"queued", "processing"}, record
    return record


@pytest.mark.parametrize("faults", [1, 3])
def test_a_request_that_stumbles_is_taken_up_again_by_its_own_process_and_ends(
    start_gateway, simulator, tmp_path, faults
):
    path = tmp_path / "journal.db"
    gateway = start_gateway(
        parts={"connect": lambda *_: Stumbling(f"{simulator.url}/v1", faults), "lease_seconds": 3.0},
        SPILLWAY_DATABASE_URL=f"sqlite:///{path}",
    )
    prompt = unique()
    answer = gateway.generate(prompt=prompt)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "still_processing")
    record = ended(gateway, answer.headers["x-request-id"], 60)
    assert (record["status"], simulator.made(prompt)) == ("completed", 1)
    assert gateway.client.get(f"/requests/{record['id']}/result").status_code == 200
    with sqlite3.connect(path) as journal:
        ((tries, fence, owner),) = journal.execute("SELECT tries, fence, owner FROM requests").fetchall()
    assert tries == faults, "each fault costs one take-over, by this process too"
    assert (fence, bool(owner)) == (1 + 2 * faults, True)


def test_at_once_means_before_any_lease_has_ended(start_gateway, simulator):
    gateway = start_gateway(parts={"connect": lambda *_: Stumbling(f"{simulator.url}/v1", 1), "lease_seconds": 600.0})
    answer = gateway.generate(prompt=unique())
    assert ended(gateway, answer.headers["x-request-id"], 30)["status"] == "completed"


@pytest.mark.slow
def test_a_request_that_stumbles_for_ever_ends_and_says_that_its_cost_is_unknown(start_gateway, simulator, tmp_path):
    path = tmp_path / "journal.db"
    gateway = start_gateway(
        parts={"connect": lambda *_: Stumbling(f"{simulator.url}/v1", 10**6), "lease_seconds": 1.5},
        SPILLWAY_DATABASE_URL=f"sqlite:///{path}",
    )
    answer = gateway.generate(prompt=unique())
    hours_later = "UPDATE requests SET tries = ?, owner = 'a process that died' WHERE owner = ''"

    def age() -> bool:
        """As after an hour of it; only while it is nobody's, or its holder would write over it."""
        with contextlib.closing(sqlite3.connect(path)) as journal, journal:
            return journal.execute(hours_later, (MAX_TRIES - 1,)).rowcount == 1

    assert seen(age, bool, 30), "whoever takes it next is the last"
    record = ended(gateway, answer.headers["x-request-id"], 90)
    assert (record["status"], record["error"]["code"]) == ("failed", "internal_error")
    assert record["cost"] is None
    time.sleep(1)
    assert ended(gateway, record["id"], 1)["status"] == "failed", "nobody takes it up again"


def test_a_request_that_is_taken_up_again_keeps_the_end_of_its_link_and_the_look_for_transparency(
    start_gateway, simulator
):
    gateway = start_gateway(parts={"connect": lambda *_: Stumbling(f"{simulator.url}/v1", 1), "lease_seconds": 600.0})
    answer = gateway.generate(
        model="gpt-image-1",
        prompt=f"{unique()} [sim:opaque]",
        size="1024x1024",
        background="transparent",
        response_format="url",
        ttl=3600,
    )
    record = ended(gateway, answer.headers["x-request-id"], 30)
    result = gateway.client.get(f"/requests/{record['id']}/result").json()
    assert record["created_at"] + 3590 < result["data"][0]["expires_at"] <= record["completed_at"] + 3600
    assert [(one["param"], one["applied"]) for one in result["metadata"]["adjustments"]] == [("background", "opaque")]
