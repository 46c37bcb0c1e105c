"""Money goes into the tables and comes back exactly, and a new row is the record it was made from."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.database.tables import requests
from app.domain.answer import TaskCost
from app.journal.records import Intent, Record, Status
from app.journal.rows import new_record, read_money, write_money


@given(st.decimals(0, 10_000, places=9))
def test_money_is_written_and_read_exactly(amount):
    assert read_money(write_money(amount)) == amount


@pytest.mark.parametrize("value", [None, "", "abc", "5", -1, 0.5, True, b"5"])
def test_a_column_that_holds_no_money_is_unknown(value):
    assert read_money(value) is None


def test_the_record_of_a_new_row_says_what_was_intended_and_that_nothing_is_known_yet():
    intent = Intent("r", "t", "k", "f", "edits", "m", "runware:1@1", 3, ("a", "b"), Decimal("0.02"), "{}", queued=True)
    record = new_record(intent, owner="o", now=5.0)
    assert (record.id, record.n, record.status, record.created_at) == ("r", 3, Status.QUEUED, 5.0)
    assert (record.estimate, record.task_ids, record.webhook_attempts) == (Decimal("0.02"), ("a", "b"), 0)
    assert record.costs == tuple(TaskCost(task, Decimal(0), is_complete=False) for task in "ab")
    assert (record.answer, record.error, record.images_kept, record.completed_at) == (None, None, None, None)


def test_every_member_of_a_record_but_the_costs_is_a_column():
    assert set(Record.__struct_fields__) - {"costs", "has_key"} <= set(requests.columns.keys())
