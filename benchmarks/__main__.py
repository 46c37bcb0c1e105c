"""Starts a fast stub upstream and one gateway process, drives it from a third, and prints what it costs.

CPU is the gateway process's own, from the operating system's accounting; memory is its peak resident size.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import psutil

_WARM_UP = 300


@dataclass(frozen=True)
class Scenario:
    """One row of the table; `target` is what the project promises."""

    name: str
    delay: float
    base64_bytes: int
    connections: int
    requests: int
    target: str

    @property
    def body(self) -> str:
        """The request."""
        form = "b64_json" if self.base64_bytes else "url"
        return json.dumps(
            {"model": "flux.1-schnell", "prompt": "a lighthouse", "size": "1024x1024", "response_format": form}
        )


SCENARIOS = (
    Scenario("url answer, 32 in flight", 0.0, 0, 32, 6000, "CPU <= 400 us"),
    Scenario("500 calls of 2 s held open", 2.0, 0, 500, 5000, "250 calls/s less set-up, p99 <= 2.1 s"),
    Scenario("1.5 MB of base64, 64 in flight", 0.05, 1_500_000, 64, 1500, "CPU <= 4 ms, <= 250 MB"),
)


@contextmanager
def upstream(scenario: Scenario) -> Iterator[int]:
    """The stub, by its port."""
    command = [sys.executable, "-m", "benchmarks.upstream", str(scenario.delay), str(scenario.base64_bytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def gateway(upstream_port: int, port: int) -> Iterator[psutil.Process]:
    """One gateway process, as `spillway serve` starts it."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "RUNWARE_API_KEY": "benchmark",
            "RUNWARE_BASE_URL": f"http://127.0.0.1:{upstream_port}/v1",
            "SPILLWAY_DATA_DIR": folder,
            "SPILLWAY_API_KEYS": "bench",
            "MALLOC_TRIM_THRESHOLD_": "268435456",
            "MALLOC_MMAP_THRESHOLD_": "134217728",
            "MALLOC_ARENA_MAX": "2",
        }
        command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
        with open(os.path.join(folder, "log"), "w") as log:  # noqa: PTH118, PTH123
            process = subprocess.Popen(command, env=environment, stderr=log)
            try:
                _wait_until_ready(port)
                yield psutil.Process(process.pid)
            finally:
                process.terminate()
                process.wait()


def _wait_until_ready(port: int) -> None:
    for _ in range(100):
        try:
            httpx2.get(f"http://127.0.0.1:{port}/healthz")
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the gateway did not start")


def drive(port: int, connections: int, requests: int, ramp: float, body: str) -> dict[str, float]:
    """Run the client; its report."""
    command = [sys.executable, "-m", "benchmarks.client", str(port), str(connections), str(requests), str(ramp), body]
    report: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return report


def measure(scenario: Scenario, port: int) -> None:
    """One row."""
    with upstream(scenario) as upstream_port, gateway(upstream_port, port) as process:
        drive(port, min(scenario.connections, 32), 32 if scenario.delay > 1 else _WARM_UP, 0.0, scenario.body)
        before = process.cpu_times()
        report = drive(port, scenario.connections, scenario.requests, scenario.delay, scenario.body)
        after = process.cpu_times()
        peak = _peak_mb(process)
    cpu = (after.user + after.system - before.user - before.system) / scenario.requests
    rate = scenario.requests / report["seconds"]
    print(
        f"{scenario.name:32} {cpu * 1e6:8.0f} {rate:9.0f} {report['p50_ms']:8.1f} {report['p99_ms']:8.1f} "
        f"{peak:8.0f} {report['failed']:6.0f}   {scenario.target}"
    )


def _peak_mb(process: psutil.Process) -> float:
    with open(f"/proc/{process.pid}/status") as status:  # noqa: PTH123
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """The table."""
    print(f"{'':32} {'CPU us':>8} {'calls/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'peak MB':>8} {'failed':>6}   target")
    chosen = sys.argv[1:]
    for index, scenario in enumerate(SCENARIOS):
        if not chosen or str(index) in chosen:
            measure(scenario, 8200 + index)


if __name__ == "__main__":
    main()
