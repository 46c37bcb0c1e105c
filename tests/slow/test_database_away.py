"""The database stands still, is away, or is locked: what goes on without it, and that nothing is bought meanwhile."""

import time

import pytest

from tests.support import loopback
from tests.support.databases import PostgresServer, SQLiteFolder, locked
from tests.support.postgres import running_postgres
from tests.support.processes import unique
from tests.support.waiting import seen

pytestmark = pytest.mark.slow
HEAD = {"Idempotency-Key": "known"}


@pytest.fixture(scope="module")
def own_postgres():
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["a server that stands still", "a server that is away", "a locked file"])
def broken(request, tmp_path):
    """The URL of a journal, and how to break it."""
    if request.param == "a locked file":
        url = SQLiteFolder(tmp_path).fresh()
        return f"{url}?timeout=0.3", lambda: locked(url)
    server = request.getfixturevalue("own_postgres")
    url = PostgresServer(server.url).fresh()
    return url, server.standing_still if "still" in request.param else server.away


def test_without_the_database_nothing_is_bought_and_what_needs_none_goes_on(start_gateway, broken):
    url, breaking = broken
    gateway = start_gateway(SPILLWAY_DATABASE_URL=url)
    known, new = unique(), unique()
    bought = keyed(gateway, known, HEAD["Idempotency-Key"], response_format="url", output_format="gif")
    embedded = keyed(gateway, known, "embedded", response_format="b64_json")
    assert (bought.status_code, embedded.status_code) == (200, 200)
    made = gateway.simulator.made(known)
    with breaking():
        refusals = [refused(gateway, new) for _ in range(2)]
        assert {(one.status_code, one.json()["error"]["code"]) for one in refusals} == {(503, "journal_unavailable")}
        assert all(one.headers["x-should-retry"] == "true" and "retry-after" in one.headers for one in refusals)
        # Known already, so nothing is asked of the database for it.
        again = keyed(gateway, known, HEAD["Idempotency-Key"], response_format="url", output_format="gif")
        assert (again.status_code, again.json()["id"]) == (200, bought.json()["id"])
        assert again.headers["Idempotent-Replayed"] == "true"
        assert loopback.get(again.json()["data"][0]["url"]).status_code == 200
        shown = keyed(gateway, known, "embedded", response_format="b64_json")
        assert shown.json()["data"][0]["b64_json"] == embedded.json()["data"][0]["b64_json"]
        other = keyed(gateway, new, HEAD["Idempotency-Key"], response_format="url", output_format="gif")
        assert (other.status_code, other.json()["error"]["code"]) == (400, "idempotency_key_reused")
        assert loopback.get(f"{gateway.origin}/healthz").status_code == 200
        assert loopback.get(f"{gateway.origin}/readyz", timeout=30).status_code == 503
        assert gateway.client.get("/models").status_code == 200
        assert gateway.client.get("/models/flux.1-schnell").status_code == 200
        planned = gateway.client.post("/images/generations?dryRun=true", json={"prompt": new})
        assert planned.status_code == 200
        assert gateway.simulator.asked(new) == 0
    ready = seen(lambda: loopback.get(f"{gateway.origin}/readyz", timeout=30).status_code, lambda it: it == 200, 60)
    assert ready == 200
    answer = seen(lambda: keyed(gateway, new, "after"), lambda it: it.status_code == 200, 30)
    assert (answer.status_code, gateway.simulator.made(new), gateway.simulator.made(known)) == (200, 1, made)
    assert seen(lambda: open_requests(gateway), lambda it: it == []) == []


def test_what_runs_when_the_server_stands_still_is_delivered_and_booked_afterwards(start_gateway, own_postgres):
    gateway = start_gateway(SPILLWAY_DATABASE_URL=PostgresServer(own_postgres.url).fresh())
    prompt = f"{unique()} [sim:slow=2]"
    accepted = gateway.client.post(
        "/images/generations", json={"prompt": prompt, "size": "256x256"}, headers={"Prefer": "respond-async"}
    )
    assert accepted.status_code == 202
    assert seen(lambda: gateway.simulator.asked(prompt), bool)
    with own_postgres.standing_still():
        assert seen(lambda: gateway.simulator.made(prompt), bool)
    record = seen(
        lambda: gateway.client.get(f"/requests/{accepted.json()['id']}").json(),
        lambda it: it["status"] == "completed" and it["cost"] is not None,
        60,
    )
    assert (record["status"], gateway.simulator.made(prompt)) == ("completed", 1)


def keyed(gateway, prompt: str, key: str, **fields):
    return gateway.client.post(
        "/images/generations",
        json={"prompt": prompt, "size": "256x256"} | fields,
        headers={"Idempotency-Key": key},
    )


def refused(gateway, prompt: str):
    began = time.monotonic()
    answer = gateway.client.post("/images/generations", json={"prompt": prompt, "size": "256x256"}, timeout=90)
    assert time.monotonic() - began < 60, "nobody waits without an end"
    return answer


def open_requests(gateway) -> list:
    return gateway.client.get("/requests?status=processing").raise_for_status().json()["data"]
