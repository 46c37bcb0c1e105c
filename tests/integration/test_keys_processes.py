"""Keys of one database seen by several processes: the command line, two gateways, and whatever lies on the disk."""

import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from app.database.engine import open_engine
from app.database.key_tables import metadata
from tests.support import loopback
from tests.support.commands import served, spillway
from tests.support.processes import free_port, start_process, wait_until_it_answers
from tests.support.waiting import seen

pytestmark = pytest.mark.slow
EFFECT_SECONDS = 5.0


def status(origin: str, key: str | None = None) -> int:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return loopback.get(f"{origin}/v1/requests", headers=headers, timeout=60).status_code


def answers_in_time(origin: str, key: str | None, wanted: int) -> bool:
    """Whether a gateway answers like this within five seconds, beside what the machine takes for some questions.

    It is asked all the time, as a busy key asks.
    """
    began, slowest = time.monotonic(), 0.0

    def ask_once() -> int:
        nonlocal slowest
        asked = time.monotonic()
        said = status(origin, key)
        slowest = max(slowest, time.monotonic() - asked)
        return said

    assert seen(ask_once, lambda said: said == wanted) == wanted
    return time.monotonic() - began < EFFECT_SECONDS + 4 * slowest


def keys(folder: Path, *arguments: str, **variables: str) -> dict:
    finished = spillway(folder, "keys", *arguments, "--json", **variables)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_the_first_key_closes_an_open_gateway_that_runs(simulator, tmp_path):
    runware = {"RUNWARE_API_KEY": "a-runware-key", "RUNWARE_BASE_URL": f"{simulator.url}/v1"}
    with served(tmp_path, **runware) as (origin, _):
        assert status(origin) == 200
        assert loopback.post(f"{origin}/v1/keys", json={"name": "me"}).status_code == 403  # nobody becomes its boss
        made = keys(tmp_path, "create", "first")
        assert answers_in_time(origin, None, 401)
        assert status(origin, made["key"]) == 200
        keys(tmp_path, "revoke", "first")
        assert answers_in_time(origin, made["key"], 401)
        assert status(origin) == 401  # revoking the last key does not open it again


@pytest.fixture
def pair(simulator, tmp_path, database):
    """Two gateways on one database, their logs in files."""
    url = database.fresh()
    with ExitStack() as stack:
        origins = []
        for name in ("one", "two"):
            port, log = free_port(), stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            (tmp_path / name).mkdir()
            variables = {"SPILLWAY_DATABASE_URL": url, "SPILLWAY_ADMIN_KEYS": "boss=boss-key", "SPILLWAY_API_KEYS": ""}
            running = start_process(
                simulator.url, tmp_path / name, port, log=log, SPILLWAY_LOG_LEVEL="debug", **variables
            )
            stack.callback(running.wait)
            stack.callback(running.kill)
            wait_until_it_answers(port, running=running)
            origins.append(f"http://127.0.0.1:{port}")
        yield (*origins, url)


def ask(origin: str, method: str, path: str, body: object = None) -> dict:
    headers = {"Authorization": "Bearer boss-key"}
    return loopback.request(method, f"{origin}/v1{path}", json=body, headers=headers, timeout=60).json()


def test_what_one_gateway_changes_holds_on_the_other_within_five_seconds(pair):
    one, two, _ = pair
    made = ask(one, "POST", "/keys", {"name": "shared", "admin": True})
    assert [status(origin, made["key"]) for origin in (one, two)] == [200, 200]  # at once, on both
    after = ask(one, "POST", "/keys/shared/rotate", {"grace": 0})
    assert status(one, made["key"]) == 401
    assert answers_in_time(two, made["key"], 401)
    assert [status(origin, after["key"]) for origin in (one, two)] == [200, 200]
    ask(two, "DELETE", "/keys/shared")
    assert status(two, after["key"]) == 401
    assert answers_in_time(one, after["key"], 401)


def test_no_secret_lies_anywhere(pair, tmp_path):
    one, two, url = pair
    made = ask(one, "POST", "/keys", {"name": "secret", "budget": 5})
    after = ask(two, "POST", "/keys/secret/rotate", {"grace": "1h"})
    body = {"prompt": "a harbor", "size": "256x256", "user": "somebody"}
    for origin, key in ((one, made["key"]), (two, after["key"]), (one, after["key"][:-1])):
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "a"}
        loopback.post(f"{origin}/v1/images/generations", json=body, headers=headers, timeout=60)
        loopback.get(f"{origin}/v1/requests/{key}", headers=headers)
        loopback.get(f"{origin}/{key}", headers=headers)
        loopback.get(f"{origin}/v1/keys/{key}", headers={"Authorization": "Bearer boss-key"})
    used = seen(lambda: ask(one, "GET", "/keys/secret"), lambda key: key["last_used_at"] is not None)
    assert used["last_used_at"] is not None
    secrets = [key.rsplit("-", 1)[1][:30].encode() for key in (made["key"], after["key"])]
    looked_at = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(looked_at) >= 2
    for path in looked_at:
        lines = path.read_bytes().split(b"\n")
        assert [line[:300] for line in lines if any(secret in line for secret in secrets)] == [], path
    engine = open_engine(url)
    with engine.begin() as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(select(table))]
    engine.dispose()
    assert made["id"] in str(rows)
    assert not [secret for secret in secrets if secret.decode() in str(rows)]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_command_line_speaks_to_a_gateway_as_to_the_database(pair, tmp_path):
    one, _, url = pair
    remote = ("--base-url", f"{one}/v1", "--api-key", "boss-key")
    options = (
        "--budget", "20", "--period", "month", "--rpm", "60", "--images-per-minute", "120", "--concurrency", "8",
        "--models", "riverflow-*,flux.1-schnell", "--expires", "90d", "--default-model", "flux.1-schnell",
        "--default", "response_format=b64_json", "--forbid-unpriced", "--webhook-url", "https://a.example/hook",
    )  # fmt: skip
    database = {"SPILLWAY_DATABASE_URL": url}
    made = [
        keys(tmp_path, "create", "remote", *options, *remote),
        keys(tmp_path, "create", "local", *options, **database),
    ]
    changing = {"id", "name", "last_four", "key", "created_at", "expires_at"}
    assert len({json.dumps({name: one[name] for name in one if name not in changing}) for one in made}) == 1
    assert made[0]["defaults"] == {"response_format": "b64_json", "model": "flux.1-schnell"}
    assert (made[1]["rpm"], made[1]["budget"]["limit"], made[1]["models"]) == (
        60,
        20.0,
        ["riverflow-*", "flux.1-schnell"],
    )
    assert [status(one, key["key"]) for key in made] == [200, 200]
    assert keys(tmp_path, "update", "local", "--rpm", "", "--admin", *remote)["rpm"] is None
    assert keys(tmp_path, "show", made[1]["id"], **database)["admin"] is True
    listed = [keys(tmp_path, "list", *remote), keys(tmp_path, "list", "--status", "active", **database)]
    assert [[key["name"] for key in page["data"]] for page in listed] == [["local", "remote"]] * 2
    assert keys(tmp_path, "rotate", "remote", "--grace", "0", **database)["id"] == made[0]["id"]
    assert keys(tmp_path, "revoke", "remote", *remote)["status"] == "revoked"
    entries = ask(one, "GET", "/audit")["data"]
    assert {entry["actor"].partition(":")[0] for entry in entries} == {"boss", "cli"}
    taken = spillway(tmp_path, "keys", "create", "local", **database)
    assert (taken.returncode, "Another key is called 'local'" in taken.stderr) == (5, True)
    refused = spillway(tmp_path, "keys", "list", "--base-url", f"{one}/v1", "--api-key", made[0]["key"])
    assert (refused.returncode, "401" in refused.stderr) == (3, True)


def test_a_new_key_is_printed_so_that_a_script_can_take_it(tmp_path):
    finished = spillway(tmp_path, "keys", "create", "ci", "--budget", "2.5")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("sk-spw-")
    assert finished.stdout.count("\n") == 1
    assert "not shown again" in finished.stderr
    shown = spillway(tmp_path, "keys", "show", "ci").stdout
    assert "$2.5 in all" in shown
    assert finished.stdout.strip() not in shown
    assert "ci" in spillway(tmp_path, "keys", "list").stdout
    assert spillway(tmp_path, "keys", "show", "nobody").returncode == 5
