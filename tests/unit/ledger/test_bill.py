"""The one bill: what is unknown stays unknown, what is known stays known."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.bill import Bill, known_cost, total_cost

CENT = Decimal("0.01")


def test_nothing_that_was_never_sent_costs_anything():
    assert total_cost(Bill().costs) == 0


def test_a_task_is_unknown_from_the_moment_it_may_be_sent():
    bill = Bill()
    bill.open_task("a")
    assert (total_cost(bill.costs), known_cost(bill.costs)) == (None, 0)


@pytest.mark.parametrize(
    ("costs", "is_complete", "cost", "known"),
    [
        pytest.param([CENT, CENT], True, 2 * CENT, 2 * CENT, id="all known"),
        pytest.param([CENT, None], True, None, CENT, id="one image unknown"),
        pytest.param([None], True, None, Decimal(0), id="nothing known"),
        pytest.param([CENT], False, None, CENT, id="there may be more images"),
        pytest.param([], True, Decimal(0), Decimal(0), id="it failed and made nothing"),
    ],
)
def test_a_total_exists_only_when_every_part_is_known(costs, is_complete, cost, known):
    bill = Bill()
    bill.open_task("a")
    bill.add("a", costs, is_complete=is_complete)
    assert (total_cost(bill.costs), known_cost(bill.costs)) == (cost, known)


def test_what_was_known_once_is_not_forgotten_when_runware_says_less_later():
    bill = Bill()
    bill.add("a", [CENT], is_complete=True)
    bill.add("b", [CENT, None], is_complete=True)
    again = Bill.of(bill.costs)
    again.add("a", [None], is_complete=True)
    again.add("b", [None, None], is_complete=True)
    assert again.costs == bill.costs
    again.add("b", [CENT, CENT], is_complete=True)
    assert total_cost(again.costs) == 3 * CENT


@given(st.lists(st.lists(st.one_of(st.none(), st.decimals(0, 100, places=6)), max_size=4), max_size=5))
def test_the_parts_add_up_to_the_whole(tasks):
    bill = Bill()
    for number, costs in enumerate(tasks):
        bill.add(str(number), costs, is_complete=True)
    parts = [bill.costs_of([str(number)]) for number in range(len(tasks))]
    assert known_cost(bill.costs) == sum(known_cost(part) for part in parts)
    assert (total_cost(bill.costs) is None) == any(total_cost(part) is None for part in parts)
    assert known_cost(bill.costs) == sum(cost for costs in tasks for cost in costs if cost is not None)


@given(st.lists(st.one_of(st.none(), st.decimals(0, 100, allow_nan=False, places=6), st.just(Decimal("0.00")))))
def test_a_sum_is_exact_to_the_way_it_is_written(costs):
    bill = Bill()
    bill.add("a", costs, is_complete=True)
    assert str(known_cost(bill.costs)) == str(sum(filter(None, costs), Decimal(0)))
    assert (total_cost(bill.costs) is None) is (None in costs)
