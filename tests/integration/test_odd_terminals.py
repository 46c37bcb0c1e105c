"""Odd arguments, streams, folders and environments: the command says one sentence, and never shows a traceback."""

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.support.commands import INTERRUPTIBLE, ROOT, environment
from tests.support.processes import unique
from tests.support.waiting import seen

COMMAND = f"{sys.executable} -m app"
NOT_TEXT = r"$'\xff\xfe'"


@pytest.fixture
def run(gateway, tmp_path):
    def run(line: str, drop: tuple[str, ...] = (), **variables: str) -> tuple[int, str]:
        named = {"SPILLWAY_BASE_URL": gateway.base_url, "SPILLWAY_API_KEY": "test-key", "PYTHONPATH": str(ROOT)}
        named["HOME"] = str(tmp_path)
        env = {name: value for name, value in environment(tmp_path, **named | variables).items() if name not in drop}
        # The word, not a folder of that name.
        shell = ["bash", "-c", re.sub(r"(?<![/\w])spillway(?![/\w])", COMMAND, line)]
        done = subprocess.run(shell, env=env, cwd=tmp_path, capture_output=True, timeout=90, check=False)
        said = (done.stdout + done.stderr).decode(errors="replace")
        for unwanted in ("Traceback", "Exception ignored", "should not have happened", "test-key"):
            assert unwanted not in said
        return done.returncode, done.stderr.decode(errors="replace")

    return run


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        pytest.param("spillway models >&-", 0, "", id="standard output is closed"),
        pytest.param("spillway models nobody 2>&-", 5, "", id="standard error is closed"),
        pytest.param("spillway edit - --prompt x <&-", 2, "is empty", id="standard input is closed"),
        pytest.param("spillway models >&- 2>&- <&-", 0, "", id="all are closed"),
        pytest.param("spillway models >/dev/full", 6, "No space left", id="a full disk"),
        pytest.param(
            "spillway generate 'a pear' --size 256x256 >/dev/full", 6, "No space left", id="a full disk, bought"
        ),
        pytest.param("spillway --version >/dev/full", 6, "No space left", id="a full disk for one line"),
        pytest.param("spillway models | head -1; exit ${PIPESTATUS[0]}", 0, "", id="a reader that leaves"),
        pytest.param("spillway models --json | head -1; exit ${PIPESTATUS[0]}", 0, "", id="one that leaves JSON"),
        pytest.param(f"spillway generate {NOT_TEXT}", 2, "no text in UTF-8", id="a prompt that is no text"),
        pytest.param(f"spillway generate x --set {NOT_TEXT}=1", 2, "no text in UTF-8", id="a field that is no text"),
        pytest.param(f"spillway collect {NOT_TEXT}", 2, "no text in UTF-8", id="an id that is no text"),
        pytest.param(f"spillway requests --model {NOT_TEXT}", 2, "no text in UTF-8", id="a filter that is no text"),
        pytest.param(f"spillway models --api-key {NOT_TEXT}", 2, "characters no key has", id="a key that is no text"),
        pytest.param(f"spillway {NOT_TEXT}", 2, "No such command", id="a command that is no text"),
        pytest.param("spillway generate ''", 5, "prompt", id="an empty prompt"),
        pytest.param("spillway requests ''", 2, "is no id", id="an empty id"),
        pytest.param("spillway doctor ..", 2, "is no id", id="an id of dots"),
        pytest.param("spillway models ''", 2, "is no id", id="an empty model"),
        pytest.param("spillway generate x --set n=1e999 --dry-run", 5, "n", id="a number without end"),
        pytest.param("spillway generate x --set n=[1] --dry-run", 5, "n", id="a list for a number"),
        pytest.param("spillway generate x --seed 99999999999999999999999", 2, "seed", id="a number that is too large"),
        pytest.param("spillway edit /etc/passwd --prompt 'at night'", 5, "invalid_image", id="a file that is no image"),
        pytest.param("mkdir .env && spillway models", 0, "", id="an env file that is a folder"),
        pytest.param("mkdir a && cd a && rmdir ../a && spillway models", 0, "", id="a folder that is gone"),
    ],
)
def test_whatever_is_odd_is_one_sentence_with_a_code_of_its_kind(run, line, code, said):
    found, told = run(line)
    assert (found, said in told) == (code, True), told


@pytest.mark.parametrize(
    ("line", "code", "variables"),
    [
        ("spillway models", 0, {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}),
        ("spillway --help", 0, {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}),
        ("spillway usage", 0, {"PYTHONIOENCODING": "latin-1"}),
        ("spillway models", 0, {"COLUMNS": "0"}),
        ("spillway generate --help", 0, {"COLUMNS": "1"}),
        ("spillway generate --help", 0, {"COLUMNS": "-5"}),
        ("spillway models", 0, {"TERM": "dumb"}),
        ("spillway models", 2, {"SPILLWAY_CONFIG": "/tmp"}),
        ("spillway config", 2, {"SPILLWAY_CONFIG": "none.toml"}),
        ("spillway models", 0, {"HTTP_PROXY": "nonsense://x", "ALL_PROXY": "socks5://x"}),
        ("spillway keys list", 6, {"SPILLWAY_BASE_URL": "", "SPILLWAY_DATA_DIR": "/proc/nowhere"}),
        pytest.param(
            "spillway keys list",
            1,
            {"SPILLWAY_BASE_URL": "", "SPILLWAY_DATABASE_URL": "sqlite:////dev/urandom"},
            marks=pytest.mark.slow,  # it is tried for half a minute
        ),
        ("spillway", 1, {"_SPILLWAY_COMPLETE": "complete_bash"}),
    ],
    ids=[
        "ascii",
        "ascii help",
        "latin",
        "no columns",
        "one column",
        "less than none",
        "dumb",
        "a folder as config",
        "no config",
        "odd proxies",
        "no data folder",
        "no database",
        "half a completion",
    ],
)
def test_an_odd_environment_is_no_traceback(run, line, code, variables):
    assert run(line, **variables)[0] == code


def test_completion_is_installed_for_the_shell_at_hand_and_knows_commands_and_options(run, tmp_path):
    assert run("spillway --install-completion; exit $?")[0] == 0
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert "_SPILLWAY_COMPLETE=complete_bash" in script.read_text()
    for words, found in (
        ("x mod", "models"),
        ("x models --s", "--search"),
        ("x keys cr", "create"),
    ):
        place = str(len(words.split()) - 1)
        asked = f"COMP_WORDS='{words}' COMP_CWORD={place} _SPILLWAY_COMPLETE=complete_bash spillway > found"
        assert run(asked)[0] == 0
        assert found in (tmp_path / "found").read_text().split()


def test_without_a_home_and_almost_without_an_environment_it_works(run):
    assert run("spillway models", drop=("HOME", "TERM", "LANG"))[0] == 0
    assert run(f"env -i PYTHONPATH={ROOT} {sys.executable} -m app check")[0] == 0


def test_text_is_sent_as_it_was_typed_where_the_machines_encoding_is_another(run, gateway):
    prompt = f"{unique()} ein Käse 漢"
    line = f"spillway generate '{prompt}' --size 256x256 -o a.png"
    assert run(line, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0") == (0, "")
    assert gateway.simulator.made(prompt) == 1


def test_a_file_name_that_is_no_text_is_written_and_told_as_it_is(run, tmp_path):
    assert run(r"spillway generate 'a pear' --size 256x256 -o $'a\xff.png' > told")[0] == 0
    assert (tmp_path / "told").read_bytes().startswith(b"a\xff.png\n")
    assert os.fsdecode(b"a\xff.png") in {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    "arguments", [["requests", "--follow"], ["simulate", "--port", "0"]], ids=["follow", "simulate"]
)
def test_an_interrupt_ends_what_has_no_end_quietly(gateway, tmp_path, arguments):
    named = {"SPILLWAY_BASE_URL": gateway.base_url, "SPILLWAY_API_KEY": "test-key", "PYTHONPATH": str(ROOT)}
    gateway.generate(prompt=unique())
    command = [*INTERRUPTIBLE, sys.executable, "-m", "app", *arguments]
    with (tmp_path / "said").open("wb") as said:
        env = environment(tmp_path, **named) | {"PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(command, env=env, stdout=said, stderr=said)
        assert seen((tmp_path / "said").read_bytes, bool, 60)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert b"Traceback" not in (tmp_path / "said").read_bytes()


def test_an_interrupt_that_ends_no_system_call_ends_the_simulator_too(tmp_path):
    # As one that comes just before the loop waits: here another thread takes the signal.
    code = (
        "import runpy, signal, sys, threading, time\n"
        "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
        "sys.argv = ['spillway', 'simulate', '--port', '0']\n"
        "runpy.run_module('app', run_name='__main__')\n"
    )
    command, env = [*INTERRUPTIBLE, sys.executable, "-c", code], environment(tmp_path, PYTHONPATH=str(ROOT))
    with subprocess.Popen(command, env=env | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE) as process:
        assert b"answers at" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()
