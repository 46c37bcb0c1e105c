"""When a group of writes waits for more to come, and for how long."""

import pytest

from app.database.gathering import Gathering

_NEVER: list[float] = []


class Line:
    """Time, and pieces that come at these moments, in seconds, while a group waits."""

    def __init__(self, *arrivals: float) -> None:
        self.now, self._arrivals, self._taken = 0.0, sorted(arrivals), 0.0

    def gathering(self) -> Gathering:
        return Gathering(self.waiting, self.pause, lambda: self.now)

    def waiting(self) -> int:
        return sum(self._taken < at <= self.now for at in self._arrivals)

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def take(self) -> int:
        count, self._taken = self.waiting(), self.now
        return count


def milliseconds_waited(line: Line, gathering: Gathering) -> float:
    began = line.now
    gathering.wait_for_more()
    return round((line.now - began) * 1000, 3)


@pytest.mark.parametrize(
    ("arrivals", "waited", "grown"),
    [
        pytest.param(_NEVER, 8, 0, id="nothing more: three looks"),
        pytest.param([0.001], 16, 1, id="one more at once: three looks in vain after it"),
        pytest.param([0.0001 * n for n in range(1, 17)], 2, 16, id="many at once: enough"),
        pytest.param([0.004 * n for n in range(1, 100)], 24, 6, id="one every 4 ms: until the last look"),
        pytest.param([0.001 * n for n in range(1, 100)], 16, 16, id="one every millisecond: until they are enough"),
        pytest.param([0.009], 8, 0, id="what comes later is not waited for"),
    ],
)
def test_a_group_grows_after_one_in_which_several_came_together(arrivals, waited, grown):
    line = Line(*arrivals)
    gathering = line.gathering()
    gathering.end(2)
    assert (milliseconds_waited(line, gathering), line.waiting()) == (waited, grown)


@pytest.mark.parametrize("seconds", [0.011, 1, 100])
def test_a_lone_piece_waits_for_nobody(seconds):
    line = Line()
    gathering = line.gathering()
    for _ in range(3):
        assert milliseconds_waited(line, gathering) == 0
        gathering.end(1)
        line.pause(seconds)


def test_pieces_that_come_evenly_are_gathered_although_each_comes_alone():
    line = Line(*(0.004 * n for n in range(1, 1000)))
    gathering, groups = line.gathering(), []
    line.pause(0.004)
    while line.now < 1:
        gathering.wait_for_more()
        groups.append(line.take())
        line.pause(0.001)  # the commit
        gathering.end(groups[-1])
        while not line.waiting():
            line.pause(0.001)
    assert groups[0] == 1
    assert min(groups[1:-1]) >= 6


def test_one_caller_after_the_other_waits_in_vain_four_times_a_second_at_most():
    line = Line()
    gathering, waits = line.gathering(), 0
    while line.now < 1:
        waits += milliseconds_waited(line, gathering) > 0
        line.pause(0.001)  # the commit
        gathering.end(1)
        line.pause(0.002)  # only then the next one comes
    assert 1 <= waits <= 4
