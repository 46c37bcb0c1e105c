"""What may be said of a key, in the words of the API: never its secret, nor a digest of it. Pure."""

from datetime import UTC, datetime

from app.domain.caller import ApiKey
from app.domain.key_records import KeyStatus
from app.domain.words import JSONValue


def status_of(key: ApiKey, now: float) -> KeyStatus:
    """Whether a key opens anything."""
    if key.revoked_at is not None:
        return KeyStatus.REVOKED
    return KeyStatus.EXPIRED if key.expires_at is not None and key.expires_at <= now else KeyStatus.ACTIVE


def facts_of(key: ApiKey, status: KeyStatus) -> dict[str, JSONValue]:
    """A key without its account."""
    limits = key.limits
    return {
        "id": key.id,
        "object": "key",
        "name": key.name,
        "last_four": key.last_four,
        "status": status.value,
        "admin": key.is_admin,
        "created_at": int(key.created_at),
        "expires_at": _whole(key.expires_at),
        "revoked_at": _whole(key.revoked_at),
        "last_used_at": _whole(key.last_used_at),
        "budget": {"limit": None if limits.budget is None else float(limits.budget), "period": limits.period.value},
        "rpm": limits.rpm,
        "images_per_minute": limits.images_per_minute,
        "concurrency": limits.concurrency,
        "models": list(limits.models),
        "forbid_unpriced": limits.forbid_unpriced,
        "defaults": dict(key.defaults),
        "webhook_url": key.webhook_url,
        "media_ttl": limits.media_ttl,
        "result_ttl": limits.result_ttl,
    }


def show_time(at: float) -> str:
    """A moment for people."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _whole(at: float | None) -> int | None:
    return None if at is None else int(at)
