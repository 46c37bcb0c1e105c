"""Usage, balance and ledger as documentation: what /openapi.json says of these answers.

They are written by `usage` and `ledger`, not by these models; tests hold the two together.
"""

from typing import Literal

from pydantic import Field

from app.openai_api.described import Described


class UsageSums(Described):
    """Sums over requests."""

    requests: int
    images: int = Field(description="Images that came.")
    cost: float = Field(description="Of the requests of which Runware has said what they cost; exact.")
    estimated_cost: float = Field(description="Of those of which it has not yet: what the ledger books for them.")
    failures: int = Field(description="Requests that failed.")
    p50_seconds: float | None = Field(description="Within so long half of the requests ended; null without any.")
    p95_seconds: float | None = Field(description="Within so long 95 of 100 requests ended; null without any.")
    dropped: int = Field(description="Fields that were dropped and reported.")


class UsageItem(UsageSums):
    """A row. Of the first five members it has the one that rows are grouped by."""

    day: str | None = Field(None, description="The date in `tz`.")
    model: str | None = Field(None, description="The model that was bought: its id in the catalog, else its AIR id.")
    key: str | None = Field(None, description="The id of the key.")
    user: str | None = Field(None, description="What the requests named as `user`; null where they named none.")
    status: str | None = Field(None, description="How far the requests are.")
    name: str | None = Field(None, description="The name of the key, where rows are grouped by key and it has one.")


class UsageResponse(Described):
    """Sums over requests by what they have in common."""

    object: Literal["usage"]
    group_by: Literal["day", "model", "key", "user", "status"]
    from_: str = Field(alias="from", description="Requests that began from this moment,")
    to: str = Field(description="and before this one.")
    tz: str
    currency: Literal["USD"]
    data: list[UsageItem] = Field(description="By day, else by what was paid, the most first.")
    total: UsageSums = Field(description="Over all groups, also those of other pages.")
    has_more: bool
    next_page_url: str | None


class BalanceModel(Described):
    """What is left of the money at Runware."""

    object: Literal["balance"]
    balance: float
    currency: Literal["USD"]
    asked_at: int = Field(description="When Runware said so, in unix seconds; at most a minute ago.")
    low_balance: float | None = Field(description="SPILLWAY_LOW_BALANCE, null where it is not set.")
    is_low: bool | None = Field(description="Whether the balance is below it.")


class LedgerDifference(Described):
    """Two places that do not say the same."""

    subject: Literal["request", "bill", "account", "totals", "ledger"]
    id: str
    ledger: str = Field(description="What the ledger's entries add up to.")
    journal: str = Field(description="What stands elsewhere.")


class LedgerVerification(Described):
    """What was compared, and what does not agree. In US dollars."""

    object: Literal["ledger.verification"]
    exact: bool = Field(description="Whether every balance agrees.")
    requests: int
    entries: int
    accounts: int
    reserved: float
    spent: float
    estimated: float = Field(description="Booked, though Runware has not said the cost yet.")
    removed: float = Field(description="Paid for requests that are summed up.")
    currency: Literal["USD"]
    differences: list[LedgerDifference]
    more_differences: int = Field(description="How many there are beside those listed.")
