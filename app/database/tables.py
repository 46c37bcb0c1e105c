"""The tables of the journal, the same on SQLite and PostgreSQL. Times are unix seconds, money is nano-dollars.

Those of keys and the ledger are in `key_tables`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()


def _index(name: str, *columns: str, only: str, unique: bool = False) -> Index:
    """Of those rows alone that are looked for by it: each request is in it for a moment, or never (0152)."""
    return Index(name, *columns, unique=unique, sqlite_where=text(only), postgresql_where=text(only))


requests = Table(
    "requests",
    metadata,
    Column("id", String(40), primary_key=True),
    # A prefix of the SHA-256 of the API key, so keys themselves are never stored. It is part of every lookup:
    # equal requests of two keys never meet (0063).
    Column("tenant", String(32), nullable=False),
    # Only a hash: an Idempotency-Key may contain what a client considers private. Unique for each tenant by
    # `requests_key`, null without a key; the database itself refuses a second row for one key (0086).
    Column("key_hash", String(64)),
    # What makes two requests the same. It leaves out the caller, since clients change `user` and timeouts between
    # attempts (0063).
    Column("fingerprint", String(64), nullable=False),
    Column("endpoint", String(32), nullable=False),
    Column("model", String(200), nullable=False),
    Column("executed_model", String(200), nullable=False),
    Column("n", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("completed_at", Float),
    # Until when an answer is replayed. Absolute, so that a changed setting applies to new requests only (0058).
    Column("key_until", Float, nullable=False),
    # Callers that neither received the answer nor left: a counter, since retries join. Above 0 no other caller may join
    # without a key, or two images that were ordered would become one (0062).
    Column("connected", Integer, nullable=False),
    # The call that joined last. A join that is written twice, as after a commit in doubt, then counts once (0051).
    Column("joined_by", String(40)),
    # When a caller left without the answer. An unmarked retry joins only for a short while after it; later, an equal
    # request is a new order (0062).
    Column("broken_at", Float),
    # Set once the connection shows that the answer was read, not when it was sent (0052). From then on nothing is
    # joined without a key.
    Column("delivered_at", Float),
    # The process that works on it, by name; empty once it is released and free for anyone (0059).
    Column("owner", String(40), nullable=False),
    # Fencing number: grows with each change of hands, and a holder's writes name theirs. A process that slept through a
    # takeover changes nothing when it wakes (0059).
    Column("fence", Integer, nullable=False, server_default="0"),
    # Moved by each renewal. Others judge the lease by how long this stood still on their own clock; no machine's time
    # is compared with another's (0059).
    Column("beat", Integer, nullable=False, server_default="0"),
    # Takeovers that did not end it. Each makes the next pause longer, so that a request over which our code stumbles
    # does not go round among the replicas (0041).
    Column("tries", Integer, nullable=False, server_default="0"),
    # Money is whole nano-dollars: sums are exact in both databases, which know no decimal fraction in common (0113).
    Column("estimate", BigInteger),
    # What the ledger holds for it until it has ended: the estimate, or a guess where no price is known (0113).
    Column("reserve", BigInteger),
    Column("cost", BigInteger),
    Column("known_cost", BigInteger),
    # Fields that were dropped and reported: a column, since usage sums it over many rows.
    Column("dropped", Integer, nullable=False, server_default="0"),
    # Images that came, which a partial answer has fewer of than were asked for.
    Column("images", Integer, nullable=False, server_default="0"),
    # Runware may know a cost only later: until all of it is known, this is the next time to ask (0101).
    Column("bill_next", Float),
    Column("bill_tries", Integer, nullable=False, server_default="0"),
    # What another process needs to deliver the images. No prompt and no image: a request is not stored whole (0060).
    Column("plan", Text, nullable=False),
    # The answer without image bytes, which are stored only where they may be asked for again (0053).
    Column("answer", Text),
    # Whether every image of the answer is behind a link or stored here. A column, since this is asked of many rows that
    # nobody reads otherwise; null in rows that are older than it (0076).
    Column("images_kept", Boolean),
    # Until when its images may be asked for, from the store or from Runware (0165). Null in older rows.
    Column("images_until", Float),
    # When its payloads were deleted: nothing of it is stored any more after this (0055).
    Column("purged_at", Float),
    Column("error", Text),
    Column("user", String(256)),
    Column("client_request_id", String(256)),
    # Null unless SPILLWAY_STORE_PROMPTS is set, and again once the payloads are deleted (0055).
    Column("prompt", Text),
    Column("webhook_url", Text),
    Column("webhook_attempts", Integer, nullable=False, server_default="0"),
    # When its webhook is sent next. Moved on before each attempt: no two processes send the same one, and one that dies
    # while it sends keeps no other from it.
    Column("webhook_next", Float),
    Column("webhook_status", Integer),
    _index("requests_key", "tenant", "key_hash", only="key_hash IS NOT NULL", unique=True),
    # With its callers: of many equal ones that run, only those are read that nobody waits for.
    _index("requests_undelivered", "tenant", "fingerprint", "connected", only="delivered_at IS NULL"),
    _index("requests_joined", "joined_by", only="joined_by IS NOT NULL"),
    Index("requests_age", "tenant", "created_at"),
    # The oldest of all tenants, for their removal and for sums.
    Index("requests_created", "created_at"),
    _index("requests_open", "status", only="status IN ('queued', 'processing')"),
    _index("requests_connected", "connected", only="connected > 0"),
    _index("requests_webhook", "webhook_next", only="webhook_next IS NOT NULL"),
    _index("requests_bill", "bill_next", only="bill_next IS NOT NULL"),
)
"""One row for each logical request. `key_hash` is null without a key and once a key is released, `webhook_next` once
its webhook needs no further call. `cost` is null until all of it is known; `known_cost` is the known part
meanwhile, and `bill_next` when Runware is asked again for the rest. `fence` grows with every change of hands, `beat`
while its holder lives, `tries` with every take-over that did not end it."""

journal_settings = Table(
    "journal_settings",
    metadata,
    # The hash that fingerprints use for images. All gateways on a journal use the same one: otherwise a retry would
    # match nothing and be bought again (0214).
    Column("image_hash", String(16), primary_key=True),
)
"""What is fixed when a journal is made, in one row."""

tasks = Table(
    "tasks",
    metadata,
    # The taskUUID. Durable before the task is sent: Runware's images can be found by nothing else.
    Column("uuid", String(36), primary_key=True),
    Column("request_id", String(40), ForeignKey("requests.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("cost", BigInteger),
    Column("known_cost", BigInteger),
)
"""One row for each Runware task, written before it is sent."""
