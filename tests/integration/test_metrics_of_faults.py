"""Each metric of what goes wrong, or runs full, is driven to change by that; see `test_metrics` for the others."""

import asyncio
import concurrent.futures
import signal
import time

import psycopg
import pytest
from sqlalchemy import make_url

from app import __version__
from app.images.workers.bounds import Job
from app.images.workers.pool import Workers
from app.observability.access_log import AccessLog
from app.observability.exposition import Exposition
from app.observability.hidden import HiddenValues
from app.observability.metrics import Metrics
from app.observability.numbers import Numbers
from app.server.middleware import RequestMiddleware
from tests.conftest import starting
from tests.support import image_jobs
from tests.support.children import IMAGE_WORKER, children_with
from tests.support.counted_calls import generate, leave, value
from tests.support.databases import SQLiteFolder, locked
from tests.support.images import png_of
from tests.support.processes import unique
from tests.support.raw import RawConnection, head
from tests.support.scraping import ADMIN_KEY, read
from tests.support.slow_upload import KIB, MIB, SlowUpload
from tests.support.waiting import seen

ADMINS = {"SPILLWAY_ADMIN_KEYS": f"boss={ADMIN_KEY}"}


@pytest.fixture(scope="module")
def small(start_shared_gateway):
    """A gateway with little room, and one process for images."""
    return start_shared_gateway(**ADMINS, SPILLWAY_MAX_BYTES_IN_FLIGHT=str(2 * MIB))


def test_what_finds_no_room_in_memory_is_counted(small):
    before = value(small, "spillway_overload_refusals_total", room="bytes")
    first = SlowUpload(small.origin, 900 * KIB)
    assert first.has_room()
    waits = {"X-Spillway-Timeout": "1"}
    image = [("image", ("a.png", png_of(400 * KIB)))]
    answer = small.client.post("/images/edits", data={"prompt": "make it night"}, files=image, headers=waits)
    assert answer.status_code == 429
    assert value(small, "spillway_overload_refusals_total", room="bytes") == before + 1
    assert value(small, "spillway_overload_refusals_total", room="tasks") == 0
    first.end()


def test_a_process_that_makes_an_image_is_busy(small):
    own = [one for one in children_with(IMAGE_WORKER) if one.status() != "zombie"]
    for one in own:
        one.send_signal(signal.SIGSTOP)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(generate, small, prompt=unique(), output_format="gif")
            assert seen(lambda: value(small, "spillway_workers", state="busy"), bool) == 1
            assert value(small, "spillway_workers", state="idle") == 0
            for one in own:
                one.send_signal(signal.SIGCONT)
            assert asked.result().status_code == 200
    finally:
        for one in own:
            one.send_signal(signal.SIGCONT)
    assert seen(lambda: value(small, "spillway_workers", state="idle"), bool) == 1
    assert value(small, "spillway_workers", state="busy") == 0


def test_a_process_is_starting_then_idle_then_busy():
    numbers = Numbers.private()
    metrics = Metrics(numbers)

    def shown(pool: Workers) -> tuple[float, ...]:
        metrics.state_workers(pool.states())
        text = read(Exposition(numbers, __version__).show().body.decode())
        return tuple(text.value("spillway_workers", state=state) for state in ("starting", "idle", "busy"))

    async def course() -> list[tuple[float, ...]]:
        pool = Workers(1, metrics)
        pool.start()
        told = [shown(pool)]
        await pool.warm()
        told.append(shown(pool))
        working = asyncio.create_task(pool.run_in_worker(Job("a", made=1000), image_jobs.sleep, 60))
        await asyncio.sleep(0)
        told.append(shown(pool))
        working.cancel()
        await pool.close()
        return told

    assert asyncio.run(course()) == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


def test_whoever_leaves_is_counted_by_how_far_its_request_was(small):
    def left(model: str) -> float:
        return value(small, "spillway_requests_total", model=model, status="499")

    late, early = left("flux.1-schnell"), left("")
    leave(small, f"{unique()} [sim:slow=1]")
    with RawConnection(small.origin) as connection:
        connection.send(head("/v1/images/generations", "Content-Length: 100") + b'{"prompt"')
        time.sleep(0.1)
    for model, before in (("flux.1-schnell", late), ("", early)):
        assert seen(lambda: left(model), lambda now: now == before + 1) == before + 1  # noqa: B023


def test_a_request_that_ends_with_its_process_is_counted_as_aborted():
    numbers = Numbers.private()

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    async def course() -> None:
        log = AccessLog("json", "error", HiddenValues(()))
        middleware = RequestMiddleware(never, {}, log, lambda path: (path, ""), metrics=Metrics(numbers))
        scope = {"type": "http", "method": "GET", "path": "/x", "headers": [], "state": {}}
        running = asyncio.create_task(middleware(scope, never, never))
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(course())
    text = read(Exposition(numbers, __version__).show().body.decode())
    assert text.value("spillway_requests_total", status="aborted") == 1


def test_what_a_dead_process_left_is_counted_where_it_is_taken_over(simulator, tmp_path, tmp_path_factory):
    own = {"SPILLWAY_DATA_DIR": str(tmp_path), **ADMINS}
    prompt = f"{unique()} [sim:hold]"
    with starting(simulator, tmp_path_factory.mktemp) as start:
        # As a process whose grace is over: what it runs is left as it is.
        first = start(**own, SPILLWAY_GRACE="0")
        body = {"prompt": prompt, "size": "256x256"}
        assert first.client.post("/images/generations", json=body, headers={"Prefer": "respond-async"}).is_success
        assert seen(lambda: simulator.asked(prompt), bool)
        assert value(first, "spillway_takeovers_total") == 0
    with starting(simulator, tmp_path_factory.mktemp) as start:
        second = start(parts={"lease_seconds": 0.5}, **own)
        assert seen(lambda: value(second, "spillway_takeovers_total"), bool) == 1
        query = {"prompt": prompt, "count": 9}
        assert simulator.client.post(f"{simulator.url}/_simulator/release", params=query).is_success


def test_what_waits_for_a_locked_journal_and_what_it_refuses_are_counted(start_gateway, tmp_path):
    url = SQLiteFolder(tmp_path).fresh()
    gateway = start_gateway(SPILLWAY_DATABASE_URL=f"{url}?timeout=2", **ADMINS)
    # A start writes as well.
    assert seen(lambda: value(gateway, "spillway_journal_backlog"), lambda now: now == 0) == 0
    assert value(gateway, "spillway_journal_errors_total") == 0
    with concurrent.futures.ThreadPoolExecutor(30) as pool:

        def ask() -> float:
            pool.submit(generate, gateway, prompt=unique())
            return value(gateway, "spillway_journal_backlog")

        with locked(url):
            assert seen(ask, bool) > 0
            assert seen(lambda: value(gateway, "spillway_journal_errors_total"), bool) > 0
    assert seen(lambda: value(gateway, "spillway_journal_backlog"), lambda now: now == 0) == 0


def test_a_database_that_takes_no_writes_is_counted_and_said_as_one_that_is_away(start_gateway, postgres):
    """What hosted servers do when their disk is full."""
    url = postgres.fresh()
    gateway = start_gateway(SPILLWAY_DATABASE_URL=url, **ADMINS)
    assert generate(gateway, prompt=unique()).status_code == 200
    name = make_url(url).database
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        # Sessions that are open keep what they began with.
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        prompt = unique()
        refused = seen(lambda: generate(gateway, prompt=prompt), lambda answer: answer.status_code == 503)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "journal_unavailable")
        assert gateway.simulator.asked(prompt) == 0, "nothing is bought meanwhile"
        assert value(gateway, "spillway_journal_errors_total") > 0
        assert gateway.client.get(f"{gateway.origin}/readyz").status_code == 503
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
    again = seen(lambda: generate(gateway, prompt=prompt), lambda answer: answer.status_code == 200)
    assert (again.status_code, gateway.simulator.made(prompt)) == (200, 1)
