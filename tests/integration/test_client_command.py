"""The client commands against a real gateway: what was bought is never lost, and no fault is a traceback."""

import json
import re
import signal
import subprocess
import sys
import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from app.cli.program import app
from tests.support import loopback
from tests.support.commands import INTERRUPTIBLE, ROOT, environment
from tests.support.images import open_bytes, png
from tests.support.waiting import seen


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def open_gateway(start_shared_gateway):
    return start_shared_gateway(SPILLWAY_REQUEST_TIMEOUT="1.5")


@pytest.fixture
def run(open_gateway, folder):
    def run(*arguments: str, base_url: str = open_gateway.base_url, **variables: str):
        env = {"SPILLWAY_BASE_URL": base_url, "SPILLWAY_API_KEY": "test-key", "COLUMNS": "200"} | variables
        return CliRunner().invoke(app, list(arguments), env=env)

    return run


@pytest.fixture
def prompt():
    return f"a pear {uuid.uuid4().hex}"


@contextmanager
def relay(origin: str, *, lost: int, cut: bool = False):
    """A gateway's double that passes requests on, and whose first `lost` answers never arrive, or streams end early."""
    remaining = [lost]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: self.headers[name] for name in ("Authorization", "Content-Type", "Idempotency-Key")}
            answer = loopback.post(f"{origin}{self.path}", content=body, headers=headers, timeout=60)
            if remaining[0] > 0:
                remaining[0] -= 1
                self.close_connection = True
                return
            self._answer(answer, answer.content.partition(b"\n\n")[0] + b"\n\n" if cut else answer.content)

        def do_GET(self) -> None:
            answer = loopback.get(
                f"{origin}{self.path}", headers={"Authorization": self.headers["Authorization"]}, timeout=60
            )
            self._answer(answer, answer.content)

        def _answer(self, answer, sent: bytes) -> None:
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            for name in ("Content-Type", "x-request-id"):
                self.send_header(name, answer.headers[name])
            self.end_headers()
            self.wfile.write(sent)
            self.close_connection = len(sent) < len(answer.content)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("output", "format_"),
    [
        ("x.png", "PNG"),
        ("x.webp", "WEBP"),
        ("x.jpg", "JPEG"),
        ("x.JPEG", "JPEG"),
        ("x.gif", "GIF"),
        ("x.avif", "AVIF"),
        ("new/folder/x.webp", "WEBP"),
        ("no-ending", "PNG"),
    ],
)
def test_the_ending_of_the_file_says_the_format(run, folder, prompt, output, format_):
    made = run("generate", prompt, "--size", "256x256", "-o", output)
    assert made.exit_code == 0, made.output
    assert open_bytes((folder / output).read_bytes()).format == format_
    assert made.stdout.splitlines()[0] == output


def test_images_without_a_name_bear_their_requests(run, folder, prompt):
    first, second = (run("generate", prompt, "--size", "256x256", *more) for more in ([], ["-o", "."]))
    names = [result.stdout.splitlines()[0] for result in (first, second)]
    assert len({*names}) == 2
    assert all(re.fullmatch(r"spillway-[0-9a-f]{12}\.png", name) and (folder / name).is_file() for name in names)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["-o", "file/x.png"], 6, id="no folder"),
        pytest.param(["-o", f"{'x' * 300}.png"], 6, id="a name that is too long"),
        pytest.param(["-o", "x.png", "--format", "webp"], 2, id="a contradiction"),
        pytest.param(["-o", "taken.png", "-n", "2"], 6, id="one of several is a folder"),
    ],
)
def test_nothing_is_bought_for_a_file_that_cannot_be_written(run, folder, prompt, open_gateway, arguments, code):
    (folder / "file").write_text("")
    (folder / "taken-2.png").mkdir()
    before = sorted(folder.rglob("*"))
    refused = run("generate", prompt, "--size", "256x256", *arguments)
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (code, 1)
    assert open_gateway.simulator.made(prompt) == 0
    assert sorted(folder.rglob("*")) == before


def test_a_request_that_is_refused_leaves_no_folders(run, folder):
    refused = run("generate", "a pear", "--model", "nobody", "-o", "new/deep/z.png")
    assert (refused.exit_code, [*folder.iterdir()]) == (5, [])


def test_what_is_collected_into_a_file_of_another_format_is_refused_and_not_renamed(run, folder, open_gateway, prompt):
    request_id = open_gateway.generate(prompt=prompt).json()["id"]
    refused = run("collect", request_id, "-o", "pear.jpg")
    assert (refused.exit_code, "name the file pear.png" in refused.stderr) == (2, True)
    assert [*folder.iterdir()] == []
    assert run("collect", request_id, "-o", "pear.png").exit_code == 0


def test_a_file_that_cannot_be_filled_is_told_with_the_command_that_gets_the_image(run, folder, prompt, open_gateway):
    lost = run("generate", prompt, "--size", "256x256", "-o", "/dev/full")
    assert lost.exit_code == 6
    (command,) = re.findall(r"spillway (collect req_[0-9a-f]{32} -o) FILE", lost.stderr)
    collected = run(*command.split(), "pear.png")
    assert collected.exit_code == 0, collected.output
    assert open_bytes((folder / "pear.png").read_bytes()).size == (256, 256)
    assert open_gateway.simulator.made(prompt) == 1


def test_an_answer_that_is_lost_on_the_way_is_asked_for_again_and_bought_once(run, folder, prompt, open_gateway):
    with relay(open_gateway.origin, lost=1) as base_url:
        made = run("generate", prompt, "--size", "256x256", "-o", "pear.png", base_url=base_url)
    assert made.exit_code == 0, made.output
    assert open_bytes((folder / "pear.png").read_bytes()).size == (256, 256)
    assert open_gateway.simulator.made(prompt) == 1


@pytest.mark.slow
def test_whoever_stops_the_command_is_told_how_to_get_what_was_asked_for(run, folder, prompt, open_gateway):
    slow = f"{prompt} [sim:slow=4]"
    command = [*INTERRUPTIBLE, sys.executable, "-m", "app", "generate", slow, "--size", "256x256", "-o", "pear.png"]
    own = {"SPILLWAY_BASE_URL": open_gateway.base_url, "SPILLWAY_API_KEY": "test-key", "PYTHONPATH": str(ROOT)}
    stopped = subprocess.Popen(command, env=environment(folder, **own), stderr=subprocess.PIPE, text=True)
    assert seen(lambda: open_gateway.simulator.asked(slow), bool, 60)
    stopped.send_signal(signal.SIGINT)
    told = stopped.communicate(timeout=60)[1]
    assert stopped.returncode == 1
    (key,) = re.findall(r"--idempotency-key (\S+)", told)
    assert "Traceback" not in told
    made = run("generate", slow, "--size", "256x256", "-o", "pear.png", "--idempotency-key", key)
    assert made.exit_code == 0, made.output
    assert open_gateway.simulator.made(slow) == 1


@pytest.mark.slow
def test_when_every_answer_is_lost_the_key_that_gets_it_is_told(run, folder, prompt, open_gateway):
    with relay(open_gateway.origin, lost=99) as base_url:
        lost = run("generate", prompt, "--size", "256x256", "-o", "pear.png", base_url=base_url)
    assert lost.exit_code == 4
    (key,) = re.findall(r"--idempotency-key (\S+)", lost.stderr)
    made = run("generate", prompt, "--size", "256x256", "-o", "pear.png", "--idempotency-key", key)
    assert made.exit_code == 0, made.output
    assert open_gateway.simulator.made(prompt) == 1


def test_what_takes_longer_than_the_gateway_waits_is_waited_for(run, folder, prompt, open_gateway):
    made = run("generate", f"{prompt} [sim:slow=4]", "--size", "256x256", "-o", "pear.png")
    assert made.exit_code == 0, made.output
    assert open_gateway.simulator.made(f"{prompt} [sim:slow=4]") == 1


def test_an_edit_is_written_and_told_in_json_without_its_bytes(run, folder, prompt):
    (folder / "otter.png").write_bytes(png(480, 360))
    made = run("edit", "otter.png", "--prompt", prompt, "-n", "2", "-o", "out.webp", "--json")
    told = json.loads(made.stdout)
    assert told["files"] == ["out-1.webp", "out-2.webp"]
    assert "b64_json" not in made.stdout
    assert [open_bytes((folder / name).read_bytes()).format for name in told["files"]] == ["WEBP", "WEBP"]


@pytest.mark.parametrize(
    ("base_url", "code", "told"),
    [
        ("http://127.0.0.1:9/v1", 4, "No gateway answers"),
        ("nonsense", 2, "no address of a gateway"),
        ("http://", 2, "no address of a gateway"),
        ("ftp://127.0.0.1/v1", 2, "no address of a gateway"),
        ("http://[::1", 2, "no address of a gateway"),
        ("http://127.0.0.1:99999/v1", 4, "No gateway answers"),
    ],
)
def test_an_address_without_a_gateway_is_one_sentence(run, prompt, base_url, code, told):
    failed = run("generate", prompt, base_url=base_url)
    assert (failed.exit_code, len(failed.stderr.splitlines())) == (code, 1)
    assert told in failed.stderr
    assert failed.exception is None or isinstance(failed.exception, SystemExit)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["generate", "a pear", "--model", "nobody"], "model_not_found"),
        (["generate", "a pear", "--size", "1x1x1"], "[400"),
        (["collect", f"req_{'0' * 32}"], "[404"),
        (["collect", "../../healthz"], "[404"),
        (["models", "nobody"], "[404"),
    ],
)
def test_a_refusal_is_one_sentence_with_status_code_and_id(run, arguments, told):
    failed = run(*arguments)
    assert (failed.exit_code, len(failed.stderr.splitlines())) == (5, 1)
    assert told in failed.stderr
    assert re.search(r"req_[0-9a-f]{32}\]$", failed.stderr.strip())


def test_the_block_of_the_page_on_the_command_line_works(open_gateway, folder):
    (block,) = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), re.DOTALL)
    named = {"SPILLWAY_BASE_URL": open_gateway.base_url, "SPILLWAY_API_KEY": "test-key", "PYTHONPATH": str(ROOT)}
    command = f'spillway() {{ {sys.executable} -m app "$@"; }}\n{block}'
    ran = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env=environment(folder, **named),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert open_bytes((folder / "night.png").read_bytes()).format == "PNG"
    assert open_bytes((folder / "light.png").read_bytes()).format == "PNG"


def test_a_stream_that_breaks_is_collected_and_nothing_is_bought_twice(run, folder, prompt, open_gateway):
    with relay(open_gateway.origin, lost=0, cut=True) as base_url:
        made = run("generate", prompt, "-n", "2", "--stream", "--size", "256x256", "-o", "a.png", base_url=base_url)
    assert made.exit_code == 0, made.output
    assert [open_bytes((folder / f"a-{number}.png").read_bytes()).size for number in (1, 2)] == [(256, 256)] * 2
    assert open_gateway.simulator.made(prompt) == 2


@pytest.mark.parametrize(
    ("scenario", "options"),
    [
        pytest.param("[sim:partial=1]", ["-n", "2"], id="of one task"),
        pytest.param("[sim:fail-odd]", ["-n", "2", "--seed", "10", "--stream"], id="of a stream"),
    ],
)
def test_the_images_of_several_that_exist_are_written_and_the_others_end_it_with_1(
    run, folder, prompt, scenario, options
):
    partial = run("generate", f"{prompt} {scenario}", *options, "--size", "256x256", "-o", "a.png")
    assert partial.exit_code == 1, partial.output
    assert "failed: " in partial.stdout
    assert [path.name for path in folder.iterdir()] in (["a-1.png"], ["a.png"])


def test_an_edit_reads_standard_input_and_writes_standard_output(open_gateway, folder, prompt):
    named = {"SPILLWAY_BASE_URL": open_gateway.base_url, "SPILLWAY_API_KEY": "test-key", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "app", "edit", "-", "--prompt", prompt, "--format", "webp", "-o", "-"]
    ran = subprocess.run(
        command, cwd=folder, env=environment(folder, **named), input=png(480, 360), capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert open_bytes(ran.stdout).format == "WEBP"
    assert b"cost $" in ran.stderr
    assert [*folder.iterdir()] == []


def test_a_file_that_is_there_is_not_overwritten_and_nothing_is_bought(run, folder, prompt, open_gateway):
    (folder / "a.png").write_bytes(b"mine")
    refused = run("generate", prompt, "--size", "256x256", "-o", "a.png")
    assert (refused.exit_code, "--force" in refused.stderr) == (6, True)
    assert ((folder / "a.png").read_bytes(), open_gateway.simulator.made(prompt)) == (b"mine", 0)
    assert run("generate", prompt, "--size", "256x256", "-o", "a.png", "--force").exit_code == 0
    assert open_bytes((folder / "a.png").read_bytes()).size == (256, 256)


def test_any_field_is_set_and_strictness_refuses_what_would_be_dropped(run, folder, prompt, open_gateway):
    made = run("generate", prompt, "--size", "256x256", "--set", "steps=7", "--seed", "11", "--json")
    assert json.loads(made.stdout)["data"][0]["seed"] == 11
    planned = run("generate", prompt, "--size", "256x256", "--set", "steps=7", "--dry-run", "--json")
    assert json.loads(planned.stdout)["plan"][0]["steps"] == 7
    assert open_gateway.simulator.made(prompt) == 1
    refused = run("generate", prompt, "--size", "256x256", "--quality", "hd", "--strict")
    assert (refused.exit_code, "quality" in refused.stderr) == (5, True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param("prot = 1", "`prot` is not a setting; did you mean `port`?", id="no setting"),
        pytest.param('port = "abc"', "SPILLWAY_PORT: expected", id="no value of one"),
    ],
)
@pytest.mark.parametrize("place", ["own.toml", "./own.toml"], ids=["plain", "with a dot"])
def test_a_file_of_settings_with_a_mistake_is_told_as_check_tells_it(run, folder, content, told, place):
    (folder / "own.toml").write_text(content)
    asked, checked = (run(command, SPILLWAY_CONFIG=place) for command in ("models", "check"))
    assert (asked.exit_code, told in asked.stderr) == (2, True), asked.output
    assert (asked.stderr, asked.exit_code) == (checked.stderr, checked.exit_code)


@pytest.mark.parametrize(
    "command", [["models"], ["generate", "a pear"], ["keys", "list"], ["usage"], ["ledger", "verify"]]
)
def test_a_key_of_the_environment_is_not_sent_where_a_file_of_the_folder_says(folder, open_gateway, command):
    (folder / ".env").write_text(f"SPILLWAY_BASE_URL={open_gateway.base_url}\n")
    refused = CliRunner().invoke(app, command, env={"SPILLWAY_API_KEY": "test-key"})
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (2, 1)
    assert "SPILLWAY_BASE_URL stands in .env" in refused.stderr
    meant = CliRunner().invoke(
        app, ["models", "--base-url", open_gateway.base_url], env={"SPILLWAY_API_KEY": "test-key"}
    )
    assert meant.exit_code == 0, meant.output


@pytest.mark.parametrize("more", [[], ["--stream"]], ids=["an answer", "a stream"])
def test_a_connection_to_runware_that_is_cut_ends_it_as_unreachable(run, prompt, more):
    failed = run("generate", f"{prompt} [sim:unreachable]", "--size", "256x256", *more)
    assert (failed.exit_code, len(failed.stderr.splitlines())) == (4, 1)


def test_a_refused_key_has_an_exit_code_of_its_own(run, prompt):
    refused = run("generate", prompt, "--api-key", "nobody")
    assert (refused.exit_code, "invalid_api_key" in refused.stderr) == (3, True)


def test_the_gateway_of_this_machine_is_found_by_its_own_settings(open_gateway, folder, prompt):
    port = open_gateway.origin.rpartition(":")[2]
    (folder / ".env").write_text(f"SPILLWAY_PORT={port}\nSPILLWAY_API_KEYS=test-key,other-key\n")
    made = CliRunner().invoke(app, ["generate", prompt, "--size", "256x256", "-o", "pear.png"])
    assert made.exit_code == 0, made.output
