"""The page about performance names commands that exist, and all that there are."""

import re
import subprocess
import sys
from pathlib import Path

from benchmarks.scenarios import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
PARTS = {"client", "floor", "upstream"}
"""Started by the benchmarks themselves."""


def test_the_page_names_every_benchmark_and_no_other():
    runnable = {
        path.stem for path in (ROOT / "benchmarks").glob("*.py") if 'if __name__ == "__main__"' in path.read_text()
    }
    assert set(re.findall(r"python -m benchmarks\.(\w+)", PAGE)) == runnable - PARTS - {"__main__"}


def test_options_and_scenarios_of_the_page_exist_and_every_scenario_is_listed_by_help():
    command = [sys.executable, "-m", "benchmarks", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    given = re.findall(r"`python -m benchmarks((?: [\w.-]+)*)`", PAGE)
    words = {word for one in given for word in one.split()}
    assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--\w+", shown))
    names = {one.name for one in SCENARIOS}
    assert {word for word in words if re.fullmatch(r"[a-z]+\d*", word)} <= names
    assert all(name in shown for name in names)
