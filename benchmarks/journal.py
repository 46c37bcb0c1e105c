"""What the journal costs: a claim before anything is sent, its end, and how the caller went; and waiting for an end.

`python -m benchmarks.journal` measures one process on an SQLite file in the system's temporary folder; with the address
of an empty PostgreSQL database as argument it also sets two processes beside one, and 500 callers that wait for work of
another process. CPU is the process's own, writer thread and commits included; the server's is its backends'.
"""

import asyncio
import contextlib
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

import psutil
import uvloop
from sqlalchemy import make_url, text

from app.database.engine import open_engine
from app.database.schema import migrate
from app.database.transaction import Transaction
from app.domain.answer import TaskCost
from app.domain.ids import GrowingIds
from app.jobs.end_watch import EndWatch
from app.jobs.write_queue import WriteQueue
from app.journal.claims import Claim, Claims
from app.journal.journal import Journal
from app.journal.records import Intent, Lease, Receipt, Settlement, Status
from app.server.middleware import RequestIds
from benchmarks.journal_floor import AT_ONCE, measure_with_callers

_REQUESTS = 3000
_AT_ONCE_BESIDE = 4
_REQUESTS_BESIDE = 80
_COMMIT_OPTIONS = "-c synchronous_commit=on -c commit_delay=100000 -c commit_siblings=0"
"""Each commit takes 100 ms, more than any disk: the processes wait for it and not for the machine's cores."""
_ROUNDS = 3
_FLUSH_SECONDS = 10.0
_WAITING, _WAITING_SECONDS = 500, 20.0
_ids, _task_ids = RequestIds(), GrowingIds()
_DONE = Settlement(Status.COMPLETED, '{"images": []}' + " " * 600, None, Decimal("0.0013"))
_LOCK_WAITS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@dataclass(frozen=True)
class Cost:
    """What so many requests cost in one process."""

    requests: int
    seconds: float
    cpu: float
    claim_p50: float
    claim_p99: float


def _intent() -> Intent:
    task_id = _task_ids()
    return Intent(
        request_id=_ids(),
        tenant="bench",
        key_hash=None,
        fingerprint=uuid.uuid4().hex,
        endpoint="generations",
        model="flux.1-schnell",
        executed_model="runware:100@1",
        n=1,
        task_ids=(task_id,),
        estimate=None,
        plan="{}" + " " * 400,
    )


def _open(url: str) -> Journal:
    engine = open_engine(url)
    migrate(engine)
    return Journal.on(engine, key_ttl=86_400, adopt_window=60)


def _join_or_open(transaction: Transaction, claims: Claims, intent: Intent) -> Claim:
    """A claim that spends for nobody's account."""
    return claims.join(transaction, intent) or claims.open(transaction, intent)


async def _one(journal: Journal, intent: Intent, waits: list[float], queue: WriteQueue) -> None:
    started = time.perf_counter()
    claim = await journal.writer.decide(journal.claims.names_of(intent), (), _join_or_open, journal.claims, intent)
    waits.append(time.perf_counter() - started)
    record = claim.record
    cost = TaskCost(intent.task_ids[0], Decimal("0.0013"), is_complete=True)
    await journal.writer.post(journal.outcomes.settle, Lease(record.id, record.fence), _DONE, [cost])
    # Nobody waits for it.
    queue.post_patiently(record.id, journal.claims.acknowledge, record.id, Receipt.DELIVERED)


async def _run(journal: Journal, at_once: int, count: int = _REQUESTS) -> Cost:
    waits: list[float] = []
    queue = WriteQueue(journal.writer)

    async def work(count: int) -> None:
        for _ in range(count):
            await _one(journal, intents.pop(), waits, queue)

    # Made beforehand: what a request becomes is not the journal's cost.
    intents = [_intent() for _ in range(count)]
    cpu, started = time.process_time(), time.perf_counter()
    await asyncio.gather(*(work(count // at_once) for _ in range(at_once)))
    await queue.close(_FLUSH_SECONDS)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    waits.sort()
    return Cost(len(waits), seconds, cpu, waits[len(waits) // 2], waits[int(len(waits) * 0.99)])


def _measure_one_process(url: str) -> None:
    journal = _open(url)
    print(f"{'requests at once':>16} {'CPU us':>8} {'requests/s':>11} {'claim p50 ms':>13} {'claim p99 ms':>13}")
    for at_once in (1, 32, 256):
        cost = asyncio.run(_run(journal, at_once))
        print(
            f"{at_once:>16} {cost.cpu / cost.requests * 1e6:8.0f} {cost.requests / cost.seconds:11.0f} "
            f"{cost.claim_p50 * 1e3:13.1f} {cost.claim_p99 * 1e3:13.1f}"
        )
    journal.close()


def _compare_with_floor() -> None:
    """By turns with what it must cost at least; the medians."""
    pairs = []
    for _ in range(_ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            journal = _open(f"sqlite:///{Path(folder) / 'journal.db'}")
            cost = uvloop.run(_run(journal, AT_ONCE))
            journal.close()
        pairs.append((cost.cpu / cost.requests, measure_with_callers()[0]))
    own, floor = (statistics.median(column) * 1e6 for column in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"\nwith {AT_ONCE} at once {own:.0f} us, and its floor {floor:.0f}: {ratio:.2f} times as much")


def _work_as_child(url: str) -> None:
    """One of several processes: say so when ready, begin when told, and report."""
    journal = _open(make_url(url).update_query_dict({"options": _COMMIT_OPTIONS}).render_as_string(hide_password=False))
    asyncio.run(_run(journal, 1, 1))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(asdict(asyncio.run(_run(journal, _AT_ONCE_BESIDE, _REQUESTS_BESIDE)))), flush=True)
    journal.close()


def _measure_processes(url: str, count: int) -> tuple[float, float, float, float]:
    """Requests a second, CPU seconds a request of the processes and of the server, backends that wait for locks."""
    command = [sys.executable, "-m", "benchmarks.journal", "--child", url]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    before, started = _server_cpu(url), time.perf_counter()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    waits: list[int] = []
    engine = open_engine(url)
    with engine.connect() as connection:
        while not all(_has_reported(child) for child in children):
            waits.append(connection.execute(_LOCK_WAITS).scalar() or 0)
            connection.rollback()
            time.sleep(0.01)
    seconds, server = time.perf_counter() - started, _server_cpu(url) - before
    engine.dispose()
    reports = [json.loads(child.communicate()[0] or "{}") for child in children]
    requests = sum(report["requests"] for report in reports)
    own = sum(report["cpu"] for report in reports)
    return requests / seconds, own / requests, server / requests, sum(waits) / max(len(waits), 1)


def _has_reported(child: "subprocess.Popen[str]") -> bool:
    assert child.stdout is not None
    return bool(select.select([child.stdout], [], [], 0)[0])


def _server_cpu(url: str) -> float:
    engine = open_engine(url)
    with engine.connect() as connection:
        data = connection.execute(text("SHOW data_directory")).scalar()
    engine.dispose()
    pid = int((Path(str(data)) / "postmaster.pid").read_text().split()[0])
    server = psutil.Process(pid)
    total = sum(server.cpu_times()[:4])  # its own, and that of backends that have ended
    for child in server.children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended just now
            total += sum(child.cpu_times()[:2])
    return total


def _compare_processes(url: str) -> None:
    """One process and two by turns, so that whatever else the machine does meets both; the medians."""
    print(f"\n{'processes':>16} {'requests/s':>11} {'own CPU us':>11} {'server CPU us':>14} {'waiting for locks':>18}")
    rounds = [(count, _measure_processes(url, count)) for _ in range(_ROUNDS) for count in (1, 2)]
    rates = []
    for count in (1, 2):
        columns = zip(*(measured for number, measured in rounds if number == count), strict=True)
        rate, own, server, waits = (statistics.median(column) for column in columns)
        rates.append(rate)
        print(f"{count:>16} {rate:11.0f} {own * 1e6:11.0f} {server * 1e6:14.0f} {waits:18.2f}")
    print(f"two processes do {rates[1] / rates[0]:.2f} times the requests of one; cores: {os.cpu_count()}")


async def _wait_for_others(journal: Journal) -> float:
    """The share of a core that many callers cost who wait for requests that run elsewhere."""
    intents = [_intent() for _ in range(_WAITING)]
    for intent in intents:
        await journal.writer.decide(journal.claims.names_of(intent), (), _join_or_open, journal.claims, intent)
    watch = EndWatch(journal.history, journal.listener)
    waiting = [asyncio.create_task(watch.wait_for_end(intent.request_id, 3600)) for intent in intents]
    await asyncio.sleep(2)  # past the first look at each
    cpu, started = time.process_time(), time.perf_counter()
    await asyncio.sleep(_WAITING_SECONDS)
    share = (time.process_time() - cpu) / (time.perf_counter() - started)
    for task in waiting:
        task.cancel()
    watch.stop()
    return share


def _measure_waiting(url: str) -> None:
    journal = _open(url)
    share = asyncio.run(_wait_for_others(journal))
    print(f"\n{_WAITING} callers that wait for requests of another process: {share:.2%} of a core")
    journal.close()


def main() -> None:
    """The tables."""
    if sys.argv[1:2] == ["--child"]:
        _work_as_child(sys.argv[2])
        return
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{Path(folder) / 'journal.db'}"
        _measure_one_process(url)
        if url.startswith("sqlite"):
            _compare_with_floor()
        else:
            _compare_processes(url)
        _measure_waiting(url)


if __name__ == "__main__":
    main()
