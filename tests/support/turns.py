"""One process after the other, of all that test at the same time on this machine."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def in_turn(name: str) -> Iterator[None]:
    """While this is open, no other process of this user is within a turn of this name."""
    with (Path(tempfile.gettempdir()) / f"spillway-tests-{os.getuid()}-{name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield
