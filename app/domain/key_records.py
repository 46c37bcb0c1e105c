"""What is asked for and shown of API keys, and who did what to them. Frozen values without behavior."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from app.domain.caller import NO_LIMITS, ApiKey, Limits, Period
from app.domain.words import JSONValue


class KeyStatus(StrEnum):
    """Whether a key opens anything."""

    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class KeyDraft:
    """What an administrator decides of a key. `expires_at` is unix seconds."""

    name: str = ""
    is_admin: bool = False
    expires_at: float | None = None
    limits: Limits = NO_LIMITS
    defaults: Mapping[str, JSONValue] = field(default_factory=dict)
    webhook_url: str | None = None


@dataclass(frozen=True, slots=True)
class KeyBudget:
    """Where a budget stands, in dollars. Without one there is no `limit` and nothing `remaining`."""

    limit: Decimal | None
    period: Period
    spent: Decimal
    reserved: Decimal
    remaining: Decimal | None
    resets_at: int | None


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as administrators see it."""

    key: ApiKey
    status: KeyStatus
    budget: KeyBudget


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Which keys are asked for; at most one of `after` and `before`, both ids."""

    limit: int
    after: str | None = None
    before: str | None = None
    status: KeyStatus | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing an administrator did: `before` and `after` are JSON."""

    id: int
    at: float
    actor: str
    action: str
    target: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Which entries are asked for; at most one of `after` and `before`, both ids of entries."""

    limit: int
    after: int | None = None
    before: int | None = None
    actor: str | None = None
    action: str | None = None
    target: str | None = None
