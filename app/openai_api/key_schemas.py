"""Keys and the audit log as documentation: what /openapi.json says of these bodies and answers.

Bodies are read by `key_fields`, answers written by `key_render`, not by these models; tests hold them together.
"""

from typing import Literal

from pydantic import ConfigDict, Field, JsonValue

from app.openai_api.described import Described
from app.openai_api.key_fields import LARGEST_BUDGET, LARGEST_NUMBER, LONGEST_NAME, MOST_GLOBS

Count = int | None
Period = Literal["day", "week", "month", "total"]


class KeyChanges(Described):
    """The fields of a key to change: absent ones stay as they are, null takes one away."""

    # Another field is refused: a limit in it would not hold.
    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=LONGEST_NAME, description="Whose key it is. Without `/`, not `key_…`.")
    budget: float | None = Field(None, ge=0, le=float(LARGEST_BUDGET), description="US dollars in each `period`.")
    period: Period | None = Field(None, description="UTC days, weeks from Monday, months; `total` is the key's life.")
    rpm: Count = Field(None, ge=1, le=LARGEST_NUMBER, description="Requests per minute.")
    images_per_minute: Count = Field(None, ge=1, le=LARGEST_NUMBER, description="Images per minute.")
    concurrency: Count = Field(None, ge=1, le=LARGEST_NUMBER, description="Requests that run at once.")
    models: list[str] | None = Field(
        None, max_length=MOST_GLOBS, description="Ids or AIRs it may use; `*` stands for anything. Empty: all."
    )
    expires_at: str | float | None = Field(
        None, description="Unix seconds, a date like 2030-12-31, or a duration from now like `90d`."
    )
    forbid_unpriced: bool | None = Field(None, description="Refuse what has no price beforehand.")
    defaults: dict[str, JsonValue] | None = Field(None, description="Fields of a request that does not have them.")
    admin: bool | None = Field(None, description="Whether it may do what administrators may.")
    webhook_url: str | None = Field(None, description="Where warnings about its budget go; https only.")
    media_ttl: str | int | None = Field(
        None, description="How long links to its images live: seconds, or `90s`, `12h`."
    )
    result_ttl: str | int | None = Field(None, description="How long its images can be asked for again, likewise.")


class KeyRequest(KeyChanges):
    """A key to make. Only `name` is required."""

    name: str = Field(max_length=LONGEST_NAME, description="Whose key it is. Without `/`, not `key_…`.")


class RotateRequest(Described):
    """How a key gets another secret."""

    model_config = ConfigDict(extra="forbid")

    grace: str | float | None = Field(
        None, description="How long the old secret opens: `30s`, `5m`, `24h`, `7d`, or seconds. Default: 24h."
    )


class KeyBudget(Described):
    """What a key may spend, and what it has spent. In US dollars."""

    limit: float | None = Field(description="Null where there is no limit.")
    period: Period
    spent: float
    reserved: float = Field(description="For requests that run.")
    remaining: float | None = Field(description="Null where there is no limit.")
    resets_at: int | None = Field(description="When the period ends, in unix seconds; null for `total`.")


class KeyItem(Described):
    """A key, without its secret."""

    id: str
    object: Literal["key"]
    name: str
    last_four: str
    status: Literal["active", "revoked", "expired"]
    admin: bool
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None = Field(description="Exact to a minute.")
    budget: KeyBudget
    rpm: int | None
    images_per_minute: int | None
    concurrency: int | None
    models: list[str]
    forbid_unpriced: bool
    defaults: dict[str, JsonValue]
    webhook_url: str | None
    media_ttl: int | None = Field(description="Seconds; null is as the gateway does.")
    result_ttl: int | None = Field(description="Seconds; null is as the gateway does.")


class CallerItem(Described):
    """Who calls, and what the gateway takes it for."""

    object: Literal["caller"]
    id: str = Field(description="What `key` is in the records of its requests.")
    name: str | None
    admin: bool
    anonymous: bool = Field(description="Whether no key is asked for here.")
    key: KeyItem | None = Field(description="Its key, where that was made by an administrator; null for others.")


class KeyWithSecret(KeyItem):
    """A key that was just made or rotated."""

    key: str = Field(description="The key itself, which is shown this once.")


class KeyList(Described):
    """A page of keys, the newest first."""

    object: Literal["list"]
    data: list[KeyItem]
    has_more: bool
    next_page_url: str | None
    previous_page_url: str | None


class AuditEntryItem(Described):
    """Something an administrator did."""

    id: int
    object: Literal["audit_entry"]
    created_at: int
    actor: str = Field(description="The id of the administrator's key.")
    action: str = Field(description="`key.created`, `key.updated`, `key.rotated`, `request.read` and the like.")
    target: str = Field(description="The id of the key or request.")
    before: JsonValue = Field(description="The key before, never its secret.")
    after: JsonValue = Field(description="The key after, never its secret.")


class AuditList(Described):
    """A page of the audit log, the newest first."""

    object: Literal["list"]
    data: list[AuditEntryItem]
    has_more: bool
    next_page_url: str | None
    previous_page_url: str | None


class BudgetWarning(Described):
    """Which share of its budget a key has spent or reserved."""

    id: str
    object: Literal["key"]
    name: str
    threshold: int = Field(description="80 or 100 percent.")
    budget: KeyBudget


class BudgetWebhook(Described):
    """What is sent when a key comes near the end of its budget."""

    type: Literal["key.budget_warning"]
    timestamp: str
    data: BudgetWarning
