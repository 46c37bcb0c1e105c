"""Webhooks: where a request wants its end to be told, and how far that is; and who joined a request last."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("requests", sa.Column("webhook_url", sa.Text))
    op.add_column("requests", sa.Column("webhook_attempts", sa.Integer, nullable=False, server_default="0"))
    op.add_column("requests", sa.Column("webhook_next", sa.Float))
    op.add_column("requests", sa.Column("webhook_status", sa.Integer))
    op.add_column("requests", sa.Column("joined_by", sa.String(40)))
    op.create_index("requests_webhook", "requests", ["webhook_next"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("requests_webhook", "requests")
    for name in ("webhook_url", "webhook_attempts", "webhook_next", "webhook_status", "joined_by"):
        op.drop_column("requests", name)
