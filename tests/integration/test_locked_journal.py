"""A journal that is locked: said at once, to balancers and callers, before waits pile up; and over when it is over."""

import concurrent.futures
import contextlib
import sqlite3
import time

import httpx2
import pytest

from tests.support import loopback
from tests.support.databases import SQLiteFolder, locked
from tests.support.processes import unique
from tests.support.waiting import seen


def readyz(gateway) -> httpx2.Response:
    return loopback.get(f"{gateway.origin}/readyz", timeout=20)


@pytest.mark.slow
def test_a_locked_journal_makes_readyz_say_no_and_new_work_be_refused_at_once(start_gateway, database):
    url = database.fresh()
    gateway = start_gateway(SPILLWAY_DATABASE_URL=url)
    assert gateway.generate(prompt=unique()).status_code == 200
    assert readyz(gateway).status_code == 200

    def ask(number: int) -> tuple[int, float]:
        time.sleep(number * 0.2)
        began = time.monotonic()
        answer = gateway.generate(prompt=unique())
        assert answer.status_code != 503 or answer.json()["error"]["code"] == "journal_unavailable"
        return answer.status_code, time.monotonic() - began

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        with locked(url):
            asked = [pool.submit(ask, number) for number in range(40)]
            ready = seen(lambda: readyz(gateway), lambda ready: ready.status_code == 503)
            assert ready.status_code == 503
            assert "journal" in ready.json()["problems"][0]
            assert loopback.get(f"{gateway.origin}/healthz").status_code == 200
            told = [one.result() for one in asked[:30]]
        told += [one.result() for one in asked[30:]]
    late = [wait for status, wait in told[15:30] if status == 503]
    assert len(late) >= 10, "most come after it is known"
    assert sorted(late)[len(late) // 2] < 2, "and are told at once"
    assert max(wait for _, wait in told) < 40, "nobody waits for those before it"
    assert seen(lambda: readyz(gateway).status_code, lambda status: status == 200) == 200
    assert gateway.generate(prompt=unique()).status_code == 200


def test_what_was_bought_before_the_journal_was_locked_is_delivered_and_booked_after(start_gateway, tmp_path):
    url = SQLiteFolder(tmp_path).fresh()
    gateway = start_gateway(SPILLWAY_DATABASE_URL=f"{url}?timeout=0.3")
    prompt = f"{unique()} [sim:slow=1.5]"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(gateway.generate, prompt=prompt)
        assert seen(lambda: gateway.simulator.asked(prompt), bool)
        with locked(url):
            answer = asked.result()
            assert answer.status_code == 200, "nobody is kept from what it paid for"
    record = seen(
        lambda: gateway.client.get(f"/requests/{answer.json()['id']}").json(),
        lambda record: record["status"] == "completed",
    )
    assert (record["status"], record["cost"]) == ("completed", answer.json()["metadata"]["cost"])
    assert gateway.simulator.made(prompt) == 1


def test_a_journal_that_is_gone_is_said_like_one_that_is_locked(start_gateway, tmp_path):
    path = tmp_path / "journal.db"
    gateway = start_gateway(SPILLWAY_DATABASE_URL=f"sqlite:///{path}?timeout=0.2")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as journal:
        journal.execute("ALTER TABLE requests RENAME TO elsewhere")
        answers = [
            gateway.generate(prompt=unique()),
            gateway.client.get("/requests"),
            gateway.client.get("/requests/req_1"),
        ]
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.json()["error"]["code"] for answer in answers} == {"journal_unavailable"}
        assert {answer.headers["x-should-retry"] for answer in answers} == {"true"}
        journal.execute("ALTER TABLE elsewhere RENAME TO requests")
    assert gateway.generate(prompt=unique()).status_code == 200
