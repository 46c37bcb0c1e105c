"""Results as a table: medians over the rounds, and ratios to the floor and to peers, each within its own round."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.rounds import Measured
from benchmarks.scenarios import Scenario

FLOOR = "floor"
_BESIDE = (FLOOR, "nginx", "nginx-stock", "portkey")
"""What the aims are multiples of; each has a column where it was measured and its calls did not fail."""


@dataclass(frozen=True)
class Ratio:
    """One program's CPU a call over another's, in the same rounds."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


def ratio(results: Sequence[Measured], scenario: str, program: str, beside: str = FLOOR) -> Ratio | None:
    """Of `program` over `beside`, None where one of them was not measured."""
    found = {(one.round, one.program): one.cpu_us for one in results if one.scenario == scenario}
    pairs = [
        cpu / found[number, beside]
        for (number, name), cpu in found.items()
        if name == program and found.get((number, beside))
    ]
    return Ratio(statistics.median(pairs), min(pairs), max(pairs)) if pairs else None


def table(results: Sequence[Measured], scenarios: Sequence[Scenario]) -> Iterator[str]:
    """The lines of the report."""
    for scenario in scenarios:
        rows = [one for one in results if one.scenario == scenario.name]
        programs = sorted({one.program for one in rows}, key=lambda name: (name != FLOOR, name))
        answered = {one.program for one in rows if not one.failed}
        beside = [name for name in _BESIDE if name in answered]
        titles = [title.rjust(9) for title, _, _ in _COLUMNS] + ["   failed"]
        titles += [f" x {name}".ljust(24) for name in beside]
        yield f"{scenario.name}: {scenario.title}" + (f" ({scenario.note})" if scenario.note else "")
        yield " ".join(["".ljust(16), *titles]).rstrip()
        for program in programs:
            ratios = [ratio(rows, scenario.name, program, name) for name in beside]
            yield _row(program, [one for one in rows if one.program == program], ratios)
        yield ""


def _row(program: str, rows: Sequence[Measured], ratios: Sequence[Ratio | None]) -> str:
    numbers = [f"{statistics.median(map(read, rows)):9.{digits}f}" for _, digits, read in _COLUMNS]
    failed = sum(one.failed for one in rows)
    shown = [f" {one or ''}".ljust(24) for one in ratios]
    return " ".join([program.ljust(16), *numbers, f"{failed:9d}", *shown]).rstrip()


_COLUMNS: tuple[tuple[str, int, Callable[[Measured], float]], ...] = (
    ("CPU us", 0, lambda one: one.cpu_us),
    ("calls/s", 0, lambda one: one.per_second),
    ("p50 ms", 1, lambda one: one.p50_ms),
    ("p99 ms", 1, lambda one: one.p99_ms),
    ("base MB", 0, lambda one: one.base_mb),
    ("+ x bytes", 1, lambda one: one.per_byte),
)
