"""The highest price of a model is the most that was ever seen, and is written only where it may rise."""

import pytest
from sqlalchemy import delete, select

from app.database.key_tables import highest_prices
from app.database.transaction import Transaction
from app.ledger.highest_prices import HighestPrices
from tests.support.databases import open_migrated
from tests.support.journals import Clock


@pytest.fixture
def engine(database):
    opened = open_migrated(database.fresh())
    yield opened
    opened.dispose()


def note(engine, prices: HighestPrices, *seen: tuple[str, int], stands: bool = True) -> bool:
    """Whether a transaction in which these were seen wrote anything."""
    with engine.connect() as connection, connection.begin() as group:
        transaction = Transaction(connection)
        before = transaction.mark()
        prices.note(transaction, seen)
        if not stands:
            group.rollback()
        else:
            group.commit()
            for remember in transaction.once_durable:
                remember()
        return transaction.mark() != before


def written(engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {row.model: row.per_image for row in connection.execute(select(highest_prices))}


def test_of_what_was_seen_together_the_most_counts(engine):
    assert note(engine, HighestPrices(), ("a", 3), ("b", 5), ("a", 7), ("a", 2))
    assert written(engine) == {"a": 7, "b": 5}


@pytest.mark.parametrize(("price", "writes"), [(6, False), (7, False), (8, True)])
def test_only_what_is_higher_than_what_stands_is_written(engine, price, writes):
    prices = HighestPrices()
    note(engine, prices, ("a", 7))
    assert note(engine, prices, ("a", price)) == writes
    assert written(engine) == {"a": max(price, 7)}


def test_what_did_not_become_durable_is_written_again(engine):
    prices = HighestPrices()
    note(engine, prices, ("a", 7), stands=False)
    assert written(engine) == {}
    assert note(engine, prices, ("a", 7))
    assert written(engine) == {"a": 7}


@pytest.mark.parametrize(("seconds", "writes"), [(59, False), (60, True)])
def test_what_a_failover_may_have_lost_is_written_again_after_a_minute(engine, seconds, writes):
    clock = Clock()
    prices = HighestPrices(clock)
    note(engine, prices, ("a", 7))
    with engine.begin() as connection:
        connection.execute(delete(highest_prices))
    clock.now += seconds
    assert note(engine, prices, ("a", 7)) == writes
    assert written(engine) == ({"a": 7} if writes else {})


def test_what_another_process_has_seen_is_not_lowered(engine):
    here, there = HighestPrices(), HighestPrices()
    note(engine, there, ("a", 9))
    assert note(engine, here, ("a", 7))
    assert written(engine) == {"a": 9}
