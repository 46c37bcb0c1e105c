"""How a gateway starts, says that it cannot, and ends: real processes, from the first sentence to the last signal."""

import concurrent.futures
import contextlib
import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.support import loopback
from tests.support.children import SERVER, children_with
from tests.support.commands import ROOT, environment, served, spillway
from tests.support.processes import free_port, process, start_process, unique, wait_until_it_answers
from tests.support.raw import RawConnection, head
from tests.support.waiting import log_with, seen

BODY = {"model": "flux.1-schnell", "size": "256x256"}
AUTH = {"Authorization": "Bearer test-key"}
HEALTH = head("/healthz", method="GET")
PARTS = {"process", "database", "store", "upstream", "workers", "disk"}


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Connections are taken, as the system does for whoever listens, and nothing ever answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


POSTGRES = "postgresql://spillway:secret-word@127.0.0.1:{port}/spillway"


@pytest.mark.parametrize(
    ("named", "value", "workers"),
    [
        pytest.param("SPILLWAY_PORT", "{port}", "1", id="a taken port"),
        pytest.param("SPILLWAY_DATA_DIR", "{file}/data", "1", id="an unwritable folder"),
        pytest.param("SPILLWAY_DATABASE_URL", POSTGRES.replace("{port}", "9"), "2", id="a database that refuses"),
        pytest.param("SPILLWAY_DATABASE_URL", POSTGRES, "1", id="a database that never answers"),
        pytest.param("SPILLWAY_STORAGE_URL", "file://{file}/images", "1", id="a store that cannot be made"),
        pytest.param("SPILLWAY_KEEP_ALIVE", "soon", "1", id="a setting that says nothing"),
        pytest.param("SPILLWAY_CATALOG_DIR", "{file}-catalog", "1", id="a catalog that cannot be read"),
    ],
)
def test_what_is_missing_ends_the_start_with_one_sentence_and_exit_code_2(tmp_path, silent_port, named, value, workers):
    (tmp_path / "file").write_text("")
    (tmp_path / "file-catalog").mkdir()
    (tmp_path / "file-catalog" / "broken.yaml").write_text("models: [")
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import app.main, app.cli.serve"], cwd=ROOT, check=True)
    loading = time.monotonic() - began
    variables = {"SPILLWAY_PORT": str(free_port()), "SPILLWAY_LOG_LEVEL": "error"}
    variables[named] = value.format(port=silent_port, file=tmp_path / "file")
    began = time.monotonic()
    finished = spillway(tmp_path, "serve", "--workers", workers, **variables)
    took = time.monotonic() - began
    assert (finished.returncode, len(finished.stderr.splitlines())) == (2, 1), finished.stderr
    assert ("broken.yaml" if "CATALOG" in named else named) in finished.stderr
    assert "secret-word" not in finished.stderr
    # Loading all modules takes one and a half seconds on a quiet machine; the bound holds on a busy one too.
    assert took < 1 + 2 * loading


def start_to_ready(folder, port: int, *arguments: str) -> float:
    """Seconds of processor time that a gateway and what it starts take until it is ready."""
    command = [sys.executable, "-m", "app", "serve", "--port", str(port), *arguments]
    running = subprocess.Popen(command, env=environment(folder), stderr=subprocess.DEVNULL)
    try:
        wait_until_it_answers(port, "/readyz", running)
        times = psutil.Process(running.pid).cpu_times()
        return times.user + times.system
    finally:
        running.terminate()
        running.wait(30)


def test_a_start_takes_little_more_than_loading_the_code(tmp_path):
    loading = "import app.main, app.cli.serve, resource as r; print(sum(r.getrusage(r.RUSAGE_SELF)[:2]))"
    told = subprocess.run([sys.executable, "-c", loading], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert start_to_ready(tmp_path, free_port()) < 2 * float(told)


@pytest.mark.slow
def test_the_catalog_is_read_once_for_all_workers(tmp_path):
    """One that starts later, in the place of one that died, serves what was checked at the start."""
    folder = shutil.copytree(ROOT / "config" / "models", tmp_path / "models")
    with served(tmp_path, "--workers", "2", SPILLWAY_CATALOG_DIR=str(folder)) as (origin, running):
        readyz = f"{origin}/readyz"
        assert loopback.get(readyz, timeout=60).json()["models"] == 192
        shutil.rmtree(folder)
        before = {one.pid: one for one in children_with(SERVER, running.pid)}
        for one in before.values():
            one.kill()
        assert seen(lambda: before.keys().isdisjoint(one.pid for one in children_with(SERVER, running.pid)), bool)
        assert loopback.get(readyz, timeout=60).json()["models"] == 192


def test_readyz_names_every_part_and_its_state(tmp_path):
    with served(tmp_path) as (origin, _):
        ready = loopback.get(f"{origin}/readyz", timeout=20)
    parts = ready.json()["parts"]
    assert (ready.status_code, parts.keys()) == (200, PARTS)
    # Behind it stands what this kernel does not let the processes for images give up, if there is something.
    assert parts["workers"].partition(",")[0] == "ok"
    assert {word for name, word in parts.items() if name != "workers"} == {"ok"}
    assert ready.json()["problems"] == []


def state_of(port: int) -> tuple[int, str]:
    answer = loopback.get(f"http://127.0.0.1:{port}/readyz", timeout=20)
    return answer.status_code, answer.json()["parts"]["process"]


@pytest.mark.slow
def test_after_sigterm_it_is_not_ready_and_serves_on_and_then_it_ends(simulator, tmp_path):
    port = free_port()
    url, origin = f"http://127.0.0.1:{port}/v1/images/generations", f"http://127.0.0.1:{port}"
    with (
        process(simulator, tmp_path, port, SPILLWAY_DRAIN="4", SPILLWAY_GRACE="20") as running,
        RawConnection(origin) as kept,
        RawConnection(origin) as fresh,
        RawConnection(origin) as begun,
    ):
        assert state_of(port) == (200, "ok")
        kept.send(HEALTH)
        assert "connection" not in kept.answer().headers
        begun.send(HEALTH, HEALTH[:20])
        begun.answer()
        running.send_signal(signal.SIGTERM)
        told = time.monotonic()
        assert seen(lambda: state_of(port), lambda state: state[0] == 503, 3) == (503, "ending")
        assert kept.ends_within(3) is not None, "a pool that would go on with it would come here on"
        fresh.send(HEALTH)
        begun.send(HEALTH[20:])
        for connection in (fresh, begun):
            answer = connection.answer()
            assert (answer.status, answer.headers["connection"], connection.rest()) == (200, "close", b"")
        body = BODY | {"prompt": f"{unique()} [sim:slow=6]"}
        with concurrent.futures.ThreadPoolExecutor() as pool:
            asked = pool.submit(loopback.post, url, json=body, headers=AUTH, timeout=60)
            assert asked.result().status_code == 200, "it came while there was service, and ended within the grace"
        assert running.wait(30) in {0, -signal.SIGTERM}
        assert time.monotonic() - told > 4


def test_without_a_time_to_drain_the_end_begins_at_once(simulator, tmp_path):
    port = free_port()
    with process(simulator, tmp_path, port, SPILLWAY_GRACE="1") as running:
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) in {0, -signal.SIGTERM}


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, "1"), (signal.SIGTERM, "2")], ids=["INT", "TERM"])
def test_a_second_signal_ends_all_processes_at_once(simulator, tmp_path, number, workers):
    port, prompt = free_port(), f"{unique()} [sim:slow=120]"
    program = ("-m", "app", "serve", "--workers", workers)
    variables = {"SPILLWAY_DRAIN": "100", "SPILLWAY_GRACE": "100", "SPILLWAY_LOG_LEVEL": "warning"}
    with (tmp_path / "log").open("wb") as log:
        running = start_process(simulator.url, tmp_path, port, log=log, program=program, **variables)
    try:
        wait_until_it_answers(port, running=running)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            body = json.dumps(BODY | {"prompt": prompt})
            connection.request("POST", "/v1/images/generations", body, AUTH | {"Content-Type": "application/json"})
            assert seen(lambda: simulator.asked(prompt), bool)
            children = psutil.Process(running.pid).children(recursive=True)
            running.send_signal(signal.SIGTERM)
            assert "not ready any more" in log_with(tmp_path / "log", "not ready any more")
            running.send_signal(number)
            running.wait(20)
            assert psutil.wait_procs(children, timeout=20)[1] == []
    finally:
        running.kill()
        running.wait()


@pytest.mark.slow
def test_what_a_supervisor_passes_on_counts_as_one_signal_with_that_of_the_manager(simulator, tmp_path):
    """systemd signals every process of a service; what runs still ends in peace."""
    port, prompt = free_port(), f"{unique()} [sim:slow=3]"
    program = ("-m", "app", "serve", "--workers", "2")
    with (
        process(simulator, tmp_path, port, program=program, SPILLWAY_GRACE="20") as running,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        url = f"http://127.0.0.1:{port}/v1/images/generations"
        asked = pool.submit(loopback.post, url, json=BODY | {"prompt": prompt}, headers=AUTH, timeout=60)
        assert seen(lambda: simulator.asked(prompt), bool)
        for one in [psutil.Process(running.pid), *psutil.Process(running.pid).children()]:
            one.send_signal(signal.SIGTERM)
        assert asked.result().status_code == 200
        assert running.wait(30) == 0
