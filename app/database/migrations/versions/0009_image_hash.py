"""A journal that is made anew knows images by BLAKE3; one that exists keeps SHA-256, and so do those who share it.

Changes no row and no rule, so that processes of the version before may go on meanwhile.
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Write down which hash a new journal uses."""
    form = op.create_table("journal_form", sa.Column("image_hash", sa.String(16), primary_key=True))
    # Not merely an empty one: a gateway of the version before may have opened it, and is about to write to it.
    if context.config.attributes.get("is_new"):
        op.bulk_insert(form, [{"image_hash": "blake3"}])


def downgrade() -> None:
    """Forget it."""
    op.drop_table("journal_form")
