"""Cells of several processes: added up, kept when their process ends, and taken on by the next one."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.observability import families as f
from app.observability.exposition import merge
from app.observability.families import FAMILIES, Kind
from app.observability.metrics import Ending, Metrics
from app.observability.numbers import Numbers, SharedNumbers

COUNT = """
import sys
from pathlib import Path
from app.observability import families as f
from app.observability.metrics import Metrics
from app.observability.numbers import SharedNumbers

metrics = Metrics(SharedNumbers(Path(sys.argv[1])).take_slot())
for _ in range(int(sys.argv[2])):
    metrics.request_ended("/models", "", 200)
metrics.state(f.TASKS, 7)
print("counted", flush=True)
sys.stdin.read()
"""
REQUEST = ("/models", "", "200")


class Process:
    """Another process that counts so many requests, and has seven tasks in flight."""

    def __init__(self, folder: Path, requests: int) -> None:
        command = [sys.executable, "-c", COUNT, str(folder), str(requests)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout.readline() == b"counted\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


def sums(folder: Path) -> tuple[int, int | None]:
    """Requests that were counted, and tasks in flight, None where nobody says."""
    readings = SharedNumbers(folder).read()
    return merge(readings, f.REQUESTS).get(REQUEST, [0])[0], merge(readings, f.TASKS).get((), [None])[0]


def test_what_processes_count_is_added_up_and_outlives_them(tmp_path):
    first, second = Process(tmp_path, 3), Process(tmp_path, 4)
    assert sums(tmp_path) == (7, 14)
    first.kill()
    assert sums(tmp_path) == (7, 7)
    second.kill()
    assert sums(tmp_path) == (7, None)


def test_a_process_counts_on_in_the_slot_of_a_dead_one(tmp_path):
    for killed in range(1, 4):
        process = Process(tmp_path, 2)
        assert sums(tmp_path) == (2 * killed, 7)
        process.kill()
    assert len(list(tmp_path.glob("*.series"))) == 1
    two = Process(tmp_path, 1), Process(tmp_path, 1)
    assert sums(tmp_path) == (8, 14)
    assert len(list(tmp_path.glob("*.series"))) == 2
    for process in two:
        process.kill()


@pytest.mark.parametrize("torn", [b'["spillway_requests_total", ["/mod', b"\n", b"{}"], ids=["half", "empty", "odd"])
def test_a_line_that_was_not_finished_costs_nothing_that_was_counted(tmp_path, torn):
    Process(tmp_path, 2).kill()
    with next(tmp_path.glob("*.series")).open("ab") as log:
        log.write(torn.rstrip(b"\n"))
    assert sums(tmp_path)[0] == 2
    process = Process(tmp_path, 2)
    assert sums(tmp_path) == (4, 7)
    process.kill()


def test_a_full_row_of_cells_loses_new_series_and_keeps_the_others(tmp_path):
    numbers = Numbers.private()
    metrics = Metrics(numbers)
    metrics.request_ended("/models", "", 200)
    for number in range(70_000):
        metrics.request_ended(f"/made-up/{number}", "", 200)
    metrics.request_ended("/models", "", 200)
    metrics.stage_ended("queue", 1.0)
    found = merge(numbers.read(), f.REQUESTS)
    assert found[REQUEST] == [2]
    assert len(found) < 66_000


def test_a_gauge_of_which_nothing_was_said_is_not_shown():
    numbers = Numbers.private()
    metrics = Metrics(numbers)
    assert [family.name for family in FAMILIES if family.kind is Kind.GAUGE and merge(numbers.read(), family)] == []
    metrics.state(f.BREAKER, 0)
    assert merge(numbers.read(), f.BREAKER) == {(): [0]}


def test_what_turns_out_to_cost_less_is_taken_from_what_comes_next():
    numbers = Numbers.private()
    metrics = Metrics(numbers, {"runware:100@1": "flux.1-schnell"})

    def cost() -> int:
        return merge(numbers.read(), f.COST).get(("flux.1-schnell",), [0])[0]

    seen = []
    for nanos in (10, -4, 1, 5):
        metrics.request_settled(Ending("runware:100@1", 0, 0, nanos))
        seen.append(cost())
    assert seen == [10, 10, 10, 12]


def test_metrics_that_are_off_take_everything_and_count_nothing():
    off = Metrics.off()
    off.request_ended("/models", "", 200)
    off.stage_ended("queue", 1.0)
    off.state(f.TASKS, 1)
    off.request_settled(Ending("runware:100@1", 1, 0, 5))
    off.state_workers({"idle": 2})
