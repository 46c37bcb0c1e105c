"""The report of the benchmarks: a ratio is taken within a round, and stands beside what an aim is a multiple of."""

from dataclasses import replace

import pytest

from benchmarks.report import ratio, table
from benchmarks.rounds import Measured
from benchmarks.scenarios import SCENARIOS

URL = next(one for one in SCENARIOS if one.name == "url")


def measured(number: int, program: str, cpu_us: float) -> Measured:
    return Measured(number, "url", program, cpu_us, 1000.0, 5.0, 9.0, 40.0, 0.0, 0)


ROUNDS = [
    *(measured(1, name, cpu) for name, cpu in {"floor": 200, "nginx": 20, "portkey": 1800, "spillway": 500}.items()),
    *(measured(2, name, cpu) for name, cpu in {"floor": 100, "nginx": 20, "portkey": 1000, "spillway": 300}.items()),
    *(measured(3, name, cpu) for name, cpu in {"floor": 100, "nginx": 10, "portkey": 1000, "spillway": 280}.items()),
]


def row_of(results: list[Measured], program: str) -> str:
    return next(line for line in table(results, [URL]) if line.split(" ")[0] == program)


@pytest.mark.parametrize(
    ("beside", "shown"),
    [
        pytest.param("floor", "2.80 (2.50 to 3.00)", id="the floor"),
        pytest.param("nginx", "25.00 (15.00 to 28.00)", id="nginx"),
        pytest.param("portkey", "0.28 (0.28 to 0.30)", id="Portkey"),
    ],
)
def test_a_ratio_is_the_median_of_those_of_the_rounds(beside, shown):
    assert str(ratio(ROUNDS, "url", "spillway", beside)) == shown
    assert shown in row_of(ROUNDS, "spillway")


def test_each_measured_peer_that_an_aim_names_has_a_column_below_its_title():
    results = [*ROUNDS, measured(1, "before", 1500), measured(1, "litellm", 7000)]
    title, *rows = list(table(results, [URL]))[1:-1]
    places = [title.index(f"x {name}") for name in ("floor", "nginx", "portkey")]
    before = next(row for row in rows if row.startswith("before"))
    assert [before[place:].split(" ")[0] for place in places] == ["7.50", "75.00", "0.83"]
    assert "x litellm" not in title


def test_what_was_not_measured_has_no_column_and_a_round_without_it_no_ratio():
    alone = [one for one in ROUNDS if one.program in {"floor", "spillway"}]
    assert "nginx" not in "".join(table(alone, [URL]))
    some = [one for one in ROUNDS if one.program != "portkey" or one.round == 2]
    assert row_of(some, "spillway").endswith("0.30 (0.30 to 0.30)")


def test_a_peer_that_refuses_every_round_is_nothing_to_compare_with():
    results = [replace(one, failed=7) if one.program == "portkey" else one for one in ROUNDS]
    assert "x portkey" not in list(table(results, [URL]))[1]
    assert row_of(results, "portkey").split()[7] == "21"
