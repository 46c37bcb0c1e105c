"""Rounds: every scenario with all programs in fresh processes, which take turns in short bursts.

A shared machine changes its pace within seconds: what is compared must be measured in the same ones.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.programs import NotStartedError, Running, upstream
from benchmarks.scenarios import Scenario
from benchmarks.tree import PeakWatch, cpu_seconds

Start = Callable[[int, Path], AbstractContextManager[Running]]
"""Starts a program in front of the upstream on this port, with a folder of its own."""
_SETTLE_SECONDS = 0.3
"""What a program does after its last answer counts too, such as the notes that answers were delivered."""


@dataclass(frozen=True)
class Program:
    """One that is measured. A peer takes part where the scenario names it; `load` is how many times its calls."""

    name: str
    start: Start
    is_peer: bool = False
    load: float = 1

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
    """Of all its calls."""
    base_mb: float
    per_byte: float
    """Memory beyond the base, in bytes in flight."""
    failed: int


@dataclass(frozen=True)
class Driven:
    """What the client says of the calls it has made."""

    seconds: float
    failed: int
    latencies_ms: Sequence[float]


class Turn:
    """A program that runs, and what its bursts have cost by now."""

    def __init__(self, program: Program, scenario: Scenario, started: Running, requests: Path) -> None:
        self._program, self._scenario = program, scenario.multiplied(program.load)
        self._started, self._requests = started, requests
        self.process = started.process
        self._cpu = self._seconds = 0.0
        self._calls = self._failed = 0
        self._latencies = list[float]()
        self._base, self._grown = 0, 0

    def warm_up(self) -> None:
        """Calls that are not counted."""
        self._scenario.write_requests(self._requests, self._started.headers)
        self._drive(min(self._scenario.in_flight, 32), self._scenario.warm_up_calls, 0.0)

    def burst(self) -> None:
        """A part of its calls."""
        scenario, process = self._scenario, self._started.process
        calls = scenario.calls // scenario.bursts
        before = cpu_seconds(process)
        with PeakWatch(process) as watch:
            driven = self._drive(scenario.in_flight, calls, scenario.delay)
        time.sleep(_SETTLE_SECONDS)
        self._cpu += cpu_seconds(process) - before
        self._calls += calls
        self._seconds += driven.seconds
        self._failed += driven.failed
        self._latencies += driven.latencies_ms
        self._base = self._base or watch.base
        self._grown = max(self._grown, watch.peak - watch.base)

    def measured(self, number: int) -> Measured:
        """What it did in this round."""
        scenario, ordered = self._scenario, sorted(self._latencies)
        return Measured(
            round=number,
            scenario=scenario.name,
            program=self._program.name,
            cpu_us=self._cpu / self._calls * 1e6,
            per_second=self._calls / self._seconds,
            p50_ms=ordered[len(ordered) // 2],
            p99_ms=ordered[int(len(ordered) * 0.99)],
            base_mb=self._base / 1e6,
            per_byte=self._grown / scenario.bytes_in_flight if scenario.bytes_in_flight else 0.0,
            failed=self._failed,
        )

    def _drive(self, connections: int, calls: int, ramp: float) -> Driven:
        options = [str(self._started.port), str(connections), str(calls), str(ramp), str(self._requests)]
        command = [sys.executable, "-m", "benchmarks.client", *options]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return Driven(**json.loads(done.stdout))


def run(scenarios: Sequence[Scenario], programs: Sequence[Program], rounds: int, seed: int) -> list[Measured]:
    """All rounds; what was measured is said on stderr."""
    chance, results = random.Random(seed), list[Measured]()
    for number in range(1, rounds + 1):
        for scenario in chance.sample(scenarios, len(scenarios)):
            taking_part = [program for program in programs if program.takes_part(scenario)]
            for done in _round(scenario, taking_part, chance, number):
                results.append(done)
                print(
                    f"round {number}/{rounds} {scenario.name:10} {done.program:16} {done.cpu_us:8.0f} us",
                    file=sys.stderr,
                    flush=True,
                )
    return results


def _round(scenario: Scenario, programs: Sequence[Program], chance: random.Random, number: int) -> list[Measured]:
    """One scenario once: all programs are started, and take turns in another order for each burst."""
    with ExitStack() as stack:
        upstream_port = stack.enter_context(upstream(scenario))
        turns = [
            turn
            for program in chance.sample(programs, len(programs))
            if (turn := open_turn(stack, scenario, program, upstream_port)) is not None
        ]
        for turn in turns:
            turn.warm_up()
        time.sleep(_SETTLE_SECONDS)
        for _ in range(scenario.bursts):
            for turn in chance.sample(turns, len(turns)):
                turn.burst()
        return [turn.measured(number) for turn in turns]


def open_turn(stack: ExitStack, scenario: Scenario, program: Program, upstream_port: int) -> Turn | None:
    """A program that runs, None for a peer that does not start."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
    data, requests = folder / "data", folder / "requests"
    data.mkdir()
    requests.mkdir()
    try:
        started = stack.enter_context(program.start(upstream_port, data))
    except NotStartedError as error:
        if not program.is_peer:
            raise
        print(f"{program.name} is left out: {error}", file=sys.stderr)
        return None
    return Turn(program, scenario, started, requests)
