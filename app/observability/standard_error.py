"""Standard error that never fails and never waits: a log that nobody reads must not fail or stall what it is about.

A pipe whose reader has ended or sleeps, a full disk, a closed file: such lines are lost, and counted. The first line
that is taken again is preceded by one that says how many.
"""

import os
import select
import sys
import threading
from typing import TextIO, cast

# What a pipe that can be written to takes without waiting (PIPE_BUF).
_PIECE_BYTES = 4096


class PatientStream:
    """Writes to a file descriptor as long as it takes what is written, and loses the rest; None takes nothing."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._poll = select.poll()
        if descriptor is not None:
            self._poll.register(descriptor, select.POLLOUT)
        self._lost = 0

    def write(self, text: str) -> int:
        """Write a text of whole lines."""
        data = text.encode("utf-8", "backslashreplace")
        # Threads write too; half a line of one must not stand within another's.
        with self._lock:
            if self._lost and self._put(f"{self._lost} lines of the log were lost: nothing took them\n".encode()):
                self._lost = 0
            put = self._put_piece if len(data) <= _PIECE_BYTES else self._put
            if self._lost or not put(data):
                self._lost += data.count(b"\n")
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def _put(self, data: bytes) -> bool:
        pieces = (data[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES))
        return all(self._put_piece(piece) for piece in pieces)

    def _put_piece(self, piece: bytes) -> bool:
        if self._descriptor is None:
            return False
        try:
            return bool(self._poll.poll(0)) and os.write(self._descriptor, piece) == len(piece)
        except OSError:
            return False


def standard_error() -> TextIO:
    """The stream for logs. What a test or a host put in the place of standard error is used as it is."""
    stream = sys.stderr
    if stream is not None and stream is not sys.__stderr__:
        return stream
    try:
        descriptor = None if stream is None else stream.fileno()
    except (OSError, ValueError):
        descriptor = None
    return cast("TextIO", PatientStream(descriptor))  # a logger needs no more of it than `write` and `flush`
