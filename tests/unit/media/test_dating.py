"""Ends are dated by a clock that is never set back."""

import pytest

from app.media.dating import DatingClock


class Hands:
    """A wall clock that somebody sets, and a steady one."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_000_000.0, 50.0

    def pass_(self, seconds: float, set_by: float = 0.0) -> None:
        self.steady += seconds
        self.wall += seconds + set_by


@pytest.mark.parametrize(
    ("steps", "shown"),
    [
        pytest.param([(10, 0)], 1_000_010.0, id="nobody sets it"),
        pytest.param([(10, -3600), (5, 0)], 1_000_015.0, id="it is set back"),
        pytest.param([(10, -3600), (5, 3600)], 1_000_015.0, id="and set right again"),
        pytest.param([(10, 3600), (5, 0)], 1_003_615.0, id="it is set ahead"),
        pytest.param([(10, 3600), (5, -3600)], 1_000_015.0, id="ahead and right again"),
    ],
)
def test_time_goes_on_whatever_becomes_of_the_wall_clock(steps, shown):
    hands = Hands()
    clock = DatingClock(lambda: hands.wall, lambda: hands.steady)
    for seconds, set_by in steps:
        hands.pass_(seconds, set_by)

    assert clock() == shown
