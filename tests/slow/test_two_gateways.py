"""Two gateways on one PostgreSQL, one of them killed in the middle: keys, budgets, limits, idempotency and recovery together."""

import concurrent.futures
import contextlib
import itertools
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Self

import httpx2
import pytest
from sqlalchemy import Engine, func, select

from app.database.key_tables import accounts, ledger_entries
from app.database.tables import requests
from app.domain.caller import Limits, Period
from app.domain.money import to_nanos
from tests.conftest import SimulatorProcess
from tests.support import loopback
from tests.support.commands import spillway
from tests.support.databases import open_migrated
from tests.support.keys import change_key, numbered_key, put_key
from tests.support.processes import free_port, start_process, unique, wait_until_it_answers
from tests.support.waiting import seen

pytestmark = [pytest.mark.slow, pytest.mark.measured, pytest.mark.timeout(600)]
AFFORDABLE, ASKED, RATE = 30, 90, 12
BUDGETED, LIMITED, REVOKED = 1, 2, 3
OPEN = ("queued", "processing")


@pytest.fixture
def own_simulator():
    """Whose bill is that of this test alone."""
    command = [sys.executable, "-m", "app", "simulate", "--port", "0", "--latency", "0.3", "--exit-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        running = SimulatorProcess(json.loads(process.stdout.readline())["simulator"].removesuffix("/v1"))
        yield running
        running.client.close()
        process.stdin.close()


@dataclass
class Pair:
    """Two gateways, and a caller that goes to the other one where one does not answer."""

    simulator: SimulatorProcess
    folder: Path
    url: str
    ports: list[int] = field(default_factory=lambda: [free_port(), free_port()])
    processes: list[subprocess.Popen] = field(default_factory=list)

    def start(self, index: int) -> subprocess.Popen:
        return start_process(
            self.simulator.url, self.folder, self.ports[index], SPILLWAY_DATABASE_URL=self.url, SPILLWAY_API_KEYS=""
        )

    def __enter__(self) -> Self:
        # At once, on a database without tables: one of them makes these.
        self.processes = [self.start(index) for index in range(2)]
        for port, process in zip(self.ports, self.processes, strict=True):
            wait_until_it_answers(port, running=process)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def kill_and_start_again(self, index: int) -> None:
        self.processes[index].kill()
        self.processes[index].wait()
        self.processes[index] = self.start(index)
        wait_until_it_answers(self.ports[index], running=self.processes[index])

    def ask(self, first: int, key: str, prompt: str, idempotency_key: str | None = None) -> httpx2.Response:
        """The answer to one request, as an SDK would get it: asked again elsewhere where a gateway breaks off."""
        headers = {"Authorization": f"Bearer {key}"}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        body = {"prompt": prompt, "size": "512x512", "model": "flux.1-schnell"}
        deadline = time.monotonic() + 120
        for index in itertools.cycle((first, 1 - first)):
            told: object = None
            try:
                url = f"http://127.0.0.1:{self.ports[index]}/v1/images/generations"
                answer = loopback.post(url, json=body, headers=headers, timeout=60)
                if answer.status_code < 500:
                    return answer
                told = answer.text
            except httpx2.TransportError as error:
                told = error
            assert time.monotonic() < deadline, told
            time.sleep(0.2)
        raise AssertionError


def test_two_gateways_hold_budgets_limits_and_keys_together_while_one_is_killed(own_simulator, postgres, tmp_path):
    url = postgres.fresh()
    with Pair(own_simulator, tmp_path, url) as pair:
        engine = open_migrated(url)
        budget = price_of(pair) * AFFORDABLE
        budgeted = put_key(engine, BUDGETED, limits=Limits(budget=budget, period=Period.TOTAL))
        limited = put_key(engine, LIMITED, limits=Limits(rpm=RATE))
        revoked = put_key(engine, REVOKED)
        with watched(engine) as most_held:
            answers = storm(pair, budgeted)
            began = time.monotonic()
            told = [answer.status_code for answer in at_once(lambda index: pair.ask(index % 2, limited, unique()), 40)]
            elapsed = time.monotonic() - began
            assert seen(lambda: count_open(engine), lambda it: it == 0, 180) == 0, "every request comes to an end"
            # What a killed process had reserved and never bought can be spent again, and no more than that.
            last = [pair.ask(0, budgeted, unique()) for _ in range(AFFORDABLE)]
        assert RATE <= told.count(200) <= RATE + 1 + elapsed * RATE / 60
        assert set(told) == {200, 429}
        assert {answer.status_code for answer in (*answers, *last)} == {200, 402}
        assert all(
            (one.json()["error"]["type"], one.json()["error"]["code"]) == ("insufficient_quota", "budget_exceeded")
            for one in (*answers, *last)
            if one.status_code == 402
        )
        assert last[-1].status_code == 402
        assert seen(lambda: count_open(engine), lambda it: it == 0, 60) == 0
        assert max(most_held) <= to_nanos(budget), "at no moment more than the budget"
        assert account_of(engine, BUDGETED) == (to_nanos(budget), 0)
        assert books(engine) == (to_nanos(own_simulator.ledger()[1]), 0, 0)
        assert own_simulator.ledger()[0] == AFFORDABLE + told.count(200)
        verified = spillway(tmp_path, "ledger", "verify", "--json", SPILLWAY_DATABASE_URL=url)
        assert (verified.returncode, json.loads(verified.stdout)["exact"]) == (0, True), verified.stdout
        assert pair.ask(0, revoked, unique()).status_code == 200
        change_key(engine, REVOKED, revoked_at=time.time())
        for index in range(2):
            told = seen(lambda: pair.ask(index, revoked, unique()).status_code, lambda it: it == 401, 5)  # noqa: B023
            assert told == 401, "on every replica within five seconds"
        engine.dispose()


def storm(pair: Pair, key: str) -> list[httpx2.Response]:
    """More requests than the budget is for, each sent to both gateways at once; one of these is killed meanwhile."""
    prompts = [f"{unique()} {'[sim:slow=1.5]' if index % 3 == 0 else ''}" for index in range(ASKED)]
    killing = threading.Thread(target=kill_in_the_middle, args=(pair,))
    killing.start()
    twice = [(prompt, index) for prompt in prompts for index in range(2)]
    answers = at_once(
        lambda number: pair.ask(twice[number][1], key, twice[number][0], f"order {number // 2}"), len(twice)
    )
    killing.join()
    for (prompt, _), answer in zip(twice, answers, strict=True):
        made = pair.simulator.made(prompt)
        assert made <= 1, "never bought twice"
        assert made == 1 or answer.status_code == 402
    ids: dict[str, set[str]] = {}
    for (prompt, _), answer in zip(twice, answers, strict=True):
        if answer.status_code == 200:
            ids.setdefault(prompt, set()).add(answer.json()["id"])
    assert Counter(map(len, ids.values())).keys() == {1}, "one key, one request, on whichever gateway"
    return answers


def kill_in_the_middle(pair: Pair) -> None:
    assert seen(lambda: pair.simulator.ledger()[0], lambda images: images >= AFFORDABLE // 4, 60)
    pair.kill_and_start_again(0)


def at_once(ask, count: int) -> list[httpx2.Response]:
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        return list(pool.map(ask, range(count)))


def price_of(pair: Pair) -> Decimal:
    """What one image is estimated at; without any key yet, everybody may ask."""
    url = f"http://127.0.0.1:{pair.ports[0]}/v1/images/generations?dryRun=true"
    answer = loopback.post(url, json={"prompt": "a harbor", "size": "512x512", "model": "flux.1-schnell"})
    return Decimal(answer.json()["total_cost_micros"]) / 1_000_000


@contextlib.contextmanager
def watched(engine: Engine):
    """What the budgeted key held and had spent, looked at again and again."""
    seen_amounts, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            seen_amounts.append(sum(account_of(engine, BUDGETED)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen_amounts
    finally:
        done.set()
        watcher.join()


def account_of(engine: Engine, number: int) -> tuple[int, int]:
    """What is spent and reserved, in nano-dollars."""
    sums = select(accounts.c.spent, accounts.c.reserved).where(accounts.c.key_id == numbered_key(number)[0])
    with engine.connect() as connection:
        row = connection.execute(sums).first()
    return (0, 0) if row is None else (row.spent, row.reserved)


def count_open(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(
            select(func.count()).select_from(requests).where(requests.c.status.in_(OPEN))
        ).scalar_one()


def books(engine: Engine) -> tuple[int, int, int]:
    """What the ledger has spent and reserved, and how many requests it holds anything reserved for."""
    sums = select(func.sum(ledger_entries.c.spent), func.sum(ledger_entries.c.reserved))
    held = (
        select(ledger_entries.c.request_id)
        .group_by(ledger_entries.c.request_id)
        .having(func.sum(ledger_entries.c.reserved) != 0)
    )
    with engine.connect() as connection:
        spent, reserved = connection.execute(sums).one()
        return int(spent), int(reserved), len(connection.execute(held).all())
