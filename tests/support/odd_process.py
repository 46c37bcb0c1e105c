"""A gateway in a process of its own whose leases are short, and whose wall clock can be set while it runs.

`python -m tests.support.odd_process`: TEST_LEASE_SECONDS is the length of a lease, TEST_SWEEPS_SECONDS how often it looks
for expired images, where that is not as always, and TEST_WALL_FILE names a file with the seconds its wall clock is ahead. The clock of the whole process is another one before anything of ours is imported.
"""

import dataclasses
import os
import time
from pathlib import Path

_real = time.time


def _shifted() -> float:
    try:
        return _real() + float(Path(os.environ["TEST_WALL_FILE"]).read_text(encoding="utf-8"))
    except (KeyError, OSError, ValueError):
        return _real()


def main() -> None:
    """Serve until the process is ended."""
    time.time = _shifted

    import uvicorn

    from app.main import create_app
    from app.server.configuration import server_options
    from app.settings.load import load_settings
    from tests.support.quick import QUICK_PARTS

    settings = load_settings(os.environ)
    lease = float(os.environ["TEST_LEASE_SECONDS"])
    sweeps = float(os.environ.get("TEST_SWEEPS_SECONDS", QUICK_PARTS.sweeps_every))
    parts = dataclasses.replace(QUICK_PARTS, lease_seconds=lease, sweeps_every=sweeps)
    uvicorn.run(create_app(settings, parts), **server_options(settings.server))


if __name__ == "__main__":
    main()
