"""Indexes of requests hold only what is looked for by them: what has ended costs nothing there.

Changes no row and no rule, so that processes of the version before may go on meanwhile.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_OPEN = "status IN ('queued', 'processing')"
_NEW: tuple[tuple[str, list[str], str, bool], ...] = (
    ("requests_key", ["tenant", "key_hash"], "key_hash IS NOT NULL", True),
    ("requests_undelivered", ["tenant", "fingerprint", "connected"], "delivered_at IS NULL", False),
    ("requests_joined", ["joined_by"], "joined_by IS NOT NULL", False),
    ("requests_open", ["status"], _OPEN, False),
    ("requests_connected", ["connected"], "connected > 0", False),
    ("requests_webhook", ["webhook_next"], "webhook_next IS NOT NULL", False),
    ("requests_bill", ["bill_next"], "bill_next IS NOT NULL", False),
)
_OLD: tuple[tuple[str, list[str], bool], ...] = (
    ("requests_key", ["tenant", "key_hash"], True),
    ("requests_undelivered", ["tenant", "fingerprint", "delivered_at"], False),
    ("requests_open", ["status"], False),
    ("requests_connected", ["connected"], False),
    ("requests_webhook", ["webhook_next"], False),
    ("requests_bill", ["bill_next"], False),
)


def upgrade() -> None:
    """Make each index anew over the rows that it is for."""
    for name, _, _ in _OLD:
        op.drop_index(name, "requests")
    for name, columns, where, unique in _NEW:
        only = sa.text(where)
        op.create_index(name, "requests", columns, unique=unique, sqlite_where=only, postgresql_where=only)


def downgrade() -> None:
    """Make each index over all rows again."""
    for name, _, _, _ in _NEW:
        op.drop_index(name, "requests")
    for name, columns, unique in _OLD:
        op.create_index(name, "requests", columns, unique=unique)
