"""The README's commands, run as printed against a live server; only the address is another one."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.images import open_bytes

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(bash|python|js)\n(.*?)```", TEXT, re.DOTALL)
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def open_gateway(start_shared_gateway):
    """As `make run` starts it without a key."""
    simulated = {"SPILLWAY_UPSTREAM_NAME": "simulator", "SPILLWAY_HOST_ALL_PICTURES": "true"}
    return start_shared_gateway(SPILLWAY_API_KEYS="", RUNWARE_API_KEY="", **simulated)


@pytest.fixture
def folder(tmp_path):
    """A folder like a checkout after `make install`, in a second terminal."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    modules = ROOT / "tests" / "contract" / "node_modules"
    if modules.exists():
        (tmp_path / "node_modules").symlink_to(modules)
    return tmp_path


def blocks(kind: str, word: str) -> list[str]:
    return [text for language, text in BLOCKS if language == kind and word in text]


def run(command: list[str], folder: Path, gateway=None) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path} | ({"SPILLWAY_BASE_URL": gateway.base_url} if gateway else {})
    finished = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_the_curl_commands_work_and_answer_as_shown(open_gateway, folder):
    generation, edit = (text.replace(ADDRESS, open_gateway.origin) for text in blocks("bash", "curl"))
    answer = json.loads(run(["bash", "-euc", generation], folder, open_gateway))
    shown = json.loads(re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)[0])
    assert shown.keys() <= answer.keys()
    assert shown["data"][0].keys() <= answer["data"][0].keys()
    assert shown["metadata"].keys() <= answer["metadata"].keys()
    for name in ("size", "output_format"):
        assert answer[name] == shown[name]
    run(["bash", "-euc", edit], folder, open_gateway)
    assert open_bytes((folder / "hat.png").read_bytes()).size == (1152, 864)


def test_the_sample_image_is_small():
    assert len((ROOT / "examples" / "otter.png").read_bytes()) < 10_000
    assert open_bytes((ROOT / "examples" / "otter.png").read_bytes()).size == (480, 360)


def test_the_python_example_works(open_gateway, folder):
    (text,) = blocks("python", "OpenAI")
    out = run([sys.executable, "-c", text.replace(ADDRESS, open_gateway.origin)], folder, open_gateway)
    assert "1360x768" in out
    assert open_bytes((folder / "hat.webp").read_bytes()).size == (1152, 864)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node on this machine")
def test_the_node_example_works(open_gateway, folder):
    (text,) = blocks("js", "OpenAI")
    (folder / "example.mjs").write_text(text.replace(ADDRESS, open_gateway.origin))
    out = run(["node", "example.mjs"], folder, open_gateway)
    assert out.count("http") == 2


def test_the_commands_work(open_gateway, folder):
    (text,) = blocks("bash", "spillway generate")
    run(["bash", "-euc", text], folder, open_gateway)
    assert open_bytes((folder / "lighthouse-1.webp").read_bytes()).size == (1360, 768)
    assert open_bytes((folder / "lighthouse-2.webp").read_bytes()).format == "WEBP"
    assert open_bytes((folder / "hat.png").read_bytes()).format == "PNG"


def test_the_commands_of_the_operator_work(folder):
    (text,) = blocks("bash", "spillway keys")
    out = run(["bash", "-euc", text], folder)
    assert re.search(r"^sk-spw-\w+-\w+$", out, re.MULTILINE)
    assert "$20 a month" in out
    assert "Every balance agrees." in out


def test_the_first_two_commands_are_make_run_and_make_test():
    assert [text.strip() for _, text in BLOCKS[:2]] == ["make run", "make test"]


def test_no_other_command_is_left_untested():
    tested = [
        "pip install openai\n",  # installed with the development tools
        "npm install openai\n",
        *blocks("bash", "curl"),
        *blocks("python", "OpenAI"),
        *blocks("js", "OpenAI"),
        *blocks("bash", "spillway generate"),
        *blocks("bash", "spillway keys"),
    ]
    assert [text for _, text in BLOCKS[2:] if text not in tested] == []
