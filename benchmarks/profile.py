"""What each part of a call costs: samples of `perf`, by the library that the processor was in.

`python -m benchmarks.profile edit` sets the gateway beside the bare proxy; `--before FOLDER` adds that of another
checkout. Needs Linux's `perf`, and that it may look at the user's processes. The numbers are CPU µs of a call, of the
whole process tree, while `perf` looks on; read the parts against one another.
"""

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from benchmarks.programs import Gateway, floor, upstream
from benchmarks.rounds import Program, open_turn
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.tree import processes

_SAMPLES_A_SECOND = 4000
_ATTACH_SECONDS = 0.5
"""What `perf` takes until it listens, of which it says nothing."""
_END_SECONDS = 30.0
_LINE = re.compile(r"^ +(\d+\.\d+)% +(\S+)", re.MULTILINE)
_PARTS = (
    ("kernel", re.compile(r"\[")),
    ("hashes", re.compile(r"libcrypto|blake3")),
    ("checksums of PNG", re.compile(r"zlib_ng|libz\b")),
    ("base64", re.compile(r"_pybase64|binascii")),
    ("SQLite", re.compile(r"libsqlite3|_sqlite3")),
    ("C library: copies, memory, threads", re.compile(r"libc\.|libpthread|ld-linux")),
    ("interpreter", re.compile(r"libpython|python\d?")),
)
"""The first that fits a library's name; in Debian's Python the interpreter has most modules of the standard library."""
_REST = "compiled modules of libraries"


def parts_of(report: str) -> Mapping[str, float]:
    """The share of each part, 0 to 1, in what `perf report --sort dso` prints."""
    shares = dict.fromkeys([name for name, _ in _PARTS] + [_REST], 0.0)
    for share, library in _LINE.findall(report):
        part = next((name for name, pattern in _PARTS if pattern.match(library)), _REST)
        shares[part] += float(share) / 100
    return shares


@contextmanager
def _recorded(perf: str, process: psutil.Process, samples: Path) -> Iterator[None]:
    """Samples of a process tree while this is open."""
    tree = ",".join(str(one.pid) for one in processes(process))
    command = [perf, "record", "--quiet", "--freq", str(_SAMPLES_A_SECOND), "--output", str(samples), "--pid", tree]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as recorder:
        time.sleep(_ATTACH_SECONDS)
        try:
            yield
        finally:
            recorder.send_signal(signal.SIGINT)
            _, said = recorder.communicate(timeout=_END_SECONDS)
    if not samples.exists():
        raise SystemExit(f"perf took no samples: {said.strip()}")


def profile(perf: str, scenario: Scenario, programs: Sequence[Program]) -> Mapping[str, Mapping[str, float]]:
    """CPU µs of a call, by program and part; each program has its turn alone."""
    found = {}
    with ExitStack() as stack:
        port = stack.enter_context(upstream(scenario))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        turns = {one.name: open_turn(stack, scenario, one, port) for one in programs}
        for name, turn in turns.items():
            assert turn is not None  # only peers may be left out
            turn.warm_up()
            samples = folder / name
            with _recorded(perf, turn.process, samples):
                for _ in range(scenario.bursts):
                    turn.burst()
            command = [perf, "report", "--input", str(samples), "--stdio", "--sort", "dso"]
            report = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            cost = turn.measured(1).cpu_us
            found[name] = {part: share * cost for part, share in parts_of(report.stdout).items()}
    return found


def main() -> None:
    """A table for each scenario."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    names = [one.name for one in SCENARIOS]
    parser.add_argument("scenarios", nargs="+", metavar="SCENARIO", choices=names, help=f"some of: {', '.join(names)}")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="the gateway of another checkout too")
    options = parser.parse_args()
    perf = shutil.which("perf")
    if perf is None:
        sys.exit("perf is not installed: it comes with the kernel's tools (Debian: linux-perf).")
    programs = [Program("floor", floor), Program("spillway", Gateway())]
    if options.before:
        programs.append(Program("before", Gateway(checkout=options.before.absolute())))
    for scenario in SCENARIOS:
        if scenario.name not in options.scenarios:
            continue
        found = profile(perf, scenario, programs)
        columns = [name for name in ("floor", "before", "spillway") if name in found]
        print(f"{scenario.name + ', CPU us a call':36}" + "".join(f"{name:>10}" for name in columns))
        for part in found[columns[0]]:
            print(f"{part:36}" + "".join(f"{found[name][part]:10.0f}" for name in columns))
        print(f"{'all':36}" + "".join(f"{sum(found[name].values()):10.0f}" for name in columns), flush=True)


if __name__ == "__main__":
    main()
