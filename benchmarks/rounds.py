"""Rounds: every scenario with every program in a new order, each measured in processes of its own."""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.programs import NotStartedError, Running, upstream
from benchmarks.scenarios import Scenario
from benchmarks.tree import PeakWatch, cpu_seconds

Start = Callable[[int, Path], AbstractContextManager[Running]]
"""Starts a program in front of the upstream on this port, with a folder of its own."""
_SETTLE_SECONDS = 0.5
"""What a program does after its last answer counts too."""


@dataclass(frozen=True)
class Program:
    """One that is measured. A peer takes part where the scenario names it; `load` is how many times its calls."""

    name: str
    start: Start
    is_peer: bool = False
    load: int = 1

    def takes_part(self, scenario: Scenario) -> bool:
        """Whether it can do this."""
        return not self.is_peer or self.name in scenario.for_peers


@dataclass(frozen=True)
class Measured:
    """What one program did in one scenario of one round."""

    round: int
    scenario: str
    program: str
    cpu_us: float
    """A call, of the whole tree."""
    per_second: float
    p50_ms: float
    p99_ms: float
    base_mb: float
    per_byte: float
    """Memory beyond the base, in bytes in flight."""
    failed: int


def measure(scenario: Scenario, program: Program, number: int) -> Measured:
    """Start the upstream and the program, warm it up, and drive it."""
    scenario = scenario.multiplied(program.load)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder, requests = Path(name) / "data", Path(name) / "requests"
        folder.mkdir()
        requests.mkdir()
        with upstream(scenario) as upstream_port, program.start(upstream_port, folder) as started:
            scenario.write_requests(requests, started.headers)
            _drive(started.port, min(scenario.in_flight, 32), scenario.warm_up_calls, 0.0, requests)
            time.sleep(_SETTLE_SECONDS)
            before = cpu_seconds(started.process)
            with PeakWatch(started.process) as watch:
                report = _drive(started.port, scenario.in_flight, scenario.calls, scenario.delay, requests)
            time.sleep(_SETTLE_SECONDS)
            cpu = cpu_seconds(started.process) - before
    return Measured(
        round=number,
        scenario=scenario.name,
        program=program.name,
        cpu_us=cpu / scenario.calls * 1e6,
        per_second=scenario.calls / report["seconds"],
        p50_ms=report["p50_ms"],
        p99_ms=report["p99_ms"],
        base_mb=watch.base / 1e6,
        per_byte=(watch.peak - watch.base) / scenario.bytes_in_flight if scenario.bytes_in_flight else 0.0,
        failed=round(report["failed"]),
    )


def run(scenarios: Sequence[Scenario], programs: Sequence[Program], rounds: int, seed: int) -> list[Measured]:
    """All rounds; what is being measured is said on stderr."""
    chance, results = random.Random(seed), list[Measured]()
    for number in range(1, rounds + 1):
        for scenario in chance.sample(scenarios, len(scenarios)):
            taking_part = [program for program in programs if program.takes_part(scenario)]
            for program in chance.sample(taking_part, len(taking_part)):
                try:
                    done = measure(scenario, program, number)
                except NotStartedError as error:
                    if not program.is_peer:
                        raise
                    print(f"{program.name} is left out: {error}", file=sys.stderr)
                    continue
                results.append(done)
                print(
                    f"round {number}/{rounds} {scenario.name:10} {program.name:16} {done.cpu_us:8.0f} us",
                    file=sys.stderr,
                    flush=True,
                )
    return results


def _drive(port: int, connections: int, calls: int, ramp: float, requests: Path) -> Mapping[str, float]:
    command = [sys.executable, "-m", "benchmarks.client", str(port), str(connections), str(calls), str(ramp)]
    done = subprocess.run([*command, str(requests)], check=True, stdout=subprocess.PIPE, text=True)
    report: dict[str, float] = json.loads(done.stdout)
    return report
