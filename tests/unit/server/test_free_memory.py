"""What becomes of memory that is free, in a process of its own: what a library keeps is of the whole process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.server.free_memory import is_due

IMAGES = """
import asyncio, sys
from pathlib import Path
from app.server.free_memory import FreeMemory

def mebibytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20

async def main():
    free = FreeMemory(lambda: True, iter(range(0, 10000, 10)).__next__) if sys.argv[1] == "kept" else None
    before, images = mebibytes(), [b"i" * 1_500_000 for _ in range(100)]
    images.clear()
    print(mebibytes() - before)
    if free is not None:
        free.loop.start()
        free.loop.wake()
        for _ in range(1000):
            if mebibytes() - before < 20:
                break
            await asyncio.sleep(0.01)
    print(mebibytes() - before)

asyncio.run(main())
"""


def left(way: str) -> list[int]:
    """MiB that 143 MiB of images leave behind: as soon as they are free, and in the end."""
    command = [sys.executable, "-c", IMAGES, way]
    # Without what the surroundings may tell the library, which would change what it does by itself.
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    return [int(line) for line in subprocess.check_output(command, text=True, cwd=Path.cwd(), env=own).split()]


def test_what_images_leave_behind_is_kept_for_the_next_and_given_back_later():
    at_once, later = left("kept")
    assert at_once > 130
    assert later < 20
    assert left("as the library does")[0] < 20, "else nothing would be shown here"


@pytest.mark.parametrize(
    ("is_quiet", "after", "due"),
    [
        pytest.param(True, 9.9, False, id="the next image may want it"),
        pytest.param(True, 10.0, True, id="nobody waits"),
        pytest.param(False, 10.0, False, id="those that are served would wait for it"),
        pytest.param(False, 59.9, False, id="still served"),
        pytest.param(False, 60.0, True, id="there is always somebody"),
    ],
)
def test_it_is_given_back_while_nobody_is_served_and_after_a_minute_in_any_case(is_quiet, after, due):
    assert is_due(after, is_quiet=is_quiet) is due
