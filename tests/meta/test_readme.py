"""The README's commands, run as printed against a live server; only the address is another one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.images import open_bytes, png

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(bash|python|js)\n(.*?)```", TEXT, re.DOTALL)
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def open_gateway(start_shared_gateway):
    return start_shared_gateway(SPILLWAY_API_KEYS="", RUNWARE_API_KEY="")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "otter.png").write_bytes(png(480, 360))
    modules = ROOT / "tests" / "contract" / "node_modules"
    if modules.exists():
        (tmp_path / "node_modules").symlink_to(modules)
    return tmp_path


def blocks(kind: str, word: str) -> list[str]:
    return [text for language, text in BLOCKS if language == kind and word in text]


def run(command: list[str], folder: Path, gateway) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "SPILLWAY_BASE_URL": gateway.base_url}
    finished = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("text", blocks("bash", "curl"), ids=["generation", "edit"])
def test_the_curl_commands_work(text, open_gateway, folder):
    out = run(["bash", "-euc", text.replace(ADDRESS, open_gateway.origin)], folder, open_gateway)
    assert '"url":"http' in out


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
    assert open_bytes((folder / "lighthouse-1.png").read_bytes()).size == (1360, 768)
    assert open_bytes((folder / "hat.webp").read_bytes()).format == "WEBP"


def test_the_first_two_commands_are_make_run_and_make_test():
    assert [text.strip() for _, text in BLOCKS[:2]] == ["make run", "make test"]


def test_no_other_command_is_left_untested():
    tested = [
        *blocks("bash", "curl"),
        *blocks("python", "OpenAI"),
        *blocks("js", "OpenAI"),
        *blocks("bash", "spillway generate"),
    ]
    assert [text for _, text in BLOCKS[2:] if text not in tested] == []
