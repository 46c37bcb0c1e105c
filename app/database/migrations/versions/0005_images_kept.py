"""Whether an answer has all its images here or behind links, which was only to be learned from the answer itself."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column. Older rows have no value: they are judged by their answers, and not rewritten (0076)."""
    op.add_column("requests", sa.Column("images_kept", sa.Boolean))


def downgrade() -> None:
    """Go back to asking the answers."""
    op.drop_column("requests", "images_kept")
