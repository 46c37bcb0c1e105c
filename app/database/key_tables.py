"""The tables of API keys, their accounts, the ledger and what follows from it.

Times are unix seconds, money is nano-dollars, days are UTC days since 1970-01-01.
"""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text, text

from app.database.tables import metadata

# SQLite numbers rows by itself only in a column that is INTEGER and nothing else.
_Number = BigInteger().with_variant(Integer, "sqlite")

api_keys = Table(
    "api_keys",
    metadata,
    # The tenant of its requests. It stays when the secret is rotated.
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    # SHA-256 of the whole key: secrets are random, so a slow hash would protect nothing more.
    Column("digest", String(64), nullable=False, unique=True),
    Column("last_four", String(4), nullable=False),
    # The secret before the last rotation, and how long it still opens.
    Column("previous_digest", String(64), unique=True),
    Column("previous_until", Float),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("last_used_at", Float),
    Column("is_admin", Boolean, nullable=False),
    Column("budget", BigInteger),
    Column("period", String(8), nullable=False),
    Column("rpm", Integer),
    Column("images_per_minute", Integer),
    Column("concurrency", Integer),
    # JSON: a list of globs, and an object of fields.
    Column("models", Text, nullable=False),
    Column("defaults", Text, nullable=False),
    Column("forbid_unpriced", Boolean, nullable=False),
    Column("webhook_url", Text),
    # How long its images live, in seconds, where it is not the gateway's way.
    Column("media_ttl", Integer),
    Column("result_ttl", Integer),
    Index("api_keys_age", "created_at"),
    # A name means one key at a time; that of a revoked one may be given again.
    Index(
        "api_keys_name",
        "name",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
)
"""One row for each key of the database; a revoked one stays, since its requests name it."""

accounts = Table(
    "accounts",
    metadata,
    Column("key_id", String(32), primary_key=True),
    # The first day of the period that the sums are of. Entries of requests from before it are not among them.
    Column("period_start", Integer, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    # Token buckets as they were at `refilled_at`; null before the first request.
    Column("request_tokens", Float),
    Column("image_tokens", Float),
    Column("refilled_at", Float),
    # The highest share of the budget, in percent, of which its owner was warned in this period.
    Column("warned", Integer, nullable=False, server_default="0"),
)
"""One row for each key of the database: what every claim of it reads and changes, in one place and under one lock."""

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("request_id", String(40), nullable=False, index=True),
    Column("tenant", String(32), nullable=False),
    # The day of the request, not of the entry: a request that ends after midnight belongs to the day it was reserved.
    Column("day", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    # What is spent is still the estimate: Runware has not said what it cost.
    Column("is_estimated", Boolean, nullable=False),
    Index("ledger_entries_tenant", "tenant", "day"),
)
"""Append-only: each entry says by how much the reserved and the spent money of one request changed."""

highest_prices = Table(
    "highest_prices",
    metadata,
    Column("model", String(200), primary_key=True),
    Column("per_image", BigInteger, nullable=False),
)
"""The most that one image cost of each model whose price the catalog did not know."""

daily_totals = Table(
    "daily_totals",
    metadata,
    Column("day", Integer, primary_key=True),
    Column("tenant", String(32), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("user", String(256), primary_key=True),
    Column("status", String(16), primary_key=True),
    Column("requests", Integer, nullable=False),
    Column("images", Integer, nullable=False),
    Column("dropped", Integer, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("estimated_cost", BigInteger, nullable=False),
)
"""Sums of the requests whose rows were removed for their age; `user` is empty where they named none."""

audit = Table(
    "audit",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("action", String(40), nullable=False),
    Column("target", String(64), nullable=False),
    # JSON, and never with a secret.
    Column("before", Text),
    Column("after", Text),
    Index("audit_target", "target"),
)
"""One row for each thing an administrator did, or read of others."""

notices = Table(
    "notices",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("event", String(40), nullable=False),
    # Whose webhook secret signs it.
    Column("tenant", String(32), nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # When it is sent next; null once it is delivered or given up.
    Column("next_at", Float),
    Column("last_status", Integer),
    Index("notices_next", "next_at"),
)
"""Webhooks that belong to no request, such as warnings about budgets."""
