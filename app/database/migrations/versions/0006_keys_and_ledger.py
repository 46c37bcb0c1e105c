"""API keys with accounts, the ledger, and money in whole nano-dollars instead of text."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_Row = TypeVar("_Row")
_AT_ONCE = 1000
_LONGEST_MONEY = 40
_MONEY = {"requests": ("id", ("estimate", "cost", "known_cost")), "tasks": ("uuid", ("cost", "known_cost"))}
_LARGEST = 10**15
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_FINAL = frozenset({"completed", "partial", "failed"})
_SECONDS_OF_A_DAY = 86_400
_OF_TASKS = "(SELECT CAST(SUM(tasks.cost) AS BIGINT) FROM tasks WHERE tasks.request_id = requests.id)"
# Costs could have eighteen digits: the sum of the rounded parts is the bill, not the rounded sum (0125).
_SUM_ROUNDED = (
    f"UPDATE requests SET cost = {_OF_TASKS} WHERE cost IS NOT NULL AND ABS(cost - {_OF_TASKS}) BETWEEN 1 AND 20"  # noqa: S608 - of constants
)


def upgrade() -> None:
    """Make the tables, convert what is there, and open the ledger with what the requests cost so far."""
    _make_keys()
    _make_ledger()
    _make_records()
    op.add_column("requests", sa.Column("reserve", sa.BigInteger))
    op.add_column("requests", sa.Column("dropped", sa.Integer, nullable=False, server_default="0"))
    for table, (key, columns) in _MONEY.items():
        _convert(table, key, columns, sa.BigInteger, _to_nanos)
    op.execute(_SUM_ROUNDED)
    op.add_column("requests", sa.Column("images", sa.Integer, nullable=False, server_default="0"))
    op.create_index("requests_created", "requests", ["created_at"])
    op.execute("UPDATE requests SET reserve = estimate")
    _count_images()
    _open_ledger()


def downgrade() -> None:
    """Go back to text; keys, accounts and the ledger are forgotten."""
    for table, (key, columns) in _MONEY.items():
        _convert(table, key, columns, sa.String(40), _to_text)
    op.drop_index("requests_created", "requests")
    for column in ("images", "dropped", "reserve"):
        op.drop_column("requests", column)
    for table in ("notices", "audit", "daily_totals", "highest_prices", "ledger_entries", "accounts", "api_keys"):
        op.drop_table(table)


def _convert(
    table: str,
    key: str,
    columns: tuple[str, ...],
    type_: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]],
    change: Callable[[object], object],
) -> None:
    news = [f"new_{column}" for column in columns]
    for new in news:
        op.add_column(table, sa.Column(new, type_))
    connection = op.get_bind()
    old = sa.table(table, sa.column(key), *(sa.column(name) for name in (*columns, *news)))
    filled = sa.or_(*(old.c[column].is_not(None) for column in columns))
    # Read in one go before anything is written: a cursor that is open over rows that change may see them twice.
    rows = connection.execute(sa.select(old.c[key], *(old.c[column] for column in columns)).where(filled)).all()
    update = sa.update(old).where(old.c[key] == sa.bindparam("row_key"))
    for part in _parts(rows):
        values = [{"row_key": row[0], **dict(zip(news, map(change, row[1:]), strict=True))} for row in part]
        connection.execute(update, values)
    for column in columns:
        op.drop_column(table, column)
        op.execute(f"ALTER TABLE {table} RENAME COLUMN new_{column} TO {column}")


def _open_ledger() -> None:
    connection = op.get_bind()
    rows = connection.execute(
        sa.text("SELECT id, tenant, created_at, completed_at, status, reserve, cost, known_cost FROM requests")
    ).all()
    insert = sa.text(
        "INSERT INTO ledger_entries (request_id, tenant, day, at, kind, reserved, spent, is_estimated) "
        "VALUES (:request_id, :tenant, :day, :at, :kind, :reserved, :spent, :is_estimated)"
    )
    for part in _parts(list(_entries(rows))):
        connection.execute(insert, part)


def _entries(rows: Iterable[sa.Row[Any]]) -> Iterator[dict[str, object]]:
    """One entry for each request, as if it had been kept from the start."""
    for row in rows:
        try:
            created = float(row.created_at)
            at = created if row.completed_at is None else float(row.completed_at)
            day = int(created // _SECONDS_OF_A_DAY)
        except (TypeError, ValueError, OverflowError):
            created, at, day = 0.0, 0.0, 0
        entry = {"request_id": row.id, "tenant": row.tenant, "day": day, "at": at, "reserved": 0, "spent": 0}
        reserve = row.reserve or 0
        if row.status not in _FINAL:
            yield entry | {"at": created, "kind": "reserve", "reserved": reserve, "is_estimated": False}
        elif row.cost is not None:
            yield entry | {"kind": "settle" if row.cost else "release", "spent": row.cost, "is_estimated": False}
        else:
            yield entry | {"kind": "settle", "spent": max(row.known_cost or 0, reserve), "is_estimated": True}


def _count_images() -> None:
    """Complete answers have what was asked for; how many others have is read from what is stored of them."""
    op.execute("UPDATE requests SET images = n WHERE status = 'completed'")
    connection = op.get_bind()
    partial = connection.execute(sa.text("SELECT id, n, answer FROM requests WHERE status = 'partial'")).all()
    update = sa.text("UPDATE requests SET images = :images WHERE id = :id")
    for part in _parts(partial):
        connection.execute(update, [{"id": row.id, "images": _images_in(row.answer, row.n)} for row in part])


def _images_in(answer: object, asked: int) -> int:
    try:
        images = json.loads(answer)["images"] if isinstance(answer, str) else None
    except (ValueError, TypeError, KeyError):
        return asked
    return len(images) if isinstance(images, list) else asked


def _parts(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    return (rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))


def _to_nanos(text: object) -> int | None:
    """What was read as money before; anything else was unknown, and stays it."""
    try:
        amount = (
            Decimal(text) if isinstance(text, str) and len(text) <= _LONGEST_MONEY and "e" not in text.lower() else None
        )
    except InvalidOperation:
        return None
    if amount is None or not amount.is_finite() or amount < 0:
        return None
    nanos = int((amount * 10**9).to_integral_value())
    return nanos if nanos <= _LARGEST else None


def _to_text(nanos: object) -> str | None:
    return format(Decimal(nanos).scaleb(-9), "f") if isinstance(nanos, int) else None


def _make_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("last_four", sa.String(4), nullable=False),
        sa.Column("previous_digest", sa.String(64), unique=True),
        sa.Column("previous_until", sa.Float),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("revoked_at", sa.Float),
        sa.Column("last_used_at", sa.Float),
        sa.Column("is_admin", sa.Boolean, nullable=False),
        sa.Column("budget", sa.BigInteger),
        sa.Column("period", sa.String(8), nullable=False),
        sa.Column("rpm", sa.Integer),
        sa.Column("images_per_minute", sa.Integer),
        sa.Column("concurrency", sa.Integer),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("defaults", sa.Text, nullable=False),
        sa.Column("forbid_unpriced", sa.Boolean, nullable=False),
        sa.Column("webhook_url", sa.Text),
    )
    op.create_index("api_keys_age", "api_keys", ["created_at"])
    valid = sa.text("revoked_at IS NULL")
    op.create_index("api_keys_name", "api_keys", ["name"], unique=True, sqlite_where=valid, postgresql_where=valid)
    op.create_table(
        "accounts",
        sa.Column("key_id", sa.String(32), primary_key=True),
        sa.Column("period_start", sa.Integer, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("reserved", sa.BigInteger, nullable=False),
        sa.Column("request_tokens", sa.Float),
        sa.Column("image_tokens", sa.Float),
        sa.Column("refilled_at", sa.Float),
        sa.Column("warned", sa.Integer, nullable=False, server_default="0"),
    )


def _make_ledger() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("request_id", sa.String(40), nullable=False),
        sa.Column("tenant", sa.String(32), nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("reserved", sa.BigInteger, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("is_estimated", sa.Boolean, nullable=False),
    )
    op.create_index("ix_ledger_entries_request_id", "ledger_entries", ["request_id"])
    op.create_index("ledger_entries_tenant", "ledger_entries", ["tenant", "day"])
    op.create_table(
        "highest_prices",
        sa.Column("model", sa.String(200), primary_key=True),
        sa.Column("per_image", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "daily_totals",
        sa.Column("day", sa.Integer, primary_key=True),
        sa.Column("tenant", sa.String(32), primary_key=True),
        sa.Column("model", sa.String(200), primary_key=True),
        sa.Column("user", sa.String(256), primary_key=True),
        sa.Column("status", sa.String(16), primary_key=True),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("dropped", sa.Integer, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("estimated_cost", sa.BigInteger, nullable=False),
    )


def _make_records() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
    )
    op.create_index("audit_target", "audit", ["target"])
    op.create_table(
        "notices",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("tenant", sa.String(32), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_at", sa.Float),
        sa.Column("last_status", sa.Integer),
    )
    op.create_index("notices_next", "notices", ["next_at"])
