"""The table of ARCHITECTURE.md and the way that a real request takes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def visited() -> list[str]:
    """The modules of one generation, in the order in which it first reaches them."""
    command = [sys.executable, "-m", "scripts.measure_house", "--path"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120).stdout.split()


def test_the_page_names_every_module_that_a_request_visits(visited):
    assert len(visited) > 20
    assert [module for module in visited if f"`{module}`" not in PAGE] == []


def test_the_steps_stand_in_the_order_in_which_a_request_reaches_them(visited):
    steps = [re.findall(r"`([^`]+\.py)`", row) for row in re.findall(r"^\| \d+ \|(.*)$", PAGE, re.MULTILINE)]
    elsewhere = [set().union(*(other for other in steps if other is not step)) for step in steps]
    # By the first module that is the step's own; what a plain request does not need is not reached.
    own = [
        next((module for module in step if module in visited and module not in others), None)
        for step, others in zip(steps, map(frozenset, elsewhere), strict=True)
    ]
    places = [visited.index(module) for module in own if module is not None]
    assert len(places) > 8
    assert places == sorted(places), own


def test_the_pure_rooms_it_names_are_those_that_are_checked():
    sentence = PAGE.partition("import FastAPI or Starlette.\n")[2].partition(" do no input or output")[0]
    named = [f"app.{name.removesuffix('.py').replace('/', '.')}" for name in re.findall(r"`([^`]+)`", sentence)]
    contract = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition('name = "The pure rooms')[2]
    assert named == re.findall(r'"([^"]+)"', re.search(r"source_modules = \[(.*)\]", contract)[1])
