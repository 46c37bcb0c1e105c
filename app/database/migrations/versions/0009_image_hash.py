"""New journals hash images with BLAKE3; existing ones keep SHA-256.

Adds a table and changes no row, so that processes of the version before may go on meanwhile.
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Record the hash of a journal: one that exists has SHA-256."""
    settings = op.create_table("journal_settings", sa.Column("image_hash", sa.String(16), primary_key=True))
    # Said by who migrates: an empty journal need not be new; a gateway of the version before may be about to write.
    op.bulk_insert(settings, [{"image_hash": context.config.attributes.get("image_hash", "sha256")}])


def downgrade() -> None:
    """Drop the record: edits that were recorded with BLAKE3 match no retry any more."""
    op.drop_table("journal_settings")
