"""New journals hash images with BLAKE3; existing ones keep SHA-256.

Adds a table and changes no row, so that processes of the version before may go on meanwhile.
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Record the hash of a new journal."""
    settings = op.create_table("journal_settings", sa.Column("image_hash", sa.String(16), primary_key=True))
    # An empty journal need not be new: a gateway of the version before may be about to write fingerprints of SHA-256.
    if context.config.attributes.get("is_new"):
        op.bulk_insert(settings, [{"image_hash": "blake3"}])


def downgrade() -> None:
    """Drop the record: edits that were recorded with BLAKE3 match no retry any more."""
    op.drop_table("journal_settings")
