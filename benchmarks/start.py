"""What a start costs: help, and `spillway serve` until it answers, first on an empty folder and then again.

`python -m benchmarks.start` prints CPU seconds of the whole process tree, the least and the middle of some starts.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.programs import Gateway, surroundings
from benchmarks.tree import cpu_seconds

_TIMES = 5
_NOWHERE = 9
"""A port at which no upstream listens: a start asks for none."""


def command(*arguments: str) -> float:
    """CPU seconds of Python with these arguments, which ends by itself."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=surroundings())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def starts(workers: int) -> tuple[float, float]:
    """CPU seconds until the gateway answers, on an empty folder and again."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        first, again = (_start(Gateway(workers), Path(folder)) for _ in range(2))
    return first, again


def _start(gateway: Gateway, folder: Path) -> float:
    with gateway(_NOWHERE, folder) as started:
        return cpu_seconds(started.process)


def _show(name: str, measure: Callable[[], float]) -> None:
    _show_all(name, [measure() for _ in range(_TIMES)])


def _show_all(name: str, found: list[float]) -> None:
    print(f"{name:34} {min(found):8.2f} {statistics.median(found):8.2f}", flush=True)


def main() -> None:
    """The table."""
    print(f"{'CPU seconds':34} {'least':>8} {'median':>8}")
    _show("python -c pass", lambda: command("-c", "pass"))
    _show("import sqlalchemy", lambda: command("-c", "import sqlalchemy"))
    _show("spillway --help", lambda: command("-m", "app", "--help"))
    _show("spillway serve --help", lambda: command("-m", "app", "serve", "--help"))
    for workers in (1, 2):
        pairs = [starts(workers) for _ in range(_TIMES)]
        _show_all(f"serve --workers {workers}, first time", [first for first, _ in pairs])
        _show_all(f"serve --workers {workers}, again", [again for _, again in pairs])


if __name__ == "__main__":
    main()
