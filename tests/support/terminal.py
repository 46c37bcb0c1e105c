"""The `spillway` command on a terminal: a pseudo terminal of a width, and what a person then sees on it."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.commands import ROOT, environment

_SECONDS = 60
_CODE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b[\]_P][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")


@dataclass
class Shown:
    """What a command wrote: every byte, the screen at its end, and its exit code."""

    raw: str
    screen: str
    returncode: int

    @property
    def lines(self) -> list[str]:
        return self.screen.splitlines()

    @property
    def width(self) -> int:
        return max(map(len, self.lines), default=0)


def on_terminal(
    folder: Path, *arguments: str, columns: int = 80, until: Callable[[str], bool] | None = None, **variables: str
) -> Shown:
    """Run the command to its end, or interrupt it once `until` holds for what it has written."""
    env = environment(folder, **{"TERM": "xterm", "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"} | variables)
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI"):
        env.pop(name, None)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    command = [sys.executable, "-m", "app", *arguments]
    # Tests that run in the background ignore interrupts, and so would the command: what is heard here, it hears too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command, cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    signal.signal(signal.SIGINT, before)
    os.close(theirs)
    raw = _read(ours, process, until)
    os.close(ours)
    text = raw.decode(errors="replace")
    return Shown(text, screen_of(text), process.wait(_SECONDS))


def _read(end: int, process: subprocess.Popen, until: Callable[[str], bool] | None) -> bytes:
    raw, deadline = b"", time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        if select.select([end], [], [], 0.1)[0]:
            try:
                piece = os.read(end, 65536)
            except OSError:  # on Linux the end of a terminal whose other side is closed
                return raw
            if not piece:
                return raw
            raw += piece
        if until is not None and until(raw.decode(errors="replace")):
            until = None
            process.send_signal(signal.SIGINT)
    process.kill()
    raise AssertionError(f"still running after {_SECONDS} s: {raw.decode(errors='replace')[-500:]}")


def screen_of(text: str) -> str:
    """What stands on the screen after a text: carriage returns, cursor movements and erased lines are followed."""
    rows, row, column, place = [[]], 0, 0, 0
    while place < len(text):
        code = _CODE.match(text, place)
        if code:
            place = code.end()
            count = int(code[1]) if (code[1] or "").isdecimal() else 1
            if code[2] == "A":
                row = max(0, row - count)
            elif code[2] == "K":
                rows[row] = rows[row][:column] if (code[1] or "0") == "0" else []
            continue
        one = text[place]
        place += 1
        if one == "\n":
            row += 1
            if row == len(rows):
                rows.append([])
        elif one == "\r":
            column = 0
        else:
            rows[row] += [" "] * (column + 1 - len(rows[row]))
            rows[row][column] = one
            column += 1
    return "\n".join("".join(line).rstrip() for line in rows).rstrip("\n")
