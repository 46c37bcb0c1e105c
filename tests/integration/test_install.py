"""What a newcomer gets: the wheel, `make install` with an unfit Python, and the container's health check."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPILLWAY_", "RUNWARE_"))}
    kept.pop("MAKEFLAGS", None)
    return subprocess.run(
        command, cwd=folder, env=kept | variables, capture_output=True, text=True, timeout=100, check=False
    )


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout, built without the network from a copy that holds what the build may use."""
    for name in ("app", "config"):
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements.lock"):
        shutil.copy(ROOT / name, folder / "source" / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    built = run([*pip, "--wheel-dir", str(folder), str(folder / "source")], folder)
    assert built.returncode == 0, built.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_two_copies_give_the_same_bytes_whenever_their_files_were_written(wheel, tmp_path):
    again = build_wheel(tmp_path)

    assert again != wheel
    assert again.read_bytes() == wheel.read_bytes()


def test_the_wheel_brings_the_catalog_and_nothing_beside_its_own_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    carried = {name.removeprefix("app/config/models/") for name in names if name.startswith("app/config/models/")}
    assert carried == {path.name for path in (ROOT / "config" / "models").iterdir()}
    assert {name.split("/")[0].split("-")[0] for name in names} == {"app", "spillway"}


def test_the_installed_command_finds_its_catalog_from_any_folder(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    checked = run([sys.executable, "-m", "app", "check"], elsewhere, PYTHONPATH=str(tmp_path / "site"))
    assert checked.returncode == 0, checked.stderr
    assert "Settings and catalog are valid" in checked.stdout


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n', "is Python 3.9.2"),
        (None, "is not there"),
    ],
    ids=["too-old", "absent"],
)
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make on this machine")
def test_a_python_that_does_not_do_is_named_before_anything_is_installed(tmp_path, script, told):
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    if script is not None:
        (tmp_path / "python-of-old").write_text(script)
        (tmp_path / "python-of-old").chmod(0o755)
    before = set(tmp_path.iterdir())
    finished = run(["make", "run", "PYTHON=./python-of-old"], tmp_path)
    assert finished.returncode != 0
    assert "needs Python 3.11 or newer" in finished.stderr
    assert told in finished.stderr
    assert set(tmp_path.iterdir()) == before
