"""What answers say of a key's limits, in the form OpenAI's clients read."""

from decimal import Decimal

import pytest

from app.access.account import Account
from app.access.rate_limits import FULL, Tokens
from app.domain.caller import Limits
from app.openai_api.limit_headers import limit_headers, shown_seconds


def account(limits: Limits, tokens: Tokens = FULL, spent: int = 0) -> Account:
    budget = None if limits.budget is None else int(limits.budget.scaleb(9))
    return Account("key_a", "a", limits, budget, 0, spent, 0, tokens)


@pytest.mark.parametrize(
    ("held", "headers"),
    [
        pytest.param(account(Limits()), {}, id="nothing is limited"),
        pytest.param(
            account(Limits(rpm=60), Tokens(requests=58.5)),
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "58",
                "x-ratelimit-reset-requests": "1.5s",
            },
            id="requests",
        ),
        pytest.param(
            account(Limits(images_per_minute=4)),
            {
                "x-ratelimit-limit-images": "4",
                "x-ratelimit-remaining-images": "4",
                "x-ratelimit-reset-images": "0ms",
            },
            id="images, of a key that was never used",
        ),
        pytest.param(
            account(Limits(budget=Decimal("0.5")), spent=499_999_990),
            {"x-spillway-budget-remaining": "0.00000001"},
            id="a budget, without an exponent",
        ),
        pytest.param(
            account(Limits(budget=Decimal(1)), spent=2_000_000_000),
            {"x-spillway-budget-remaining": "0"},
            id="an overdrawn budget",
        ),
    ],
)
def test_an_answer_tells_of_what_is_limited(held, headers):
    assert {name.decode(): value.decode() for name, value in limit_headers(held)} == headers


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0ms"), (0.34, "340ms"), (1.0, "1s"), (8.64, "8.64s"), (60.0, "1m0s")],
    ids=["none", "below a second", "a second", "seconds", "a minute"],
)
def test_times_are_written_as_openai_writes_them(seconds, shown):
    assert shown_seconds(seconds) == shown
