"""The journal: requests and their tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "requests",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(32), nullable=False),
        sa.Column("key_hash", sa.String(64)),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("endpoint", sa.String(32), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("executed_model", sa.String(200), nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("completed_at", sa.Float),
        sa.Column("key_until", sa.Float, nullable=False),
        sa.Column("connected", sa.Integer, nullable=False),
        sa.Column("broken_at", sa.Float),
        sa.Column("delivered_at", sa.Float),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("lease_until", sa.Float, nullable=False),
        sa.Column("estimate", sa.String(40)),
        sa.Column("cost", sa.String(40)),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("user", sa.String(256)),
        sa.Column("client_request_id", sa.String(256)),
        sa.Column("prompt", sa.Text),
    )
    op.create_index("requests_key", "requests", ["tenant", "key_hash"], unique=True)
    op.create_index("requests_undelivered", "requests", ["tenant", "fingerprint", "delivered_at"])
    op.create_index("requests_age", "requests", ["tenant", "created_at"])
    op.create_index("requests_open", "requests", ["status", "lease_until"])
    op.create_index("requests_connected", "requests", ["connected"])
    op.create_index("requests_lease", "requests", ["lease_until"])
    op.create_table(
        "tasks",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("request_id", sa.String(40), sa.ForeignKey("requests.id"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("cost", sa.String(40)),
    )
    op.create_index("ix_tasks_request_id", "tasks", ["request_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("tasks")
    op.drop_table("requests")
