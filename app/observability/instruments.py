"""What counts into cells: counters and gauges, each bound to its series the first time it is met, and histograms.

Made for the hot path: one lookup and one addition. Without numbers they count nowhere.
"""

from bisect import bisect_left

from app.observability.families import Family
from app.observability.numbers import Labels, Numbers


class _Instrument:
    """One family, and where its series are."""

    def __init__(self, numbers: Numbers | None, family: Family, *known: Labels) -> None:
        self._numbers = numbers
        self._family = family
        self._places: dict[Labels, int] = {}
        # Opened at once, so that they show as zero before anything happens, and a rate sees the first one.
        for labels in known if family.labels else ((),):
            self._find(labels)

    def _find(self, labels: Labels) -> int:
        at = self._places.get(labels)
        if at is None:
            at = 0 if self._numbers is None else self._numbers.place(self._family, labels)
            self._places[labels] = at
        return at


class Counter(_Instrument):
    """Only grows."""

    def add(self, labels: Labels = (), amount: int = 1) -> None:
        """Count `amount` more units."""
        numbers = self._numbers
        if numbers is None:
            return
        at = self._places.get(labels) or self._find(labels)
        with numbers.lock:
            numbers.cells[at] += amount


class Gauge(_Instrument):
    """Is what it was last set to."""

    def set(self, value: int, labels: Labels = ()) -> None:
        """State what is now, in units."""
        if self._numbers is not None:
            self._numbers.cells[self._find(labels)] = value


class Histogram:
    """One series: counts observations by size."""

    __slots__ = ("_at", "_bounds", "_numbers", "_sum", "_unit")

    def __init__(self, numbers: Numbers | None, family: Family, labels: Labels = ()) -> None:
        self._numbers = numbers
        self._at = 0 if numbers is None else numbers.place(family, labels)
        self._sum = self._at + family.width - 1
        self._bounds = [round(bound * family.unit) for bound in family.buckets]
        self._unit = family.unit

    def observe(self, value: float) -> None:
        """Count one observation."""
        numbers, at = self._numbers, self._at
        if numbers is None or not at:  # off, or without room there is no row of cells to count in
            return
        units = int(value * self._unit + 0.5) if value > 0 else 0
        with numbers.lock:
            numbers.cells[at + bisect_left(self._bounds, units)] += 1
            numbers.cells[self._sum] += units
