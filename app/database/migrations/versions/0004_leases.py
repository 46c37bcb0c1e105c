"""Leases without clocks: who holds a request, by a number that only grows, and a mark its holder moves on."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the numbers; no moment in time ends a lease any more."""
    for name in ("fence", "beat", "tries"):
        op.add_column("requests", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.drop_index("requests_open", "requests")
    op.drop_index("requests_lease", "requests")
    op.drop_column("requests", "lease_until")
    op.create_index("requests_open", "requests", ["status"])


def downgrade() -> None:
    """Go back to leases that end at a moment; all that are open have ended."""
    op.drop_index("requests_open", "requests")
    op.add_column("requests", sa.Column("lease_until", sa.Float, nullable=False, server_default="0"))
    op.create_index("requests_open", "requests", ["status", "lease_until"])
    op.create_index("requests_lease", "requests", ["lease_until"])
    for name in ("fence", "beat", "tries"):
        op.drop_column("requests", name)
