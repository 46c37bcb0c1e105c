"""Where metrics count: whole numbers in cells, by series, in memory of this process or shared with others.

Shared cells lie in a folder in which each process has a slot for itself. A slot outlives its process, and the next
process that starts counts on in it: so what a dead one counted is neither lost nor counted twice, and there are never
more slots than processes that ran at once (0151). Owns the files; what is counted is not known here.
"""

import fcntl
import itertools
import json
import mmap
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.observability.families import FAMILIES, Family, Kind

_CELL_BYTES = 8
_CELLS = 65_536
"""Of one process. Labels are bounded, and all their values together need a fraction of it."""
_UNKNOWN = -(2**63)
"""A gauge of which nothing is known."""
_BY_NAME = {family.name: family for family in FAMILIES}
Labels = tuple[str, ...]
Series = tuple[str, Labels]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one process counted: the cells of each series. Of a dead one the gauges are left out."""

    series: dict[tuple[Family, Labels], Sequence[int]]


class Readable(Protocol):
    """Numbers of one or several processes."""

    def read(self) -> list[Reading]:
        """What each of them counted by now."""
        ...


class Numbers:
    """The cells of this process. Usable from several threads."""

    def __init__(self, cells: memoryview, log: int | None = None) -> None:
        self.cells = cells
        self.lock = threading.Lock()
        self._log = log
        self._places: dict[Series, int] = {}
        # The first cell belongs to no series: what finds no room any more counts there, and nowhere else.
        self._next = 1

    @classmethod
    def private(cls) -> "Numbers":
        """Cells that no other process sees."""
        return cls(memoryview(bytearray(_CELLS * _CELL_BYTES)).cast("q"))

    def place(self, family: Family, labels: Labels) -> int:
        """The first cell of a series, which is opened where it is new."""
        with self.lock:
            at = self._places.get((family.name, labels))
            return self._open(family, labels) if at is None else at

    def read(self) -> list[Reading]:
        """What this process counted."""
        with self.lock:
            places = dict(self._places)
        return [_reading(places, self.cells, is_alive=True)]

    def restore(self, places: dict[Series, int]) -> None:
        """Count on where an earlier process stopped; what it was doing nobody does any more."""
        for (name, labels), at in places.items():
            family = _BY_NAME[name]
            self._places[name, labels] = at
            self._next = max(self._next, at + family.width)
            if family.kind is Kind.GAUGE:
                self.cells[at] = _UNKNOWN

    def _open(self, family: Family, labels: Labels) -> int:
        at, after = self._next, self._next + family.width
        if after > _CELLS:
            return 0
        if self._log is not None:
            try:
                # Written down before anything is counted: a cell must not hold what nobody can name.
                os.write(self._log, f"{json.dumps([family.name, labels, at])}\n".encode())
            except OSError:  # no room in the folder: this series shows in no sum
                return 0
        self._next = after
        self._places[family.name, labels] = at
        if family.kind is Kind.GAUGE:
            self.cells[at] = _UNKNOWN
        return at


class SharedNumbers:
    """The numbers of all processes that share a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take_slot(self) -> Numbers:
        """The cells of this process, as long as it lives. Raises OSError where the folder cannot be used."""
        for number in itertools.count():
            log = os.open(self._log(number), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                # Held until the process ends, however it does: the system lets go of it.
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(log)
                continue
            numbers = Numbers(_map_cells(self._cells(number)), log)
            numbers.restore(_places_in(_whole_lines(log)))
            return numbers
        raise AssertionError  # pragma: no cover - counting has no end

    def read(self) -> list[Reading]:
        """What each process counted, the dead ones included."""
        return [reading for number in self._slots() if (reading := self._read(number)) is not None]

    def _slots(self) -> Iterator[int]:
        for path in sorted(self._folder.glob("*.series")):
            if path.stem.isdecimal():
                yield int(path.stem)

    def _read(self, number: int) -> Reading | None:
        with suppress(FileNotFoundError), self._log(number).open("rb") as log:
            is_alive = False
            try:
                # Its process holds it alone: whoever may share it knows that the process has ended.
                fcntl.flock(log, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                is_alive = True
            places = _places_in(log.read())
            data = self._cells(number).read_bytes()
            usable = len(data) - len(data) % _CELL_BYTES
            return _reading(places, memoryview(data[:usable]).cast("q"), is_alive=is_alive)
        return None

    def _log(self, number: int) -> Path:
        return self._folder / f"{number}.series"

    def _cells(self, number: int) -> Path:
        return self._folder / f"{number}.cells"


def _map_cells(path: Path) -> memoryview:
    size = _CELLS * _CELL_BYTES
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        missing = size - os.fstat(descriptor).st_size
        if missing > 0:
            # Written, not only made longer: a full disk shows here, and not as a signal when a cell is counted up.
            os.pwrite(descriptor, bytes(missing), size - missing)
        if os.fstat(descriptor).st_size < size:
            raise OSError(f"{path} cannot be made as large as it must be")
        return memoryview(mmap.mmap(descriptor, size)).cast("q")
    finally:
        os.close(descriptor)


def _whole_lines(log: int) -> bytes:
    """What the log of a slot holds; a line that its process did not finish is cut off."""
    data = os.pread(log, os.fstat(log).st_size, 0)
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.ftruncate(log, len(whole))
    return whole


def _places_in(log: bytes) -> dict[Series, int]:
    places: dict[Series, int] = {}
    for line in log[: log.rfind(b"\n") + 1].splitlines():
        name, labels, at = json.loads(line)
        if name in _BY_NAME:
            places[name, tuple(labels)] = at
    return places


def _reading(places: dict[Series, int], cells: memoryview, *, is_alive: bool) -> Reading:
    series: dict[tuple[Family, Labels], Sequence[int]] = {}
    for (name, labels), at in places.items():
        family = _BY_NAME[name]
        values = tuple(cells[at : at + family.width])
        if family.kind is Kind.GAUGE and (not is_alive or values[0] == _UNKNOWN):
            continue
        if len(values) == family.width:
            series[family, labels] = values
    return Reading(series)
