"""What a key has spent and may still spend: one account, and the decision upon one request. Pure.

Amounts are nano-dollars, times unix seconds. Where accounts lie, and who may decide at once, is `budgets`'.
"""

from msgspec import Struct

from app.access.rate_limits import FULL, Tokens, refill, take
from app.domain.caller import Limits, Period
from app.domain.money import from_nanos
from app.domain.values import replace
from app.errors import AuthenticationError, QuotaError, RateLimitedError
from app.ledger.budget_state import BudgetState, level_of
from app.ledger.periods import SECONDS_OF_A_DAY, first_day, resets_at, shown_time

BUDGET_EXCEEDED = "budget_exceeded"
_LOOKS_AGAIN_SECONDS = 1
"""When to try again where another request has to end first; nobody knows when it does."""
_NAMES = {Period.DAY: " a day", Period.WEEK: " a week", Period.MONTH: " a month", Period.TOTAL: ""}


class Ask(Struct, frozen=True):
    """What one request asks of an account. `reserve` is what it may cost; without `is_priced` nobody knows."""

    model: str
    images: int
    reserve: int
    is_priced: bool


class Account(Struct, frozen=True):
    """The account of a key, with the limits that hold for it. `budget` is that of the limits."""

    key_id: str
    name: str
    limits: Limits
    budget: int | None
    first_day: int
    """Of the period that the sums are of."""
    spent: int
    reserved: int
    tokens: Tokens = FULL
    warned: int = 0
    """The percent of the budget of which the owner was told in this period."""
    running: int = 0
    """Requests that have not ended; counted only where they are limited."""
    webhook_url: str | None = None
    is_revoked: bool = False

    @property
    def remaining(self) -> int | None:
        """What is left of the budget, None without one."""
        return None if self.budget is None else max(self.budget - self.spent - self.reserved, 0)

    @property
    def resets_at(self) -> float | None:
        """When the period ends, None where it does not."""
        return resets_at(self.limits.period, self.first_day)

    @property
    def level(self) -> int:
        """How much of the budget is taken, as far as somebody is to be told."""
        return 0 if self.budget is None else level_of(self.budget, self.spent + self.reserved)

    @property
    def state(self) -> BudgetState | None:
        """The budget as warnings are given of it."""
        if self.budget is None:
            return None
        period = self.limits.period
        return BudgetState(self.key_id, self.name, self.budget, period, self.first_day, self.spent, self.reserved)

    def at(self, now: float) -> "Account":
        """The account at this moment: in a new period it is empty, and its buckets fill."""
        tokens = refill(self.tokens, self.limits, now)
        first = first_day(self.limits.period, now)
        # Never back: another replica whose clock is ahead has begun the period (0120).
        if first <= self.first_day:
            return replace(self, tokens=tokens)
        return replace(self, tokens=tokens, first_day=first, spent=0, reserved=0, warned=0)

    def moment(self, now: float) -> float:
        """When a request counts as made that was asked for at `now`: in the period of the account."""
        return max(now, float(self.first_day * SECONDS_OF_A_DAY))

    def charge(self, ask: Ask) -> "Account":
        """The account after the request, raising what keeps it from being carried out; `at` comes first."""
        # However long a process believes a key while it cannot look it up: once revoked, it buys nothing (0115).
        if self.is_revoked:
            raise AuthenticationError("This API key was revoked. Nothing was sent. Use another key.")
        # What waiting does not help comes first: no client should wait for its turn to hear it.
        if self.limits.forbid_unpriced and not ask.is_priced:
            raise QuotaError(_unpriced(ask.model), param="model", code="unpriced_model", should_retry=False)
        remaining = self.remaining
        if remaining is not None and ask.reserve > remaining:
            raise QuotaError(self._exceeded(ask, remaining), code="budget_exceeded", should_retry=False)
        self._check_running()
        tokens = take(self.tokens, self.limits, ask.images)
        return replace(self, tokens=tokens, reserved=self.reserved + ask.reserve, running=self.running + 1)

    def warned_of(self, level: int) -> "Account":
        """The account, its owner told that so much of the budget is used."""
        return replace(self, warned=level)

    def _check_running(self) -> None:
        most = self.limits.concurrency
        if most is not None and self.running >= most:
            message = f"This API key may have {most} requests running at once, and has. Nothing was sent."
            raise RateLimitedError(message, retry_after=_LOOKS_AGAIN_SECONDS, should_retry=True)

    def _exceeded(self, ask: Ask, remaining: int) -> str:
        budget = f"{from_nanos(self.budget or 0):f} USD{_NAMES[self.limits.period]}"
        guess = "" if ask.is_priced else ", as nobody knows its price"
        ends = self.resets_at
        advice = (
            "It is not renewed: ask this gateway's operator."
            if ends is None
            else f"It is renewed at {shown_time(ends)}."
        )
        return (
            f"The budget of this API key, {budget}, has {from_nanos(remaining):f} USD left, and this request may cost "
            f"{from_nanos(ask.reserve):f} USD{guess}. Nothing was sent. {advice}"
        )


def _unpriced(model: str) -> str:
    return (
        f"Nobody knows beforehand what this request on `{model}` costs, and this API key may only spend what is known. "
        "Nothing was sent. GET /v1/models shows which models have a price, a dry run what is missing."
    )
