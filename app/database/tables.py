"""The tables of the journal, the same on SQLite and PostgreSQL. Times are unix seconds, money is text in dollars."""

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

requests = Table(
    "requests",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(32), nullable=False),
    Column("key_hash", String(64)),
    Column("fingerprint", String(64), nullable=False),
    Column("endpoint", String(32), nullable=False),
    Column("model", String(200), nullable=False),
    Column("executed_model", String(200), nullable=False),
    Column("n", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("completed_at", Float),
    Column("key_until", Float, nullable=False),
    Column("connected", Integer, nullable=False),
    Column("joined_by", String(40)),
    Column("broken_at", Float),
    Column("delivered_at", Float),
    Column("owner", String(40), nullable=False),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("beat", Integer, nullable=False, server_default="0"),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("estimate", String(40)),
    Column("cost", String(40)),
    Column("known_cost", String(40)),
    Column("bill_next", Float),
    Column("bill_tries", Integer, nullable=False, server_default="0"),
    Column("plan", Text, nullable=False),
    Column("answer", Text),
    Column("error", Text),
    Column("user", String(256)),
    Column("client_request_id", String(256)),
    Column("prompt", Text),
    Column("webhook_url", Text),
    Column("webhook_attempts", Integer, nullable=False, server_default="0"),
    Column("webhook_next", Float),
    Column("webhook_status", Integer),
    Index("requests_key", "tenant", "key_hash", unique=True),
    Index("requests_undelivered", "tenant", "fingerprint", "delivered_at"),
    Index("requests_age", "tenant", "created_at"),
    Index("requests_open", "status"),
    Index("requests_connected", "connected"),
    Index("requests_webhook", "webhook_next"),
    Index("requests_bill", "bill_next"),
)
"""One row for each logical request. `key_hash` is null without a key and once a key is released, `webhook_next` once
its webhook needs no further call. `cost` is null until all of it is known; `known_cost` is the known part
meanwhile, and `bill_next` when Runware is asked again for the rest. `fence` grows with every change of hands, `beat`
while its holder lives, `tries` with every take-over that did not end it."""

tasks = Table(
    "tasks",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("request_id", String(40), ForeignKey("requests.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("cost", String(40)),
    Column("known_cost", String(40)),
)
"""One row for each Runware task, written before it is sent."""
