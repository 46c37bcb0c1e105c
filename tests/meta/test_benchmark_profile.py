"""The profile of the benchmarks: samples of `perf` are sorted by library into parts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.profile import parts_of

ROOT = Path(__file__).resolve().parents[2]
REPORT = """\
# Samples: 4K of event 'cpu-clock:ppp'
# Overhead  Shared Object
    40.00%  [kernel.kallsyms]
    30.00%  {interpreter}
    10.00%  libc.so.6
     5.00%  libcrypto.so.3
     5.00%  blake3.cpython-311-x86_64-linux-gnu.so
     4.00%  _pybase64.cpython-311-x86_64-linux-gnu.so
     3.00%  libsqlite3.so.0.8.6
     2.00%  zlib_ng.cpython-311-x86_64-linux-gnu.so
     0.50%  [vdso]
     0.50%  loop.cpython-311-x86_64-linux-gnu.so
"""


@pytest.mark.parametrize("interpreter", ["libpython3.11.so.1.0", "python3.11"], ids=["a library", "the program"])
def test_each_library_counts_for_one_part(interpreter):
    parts = {part: round(share, 4) for part, share in parts_of(REPORT.format(interpreter=interpreter)).items()}
    assert parts == {
        "kernel": 0.405,
        "hashes": 0.1,
        "checksums of PNG": 0.02,
        "base64": 0.04,
        "SQLite": 0.03,
        "C library: copies, memory, threads": 0.1,
        "interpreter": 0.3,
        "compiled modules of libraries": 0.005,
    }


def test_a_machine_without_perf_is_told_what_is_missing(tmp_path):
    command = [sys.executable, "-m", "benchmarks.profile", "url"]
    variables = os.environ | {"PATH": str(tmp_path)}
    finished = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False, timeout=60)
    assert (finished.returncode, finished.stderr.startswith("perf is not installed")) == (1, True), finished.stderr
