"""Keys of the database as rows: functions over a connection or a transaction, which stand or fall with the caller's.

Owns what a row says of a key. Secrets never come here: of each there is only its digest. Leaves to `key_admin` who may
change what, to `key_cache` how long it is believed.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, case, insert, or_, select, update

from app.database.key_tables import accounts, api_keys
from app.database.transaction import Transaction
from app.domain.caller import ApiKey, Limits, Period
from app.domain.key_records import KeyPage, KeyStatus
from app.domain.money import from_nanos, to_nanos
from app.domain.words import JSONValue
from app.observability.logs import get_logger

_logger = get_logger("keys")
_INSERT = insert(api_keys)
_UPDATE = update(api_keys).where(api_keys.c.id == bindparam("of_key"))
_TOUCH = (
    update(api_keys)
    .where(api_keys.c.id == bindparam("of_key"))
    .values(
        # Replicas write in any order: the latest use stays.
        last_used_at=case(
            (api_keys.c.last_used_at > bindparam("used_at"), api_keys.c.last_used_at), else_=bindparam("used_at")
        )
    )
)
_SOME = select(api_keys.c.id).limit(1)
_BY_IDS = select(api_keys).where(api_keys.c.id.in_(bindparam("ids", expanding=True)))
_BY_ID = select(api_keys).where(api_keys.c.id == bindparam("reference"))
# The name of a revoked key may be given again: the one that is not revoked is meant, else the latest.
_BY_NAME = (
    select(api_keys)
    .where(api_keys.c.name == bindparam("reference"))
    .order_by(api_keys.c.revoked_at.is_not(None), api_keys.c.created_at.desc())
    .limit(1)
)
_ACCOUNTS = select(accounts.c.key_id, accounts.c.period_start, accounts.c.spent, accounts.c.reserved).where(
    accounts.c.key_id.in_(bindparam("ids", expanding=True))
)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with the digests of its secret and of the one before, which opens until `previous_until`."""

    key: ApiKey
    digest: str
    previous_digest: str | None = None
    previous_until: float | None = None


@dataclass(frozen=True, slots=True)
class AccountSums:
    """What a key has spent and reserved in the period that begins on the UTC day `period_start`, in nano-dollars."""

    period_start: int = 0
    spent: int = 0
    reserved: int = 0


def has_keys(connection: Connection) -> bool:
    """Whether there was ever a key: a revoked one counts, or revoking the last would open the gateway to all."""
    return connection.execute(_SOME).first() is not None


def fetch_keys(connection: Connection, key_ids: Collection[str]) -> list[StoredKey]:
    """Those of these keys that are there and can be read."""
    found = (_read(row) for row in connection.execute(_BY_IDS, {"ids": list(key_ids)}))
    return [stored for stored in found if stored is not None]


def find_key(connection: Connection, reference: str) -> StoredKey | None:
    """The key with this id or name."""
    # PostgreSQL refuses the character, and nothing is called so.
    if "\x00" in reference:
        return None
    values = {"reference": reference}
    row = connection.execute(_BY_ID, values).first() or connection.execute(_BY_NAME, values).first()
    return None if row is None else _read(row)


def list_keys(connection: Connection, page: KeyPage, now: float) -> tuple[list[ApiKey], bool]:
    """A page of keys, newest first, and whether there are more."""
    query = select(api_keys)
    if page.status is not None:
        query = query.where(_has_status(page.status, now))
    cursor = page.after or page.before
    if cursor is not None:
        at = connection.execute(select(api_keys.c.created_at).where(api_keys.c.id == cursor)).scalar_one_or_none()
        if at is None:
            return [], False
        query = query.where(_beyond(at, cursor, older=page.after is not None))
    order = (api_keys.c.created_at, api_keys.c.id)
    ordered = order if page.before is not None else tuple(column.desc() for column in order)
    # One more than asked for tells whether there is another page, without counting.
    rows = connection.execute(query.order_by(*ordered).limit(page.limit + 1)).all()
    keys = [stored.key for stored in map(_read, rows[: page.limit]) if stored is not None]
    return (keys[::-1] if page.before is not None else keys), len(rows) > page.limit


def fetch_sums(connection: Connection, key_ids: Collection[str]) -> Mapping[str, AccountSums]:
    """What these keys have spent and reserved."""
    rows = connection.execute(_ACCOUNTS, {"ids": list(key_ids)})
    return {row.key_id: AccountSums(row.period_start, row.spent, row.reserved) for row in rows}


def insert_key(transaction: Transaction, stored: StoredKey) -> None:
    """Write a new key."""
    transaction.execute(_INSERT, _to_row(stored) | {"id": stored.key.id, "created_at": stored.key.created_at})


def save_key(transaction: Transaction, stored: StoredKey) -> None:
    """Write what an administrator may change of a key."""
    transaction.execute(_UPDATE.values(_to_row(stored)), {"of_key": stored.key.id})


def touch_keys(transaction: Transaction, uses: Iterable[tuple[str, float]]) -> None:
    """Write down when keys were last used, in one order for all processes, which so never wait in a circle."""
    rows = [{"of_key": key_id, "used_at": at} for key_id, at in sorted(uses)]
    if rows:
        transaction.execute(_TOUCH, rows)


def _has_status(status: KeyStatus, now: float) -> ColumnElement[bool]:
    revoked, ends = api_keys.c.revoked_at, api_keys.c.expires_at
    match status:
        case KeyStatus.REVOKED:
            return revoked.is_not(None)
        case KeyStatus.EXPIRED:
            return and_(revoked.is_(None), ends <= now)
        case KeyStatus.ACTIVE:
            return and_(revoked.is_(None), or_(ends.is_(None), ends > now))


def _beyond(at: float, cursor: str, *, older: bool) -> ColumnElement[bool]:
    created, id_ = api_keys.c.created_at, api_keys.c.id
    if older:
        return or_(created < at, and_(created == at, id_ < cursor))
    return or_(created > at, and_(created == at, id_ > cursor))


def _read(row: Row[*tuple[Any, ...]]) -> StoredKey | None:
    """The key of a row; None for one that cannot be read, which then opens nothing (0103)."""
    try:
        return StoredKey(_to_key(row), row.digest, row.previous_digest, row.previous_until)
    except (TypeError, ValueError):
        _logger.exception("the row of a key cannot be read: the key opens nothing", key=str(row.id))
        return None


def _to_key(row: Row[*tuple[Any, ...]]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        last_four=row.last_four,
        created_at=float(row.created_at),
        expires_at=_to_time(row.expires_at),
        revoked_at=_to_time(row.revoked_at),
        last_used_at=_to_time(row.last_used_at),
        is_admin=bool(row.is_admin),
        limits=Limits(
            budget=None if row.budget is None else from_nanos(int(row.budget)),
            period=Period(row.period),
            rpm=row.rpm,
            images_per_minute=row.images_per_minute,
            concurrency=row.concurrency,
            models=tuple(str(glob) for glob in _decode(row.models, list)),
            forbid_unpriced=bool(row.forbid_unpriced),
            media_ttl=row.media_ttl,
            result_ttl=row.result_ttl,
        ),
        defaults=_decode(row.defaults, dict),
        webhook_url=row.webhook_url,
    )


def _to_time(value: object) -> float | None:
    return None if value is None else float(str(value))


def _decode(text: str, kind: type) -> Any:
    value: JSONValue = json.loads(text)
    if not isinstance(value, kind):
        message = f"{kind.__name__} expected"
        raise TypeError(message)
    return value


def _to_row(stored: StoredKey) -> dict[str, object]:
    key, limits = stored.key, stored.key.limits
    return {
        "name": key.name,
        "digest": stored.digest,
        "last_four": key.last_four,
        "previous_digest": stored.previous_digest,
        "previous_until": stored.previous_until,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "is_admin": key.is_admin,
        "budget": None if limits.budget is None else to_nanos(limits.budget),
        "period": limits.period.value,
        "rpm": limits.rpm,
        "images_per_minute": limits.images_per_minute,
        "concurrency": limits.concurrency,
        "models": json.dumps(list(limits.models)),
        "defaults": json.dumps(dict(key.defaults)),
        "forbid_unpriced": limits.forbid_unpriced,
        "webhook_url": key.webhook_url,
        "media_ttl": limits.media_ttl,
        "result_ttl": limits.result_ttl,
    }
