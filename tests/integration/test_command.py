"""The spillway command as its users run it: real processes."""

import concurrent.futures
import json
import re
import signal

import psutil
import pytest

from tests.support import loopback
from tests.support.children import children_with
from tests.support.commands import served, spillway
from tests.support.images import open_bytes, png
from tests.support.processes import unique
from tests.support.waiting import log_with, seen


@pytest.fixture(scope="module")
def without_key(tmp_path_factory):
    folder = tmp_path_factory.mktemp("without_key")
    with served(folder) as (origin, process):
        yield origin, process, folder


def test_without_a_runware_key_the_simulator_answers_and_says_so(without_key):
    origin, _, folder = without_key
    answer = loopback.post(f"{origin}/v1/images/generations", json={"prompt": "a pear", "size": "256x256"}, timeout=30)
    assert answer.headers["x-spillway-upstream"] == "simulator"
    url = answer.json()["data"][0]["url"]
    assert url.startswith(f"{origin}/v1/media/")  # the simulator itself may be out of the caller's reach
    assert open_bytes(loopback.get(url).content).size == (256, 256)
    assert loopback.get(f"{origin}/readyz").json()["upstream"] == "simulator"
    note = "built-in simulator makes the images"
    assert note in log_with(folder / "log", note)


def test_a_start_compiles_the_catalog_and_the_next_one_reads_that(without_key, tmp_path):
    compiled = without_key[2] / "catalog.json"
    assert compiled.stat().st_mode & 0o777 == 0o600
    (tmp_path / "catalog.json").write_text(compiled.read_text().replace('"flux.1-schnell"', '"compiled-schnell"'))
    with served(tmp_path, SPILLWAY_DEFAULT_MODEL="compiled-schnell") as (origin, _):
        listed = [model["id"] for model in loopback.get(f"{origin}/v1/models").json()["data"]]
    assert "compiled-schnell" in listed
    assert "flux.1-schnell" not in listed


def test_generate_and_edit_write_files(without_key, tmp_path):
    base = {"SPILLWAY_BASE_URL": f"{without_key[0]}/v1"}
    made = spillway(tmp_path, "generate", "a pear", "--size", "320x320", "-o", "pear.png", **base)
    assert made.returncode == 0, made.stderr
    assert open_bytes((tmp_path / "pear.png").read_bytes()).size == (320, 320)
    edited = spillway(
        tmp_path, "edit", "pear.png", "--prompt", "at night", "--format", "webp", "-n", "2", "-o", "out.webp", **base
    )
    assert edited.returncode == 0, edited.stderr
    assert [open_bytes((tmp_path / f"out-{number}.webp").read_bytes()).format for number in (1, 2)] == ["WEBP", "WEBP"]
    told = spillway(tmp_path, "generate", "a pear", "--aspect-ratio", "7:1", "--model", "riverflow-1", "--json", **base)
    assert json.loads(told.stdout)["size"] == "1512x648"
    assert json.loads(told.stdout)["files"]


def test_models_are_shown(without_key, tmp_path):
    base = {"SPILLWAY_BASE_URL": f"{without_key[0]}/v1"}
    assert "riverflow-1-mini" in spillway(tmp_path, "models", **base).stdout
    one = spillway(tmp_path, "models", "sourceful:1@1", **base).stdout
    assert "riverflow-1" in one
    assert "1152x864" in one


def test_faults_of_a_client_command_are_told_with_an_exit_code_of_their_kind(without_key, tmp_path):
    base = {"SPILLWAY_BASE_URL": f"{without_key[0]}/v1"}
    unknown = spillway(tmp_path, "generate", "a pear", "--model", "nobody", **base)
    assert (unknown.returncode, "model_not_found" in unknown.stderr) == (5, True)
    nowhere = spillway(tmp_path, "generate", "a pear", SPILLWAY_BASE_URL="http://127.0.0.1:9/v1")
    assert (nowhere.returncode, "No gateway answers" in nowhere.stderr) == (4, True)
    assert "Traceback" not in unknown.stderr + nowhere.stderr


def test_several_workers_share_the_port_and_their_links(tmp_path):
    with served(tmp_path, "--workers", "2") as (origin, _):
        urls = set()
        for _ in range(8):
            body = {"prompt": "a pear", "size": "256x256", "output_format": "gif"}
            urls.add(loopback.post(f"{origin}/v1/images/generations", json=body, timeout=30).json()["data"][0]["url"])
        assert all(loopback.get(url).status_code == 200 for url in urls)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=["TERM", "INT", "KILL"])
def test_the_simulator_ends_with_the_gateway_however_it_ends(tmp_path, number):
    with served(tmp_path) as (_, process):
        simulators = children_with("app.simulator", process.pid)
        process.send_signal(number)
        process.wait(20)
        assert len(simulators) == 1
        assert psutil.wait_procs(simulators, timeout=10)[1] == []


def test_what_runs_is_finished_before_the_gateway_ends(tmp_path, simulator):
    variables = {"RUNWARE_API_KEY": "a-runware-key", "RUNWARE_BASE_URL": f"{simulator.url}/v1"}
    with served(tmp_path, **variables) as (origin, process):
        body = {"prompt": f"{unique()} [sim:slow=1.5]", "size": "256x256"}
        with concurrent.futures.ThreadPoolExecutor() as pool:
            asked = pool.submit(loopback.post, f"{origin}/v1/images/generations", json=body, timeout=30)
            assert seen(lambda: simulator.asked(body["prompt"]), bool)
            process.terminate()
            assert asked.result().status_code == 200
        assert process.wait(20) in {0, -signal.SIGTERM}


def test_no_secret_is_in_the_log(tmp_path, simulator):
    variables = {
        "RUNWARE_API_KEY": "rw-very-secret-key",
        "RUNWARE_BASE_URL": f"{simulator.url}/v1",
        "SPILLWAY_API_KEYS": "caller-secret-key",
        "SPILLWAY_LOG_LEVEL": "debug",
        "SPILLWAY_LOG_FORMAT": "json",
    }
    with served(tmp_path, **variables) as (origin, _):
        headers = {"Authorization": "Bearer caller-secret-key"}
        for marker in ("", "[sim:bad-key]", "[sim:html]", "[sim:unknown-code]"):
            body = {"prompt": f"an apple {marker}", "size": "256x256", "model": "flux.2-pro", "user": "customer-17"}
            response = loopback.post(f"{origin}/v1/images/generations", headers=headers, json=body, timeout=30)
            assert "secret" not in response.text + str(response.headers)
        loopback.post(
            f"{origin}/v1/images/edits", headers=headers, files={"image": png()}, data={"prompt": "x" * 5}, timeout=30
        )
    log = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {line["status"] for line in lines if line["event"] == "request"} >= {200, 502, 400}
    assert any("RUNWARE_API_KEY" in line["event"] for line in lines)
    assert {line["id"] for line in lines if line.get("user") == "customer-17"} <= {
        line["id"] for line in lines if line["event"] == "request"
    }
    assert sum(line.get("user") == "customer-17" for line in lines) == 4
    assert "secret-key" not in log
    assert not re.search(r"[A-Za-z0-9+/]{200}", log)


WRONG = {
    "SPILLWAY_PORT": "eighty",
    "SPILLWAY_SECRET": "short-secret",
    "SPILLWAY_MODEL_ALIASES": "broken",
    "RUNWARE_BASE_URL": "gopher://x",
    "SPILLWAY_MEDIA_TTL": "5",
    "SPILLWAY_DEFAULT_RESPONSE_FORMAT": "jpeg",
}


@pytest.mark.parametrize("command", ["check", "serve"])
def test_wrong_settings_are_all_told_at_once_without_secrets(tmp_path, command):
    finished = spillway(tmp_path, command, **WRONG)
    assert finished.returncode == 2
    lines = finished.stderr.strip().splitlines()
    assert len(lines) == len(WRONG)
    assert all(any(line.startswith(name) for line in lines) for name in WRONG)
    assert "short-secret" not in finished.stderr
    assert "Traceback" not in finished.stderr


def test_check_says_that_all_is_well(tmp_path):
    finished = spillway(tmp_path, "check")
    assert (finished.returncode, "192 models" in finished.stdout) == (0, True)


def test_check_reads_an_env_file(tmp_path):
    (tmp_path / "own.env").write_text("SPILLWAY_PORT=abc\n")
    assert "SPILLWAY_PORT" in spillway(tmp_path, "check", "--env-file", "own.env").stderr
    (tmp_path / ".env").write_text("SPILLWAY_DEFAULT_MODEL=flux.1-shnell\n")
    finished = spillway(tmp_path, "check")
    assert (finished.returncode, "did you mean flux.1-schnell" in finished.stderr) == (2, True)
    assert "does not exist" in spillway(tmp_path, "check", "--env-file", "none.env").stderr


def test_check_names_file_and_line_of_a_catalog_fault(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.yaml").write_text(
        "creator: A\nmodels:\n  - id: a\n    air: a:1@1\n    name: A\n    modes: [generate]\n    sizes:\n      kind: fixed\n"
        "      tiers:\n        1K: [1024x1024, 12y12]\n  - id: b\n    air: nonsense\n    name: B\n    modes: [generate]\n"
        "    sizes: {kind: automatic}\n    colour: red\n"
    )
    finished = spillway(tmp_path, "check", SPILLWAY_CATALOG_DIR=str(tmp_path / "models"))
    assert finished.returncode == 2
    assert "a.yaml:10" in finished.stderr
    assert "a.yaml:12: b: air" in finished.stderr
    assert "colour" in finished.stderr


@pytest.mark.parametrize(
    ("variables", "starts"),
    [({}, False), ({"SPILLWAY_API_KEYS": "k"}, True), ({"SPILLWAY_ALLOW_ANONYMOUS": "true"}, True)],
)
def test_without_keys_it_only_serves_on_loopback(tmp_path, variables, starts):
    finished = spillway(tmp_path, "check", SPILLWAY_HOST="0.0.0.0", **variables)
    assert (finished.returncode == 0) is starts
    if not starts:
        assert "SPILLWAY_ALLOW_ANONYMOUS" in finished.stderr
