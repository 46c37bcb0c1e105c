"""How the gateway takes its port, says that it listens, and answers those who watch it."""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import loopback
from tests.support.commands import environment, free_port, served, spillway


def test_a_port_that_is_taken_is_one_sentence_and_nothing_else_is_said(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        finished = spillway(tmp_path, "serve", "--port", str(port))
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert re.fullmatch(
        rf"Port {port} on 127\.0\.0\.1 is taken by another program: [^\n]*SPILLWAY_PORT\.\n", finished.stderr
    )


@pytest.mark.parametrize(
    ("host", "told"),
    [("no-such-host.invalid", "there is no address"), ("203.0.113.7", "is no address of this machine")],
    ids=["unknown-name", "not-this-machine"],
)
def test_an_address_that_cannot_be_listened_on_is_one_sentence(tmp_path, host, told):
    finished = spillway(tmp_path, "serve", "--host", host, "--port", str(free_port()), SPILLWAY_API_KEYS="k")
    assert (finished.returncode, len(finished.stderr.splitlines())) == (2, 1)
    assert told in finished.stderr
    assert "SPILLWAY_HOST" in finished.stderr


def test_a_data_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    finished = spillway(
        tmp_path, "serve", "--port", str(free_port()), SPILLWAY_DATA_DIR=str(tmp_path / "file" / "data")
    )
    assert (finished.returncode, len(finished.stderr.splitlines())) == (2, 1)
    assert finished.stderr.startswith("SPILLWAY_DATA_DIR")


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_that_it_listens_is_said_once_and_not_before_it_answers(tmp_path, workers):
    port = free_port()
    command = [sys.executable, "-m", "app", "serve", "--port", str(port), "--workers", workers]
    process = subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
    try:
        # Lines of the log may come before it.
        line = next(line for line in process.stderr if "listens on" in line)
        assert f"listens on http://127.0.0.1:{port}" in line
        asked = time.monotonic()
        assert loopback.get(f"http://127.0.0.1:{port}/readyz", timeout=20).status_code == 200
        assert time.monotonic() - asked < 5
    finally:
        process.terminate()
        rest = process.communicate(timeout=30)[1]
    assert "listens on" not in rest


def test_health_checks_are_not_logged_and_everything_else_is(tmp_path):
    with served(tmp_path) as (origin, _):
        for path in ("/healthz", "/readyz", "/metrics", "/v1/models", "/nowhere"):
            loopback.get(f"{origin}{path}", timeout=20)
    logged = re.findall(r"GET (\S+) \d{3} ", (tmp_path / "log").read_text())
    assert logged == ["/v1/models", "/nowhere"]


@pytest.mark.parametrize("told_by", ["environment", "env-file"])
def test_the_containers_health_check_follows_the_port(tmp_path, told_by):
    def check(port: int) -> int:
        variables = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        if told_by == "environment":
            variables |= {"SPILLWAY_PORT": str(port), "SPILLWAY_HOST": "0.0.0.0"}
        else:
            (tmp_path / ".env").write_text(f"SPILLWAY_PORT={port}\nSPILLWAY_HOST=0.0.0.0\n")
        command = [sys.executable, "-m", "app.cli.health"]
        return subprocess.run(
            command, cwd=tmp_path, env=environment(tmp_path, **variables), timeout=30, check=False
        ).returncode

    with served(tmp_path) as (origin, _):
        assert check(int(origin.rpartition(":")[2])) == 0
    assert check(free_port()) == 1
