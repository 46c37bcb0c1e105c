"""How long images stay: a row for each that is stored, what they take together, lifetimes of keys and of requests.

Only adds, so that processes of the version before may go on meanwhile.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_COLUMNS = (
    ("requests", "images_until", sa.Float),
    ("requests", "purged_at", sa.Float),
    ("api_keys", "media_ttl", sa.Integer),
    ("api_keys", "result_ttl", sa.Integer),
)


def upgrade() -> None:
    """Images that are there get their rows later, from whoever looks through the store."""
    for table, column, type_ in _COLUMNS:
        op.add_column(table, sa.Column(column, type_))
    op.create_table(
        "stored_images",
        sa.Column("path", sa.String(100), primary_key=True),
        sa.Column("request_id", sa.String(40), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_index("stored_images_request", "stored_images", ["request_id"])
    op.create_index("stored_images_expiry", "stored_images", ["expires_at", "path"])
    use = op.create_table(
        "storage_use",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(use, [{"name": "images", "bytes": 0}])
    duties = op.create_table(
        "duties",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(duties, [{"name": "images", "owner": "", "beat": 0}])


def downgrade() -> None:
    """Forget the rows; the images stay where they are, and nothing says how long."""
    for table in ("duties", "storage_use", "stored_images"):
        op.drop_table(table)
    for table, column, _ in reversed(_COLUMNS):
        op.drop_column(table, column)
