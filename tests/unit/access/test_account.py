"""The decision upon one request: what is left, what is told, and what comes first."""

import dataclasses
from decimal import Decimal

import pytest

from app.access.account import Account, Ask
from app.domain.caller import Limits, Period
from app.domain.values import replace
from app.errors import QuotaError, RateLimitedError
from app.ledger.periods import SECONDS_OF_A_DAY

DAY = 20_000
NOON = DAY * SECONDS_OF_A_DAY + 43_200.0
CENT = 10_000_000


def account(budget: int | None = 100 * CENT, *, spent: int = 0, reserved: int = 0, **limits: object) -> Account:
    held = Limits(budget=None if budget is None else Decimal(budget).scaleb(-9), period=Period.DAY, **limits)
    return Account("key_a", "team", held, budget, DAY, spent, reserved)


def ask(cents: int = 1, images: int = 1, *, is_priced: bool = True) -> Ask:
    return Ask("flux", images, cents * CENT, is_priced)


def test_the_last_cent_may_be_reserved_and_not_one_more():
    full = account(spent=60 * CENT, reserved=39 * CENT).at(NOON).charge(ask(1))
    assert (full.reserved, full.remaining) == (40 * CENT, 0)
    with pytest.raises(QuotaError):
        full.charge(ask(1))
    assert full.charge(ask(0)).remaining == 0  # what costs nothing may always be made


def test_the_refusal_says_what_is_left_what_was_asked_and_when_it_ends():
    with pytest.raises(QuotaError) as refused:
        account(spent=97 * CENT).charge(ask(4))
    message = refused.value.message
    assert "1 USD a day, has 0.03 USD left" in message
    assert "0.04 USD" in message
    assert "renewed at 2024-10-05T00:00:00Z" in message
    assert (refused.value.status, refused.value.type, refused.value.code) == (
        402,
        "insufficient_quota",
        "budget_exceeded",
    )
    assert refused.value.should_retry is False


def test_a_budget_for_the_life_of_a_key_has_no_end_to_tell():
    held = account(spent=100 * CENT)
    total = replace(held, limits=dataclasses.replace(held.limits, period=Period.TOTAL))
    with pytest.raises(QuotaError, match="not renewed"):
        total.charge(ask())


def test_a_new_period_begins_with_nothing_spent_and_nobody_warned():
    old = replace(account(spent=100 * CENT, reserved=5 * CENT), warned=100)
    new = old.at(NOON + SECONDS_OF_A_DAY)
    assert (new.first_day, new.spent, new.reserved, new.warned) == (DAY + 1, 0, 0, 0)


def test_a_replica_whose_clock_is_behind_neither_goes_back_nor_books_into_the_day_before():
    rolled = account(spent=3 * CENT).at(NOON)
    behind = DAY * SECONDS_OF_A_DAY - 2.0
    again = rolled.at(behind)
    assert (again.first_day, again.spent) == (DAY, 3 * CENT)
    assert again.moment(behind) == DAY * SECONDS_OF_A_DAY


def test_what_waiting_does_not_help_is_said_before_what_it_does():
    held = replace(account(spent=100 * CENT, rpm=1, concurrency=1, forbid_unpriced=True), running=1)
    with pytest.raises(QuotaError, match="Nobody knows"):
        held.charge(ask(is_priced=False))
    with pytest.raises(QuotaError):
        held.charge(ask())
    with pytest.raises(RateLimitedError) as refused:
        replace(held, spent=0).charge(ask())
    assert (refused.value.retry_after, refused.value.should_retry) == (1, True)


def test_a_refused_request_takes_nothing():
    held = replace(account(spent=100 * CENT, rpm=5), running=0).at(NOON)
    with pytest.raises(QuotaError):
        held.charge(ask())
    assert held.tokens.requests == 5.0
