"""The gateway of a soak: `spillway serve` that remembers few requests, and says how many objects there are in it.

What is bounded is then full within seconds, so that whatever grows afterwards has no bound. SOAK_OBJECTS names the
folder with one file for each process, its name the id of the process. While COLLECT is in it too, what only waits for
the collector does not count.
"""

import gc
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from app.cli.serve import run
from app.observability.tracing import Tracer, open_tracer
from app.resources import Parts
from app.settings.traces import TraceSettings

_REMEMBERS = 256 * 1024
_EVERY_SECONDS = 0.5
WORKERS = 2
COLLECT = "collect"


@dataclass(frozen=True)
class _Reporting:
    """Opens what it should, and begins to report: each process that serves calls it once."""

    folder: Path

    def __call__(self, settings: TraceSettings) -> Tracer:
        # Opened once: later there may be no descriptor left.
        file = os.open(self.folder / str(os.getpid()), os.O_CREAT | os.O_WRONLY)
        threading.Thread(target=_report, args=(file, self.folder / COLLECT), daemon=True).start()
        return open_tracer(settings)


def _report(file: int, collect: Path) -> None:
    while True:
        if collect.exists():
            gc.collect()
        # Blocks of Python's own allocator: nearly each object that is alive, whatever the system makes of its memory.
        os.pwrite(file, b"%020d" % sys.getallocatedblocks(), 0)
        time.sleep(_EVERY_SECONDS)


if __name__ == "__main__":
    parts = Parts(tracer=_Reporting(Path(os.environ["SOAK_OBJECTS"])), remembers=_REMEMBERS)
    sys.exit(run({}, WORKERS, parts=parts))
