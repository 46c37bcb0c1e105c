"""Real servers for the tests: one simulator process and gateways on real sockets, all on loopback."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest
import uvicorn
from hypothesis import HealthCheck, settings

from app.main import create_app
from app.server.configuration import server_options
from app.settings.load import Settings, load_settings
from tests.support import loopback
from tests.support.databases import Database, PostgresServer, SQLiteFolder, migrated_file
from tests.support.postgres import postgres_server
from tests.support.quick import QUICK_PARTS, read_before

FIXTURES = Path(__file__).parent / "fixtures"

# The same examples in each run, however slow the machine is, so that a run says what the one before it said.
# `--hypothesis-profile=explore` looks for others.
_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", _ANY_MACHINE, derandomize=True)
settings.register_profile("explore", _ANY_MACHINE, derandomize=False)
settings.load_profile("repeatable")


@dataclass(frozen=True)
class SimulatorProcess:
    """A running simulator."""

    url: str
    client: httpx2.Client = field(default_factory=lambda: loopback.client(timeout=60))

    def tasks(self, prompt: str | None = None) -> list[dict]:
        """What it accepted, in order: all of it, or the tasks with a prompt."""
        query = {} if prompt is None else {"prompt": prompt}
        return self.client.get(f"{self.url}/_simulator/tasks", params=query).json()["tasks"]

    def task(self, task_uuid: str) -> dict:
        """One accepted task."""
        return self.client.get(f"{self.url}/_simulator/tasks/{task_uuid}").raise_for_status().json()

    def asked(self, prompt: str) -> int:
        """How many tasks it accepted with a prompt."""
        return len(self.tasks(prompt))

    def made(self, prompt: str) -> int:
        """How many images it made for a prompt."""
        return sum(task["images"] for task in self.tasks(prompt))

    def accepted(self) -> int:
        """How many tasks it ever accepted; what is still made for one of another test is billed later."""
        return self.client.get(f"{self.url}/_simulator/ledger").json()["tasks"]

    def ledger(self) -> tuple[int, Decimal]:
        """Images made, and dollars billed."""
        body = self.client.get(f"{self.url}/_simulator/ledger").json()
        return body["images"], Decimal(body["total"])


@dataclass
class RunningGateway:
    """A gateway on a real socket."""

    origin: str
    simulator: SimulatorProcess | None
    client: httpx2.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = loopback.client(base_url=self.base_url, headers={"Authorization": "Bearer test-key"}, timeout=60)

    @property
    def base_url(self) -> str:
        """What an SDK is given."""
        return f"{self.origin}/v1"

    def generate(self, **fields: object) -> httpx2.Response:
        """POST JSON to generations; small and cheap unless told otherwise."""
        return self.client.post("/images/generations", json={"prompt": "a quiet harbor", "size": "256x256"} | fields)

    def edit(self, files: list, **fields: object) -> httpx2.Response:
        """POST a form to edits."""
        return self.client.post("/images/edits", data={"prompt": "make it night"} | fields, files=files)

    def sent(self, response: httpx2.Response) -> list[dict]:
        """The Runware tasks behind an answer, as the simulator saw them."""
        assert self.simulator is not None
        return [self.simulator.task(uuid)["request"] for uuid in response.json()["metadata"]["task_uuids"]]


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorProcess]:
    command = [sys.executable, "-m", "app", "simulate", "--port", "0", "--latency", "0.01", "--exit-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        url = json.loads(process.stdout.readline())["simulator"].removesuffix("/v1")
        running = SimulatorProcess(url)
        yield running
        running.client.close()
        process.stdin.close()


@contextlib.contextmanager
def serving(app: object, settings: Settings | None = None) -> Iterator[str]:
    """An ASGI application on a free loopback port, behind the server of production; its origin."""
    options = server_options((settings or load_settings({})).server)
    own = {"host": "127.0.0.1", "port": 0, "log_level": "error", "timeout_graceful_shutdown": 5}
    server = uvicorn.Server(uvicorn.Config(app, **(options | own)))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(600):
        if server.started:
            break
        time.sleep(0.02)
    assert server.started
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def _data(new_folder: Callable[[str], Path]) -> Path:
    """A folder of data with the tables of the journal, and nothing in them."""
    folder = new_folder("data")
    (folder / "spillway.db").write_bytes(migrated_file())
    return folder


@contextlib.contextmanager
def starting(simulator: SimulatorProcess, new_folder: Callable[[str], Path]) -> Iterator[Callable[..., RunningGateway]]:
    """A way to start gateways over the simulator, with settings and parts of their own."""
    with contextlib.ExitStack() as stack:

        def start(*, upstream: str | None = None, parts: dict | None = None, **variables: str) -> RunningGateway:
            environment = {
                "RUNWARE_API_KEY": "test-runware-key",
                "RUNWARE_BASE_URL": upstream or f"{simulator.url}/v1",
                "SPILLWAY_API_KEYS": "test-key,other-key",
                "SPILLWAY_DATA_DIR": variables.get("SPILLWAY_DATA_DIR") or str(_data(new_folder)),
                "SPILLWAY_ALLOW_PRIVATE_INPUT_URLS": "true",
                "SPILLWAY_LOG_LEVEL": "error",
                "SPILLWAY_GRACE": "1",
                "SPILLWAY_IMAGE_WORKERS": "1",
            } | variables
            settings = load_settings(environment)
            app = create_app(settings, replace(QUICK_PARTS, **(parts or {})), read_before(settings.models))
            gateway = RunningGateway(stack.enter_context(serving(app, settings)), None if upstream else simulator)
            stack.callback(gateway.client.close)
            return gateway

        yield start


@pytest.fixture
def start_gateway(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable]:
    """Gateways that end with the test."""
    with starting(simulator, tmp_path_factory.mktemp) as start:
        yield start


@pytest.fixture(scope="module")
def start_shared_gateway(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable]:
    """Gateways for the tests of a module."""
    with starting(simulator, tmp_path_factory.mktemp) as start:
        yield start


@pytest.fixture(scope="session")
def gateway(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One for all tests that ask nothing special of it."""
    with starting(simulator, tmp_path_factory.mktemp) as start:
        yield start()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as url:
        yield PostgresServer(url)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return SQLiteFolder(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres")
