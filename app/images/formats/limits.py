"""How far a reader of a caller's bytes goes before it gives up and leaves the question to a worker.

Every walk over chunks, segments, boxes or tags counts its steps, so that no file decides how long it is read.
"""

from dataclasses import dataclass

Buffer = bytes | memoryview


class TooFarError(Exception):
    """What is looked for lies beyond the limits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`steps` is the number of chunks, segments or boxes; `reach` that of bytes skipped one by one."""

    steps: int
    reach: int


GLANCE = Limits(steps=512, reach=4096)
"""A millisecond at most, which is what nearly every image needs: for the event loop."""
QUICK = Limits(steps=8192, reach=1024 * 1024)
"""Some twenty milliseconds at most: for a thread."""
THOROUGH = Limits(steps=100_000, reach=1 << 40)
"""A quarter of a second at most: for a worker process."""
MAX_UNPACKED = 1024 * 1024
"""More than this is never unpacked of a compressed text or color profile."""
