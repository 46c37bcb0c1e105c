"""Who calls, and what its key allows. Frozen values without behavior; who decides upon them is `access`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from pydantic import SecretStr

from app.domain.words import JSONValue


class Period(StrEnum):
    """How long a budget lasts: a calendar day, week (from Monday) or month in UTC, or the life of the key."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key may spend, how fast, and how long its images stay; None is as the gateway does.

    `budget` is in dollars for each `period`; the last two are in seconds.
    """

    budget: Decimal | None = None
    period: Period = Period.TOTAL
    rpm: int | None = None
    """Requests per minute."""
    images_per_minute: int | None = None
    concurrency: int | None = None
    """Requests that have not ended."""
    models: tuple[str, ...] = ()
    """Globs over the ids and AIRs of models that may be used; empty for all."""
    forbid_unpriced: bool = False
    """Refuse models whose price the catalog does not know."""
    media_ttl: int | None = None
    """How long links to its images live."""
    result_ttl: int | None = None
    """How long its images can be asked for again."""


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the database, without its secret. Times are unix seconds.

    `id` is also the tenant under which its requests are kept; it stays when the key is rotated.
    """

    id: str
    name: str
    last_four: str
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None
    is_admin: bool = False
    limits: Limits = NO_LIMITS
    defaults: Mapping[str, JSONValue] = field(default_factory=dict)
    """Fields that a request gets which does not have them, by their names in a body."""
    webhook_url: str | None = None
    """Where warnings about its budget go."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request. `tenant` is a stable name of its key, under which everything of its own is kept."""

    tenant: str
    name: str = ""
    """What the operator calls it; empty where it has no name."""
    is_admin: bool = False
    key: ApiKey | None = None
    """Its key, where that is one of the database."""
    runware_key: SecretStr | None = None
    """The caller's own key at Runware, where the gateway passes it on."""


ANONYMOUS = Caller("anonymous")
