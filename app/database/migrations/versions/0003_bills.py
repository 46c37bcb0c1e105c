"""Bills: what is known of a cost whose rest is unknown, and when Runware is asked for the rest.

Before, a request with an unknown part had the sum of its known parts as its cost; and whatever Runware said was written
down, also what is no amount of money. Both become unknown, with the known part beside it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_IMPOSSIBLE = "length(cost) > 40 OR cost LIKE '-%' OR lower(cost) LIKE '%n%' OR lower(cost) LIKE '%e%'"
"""Endless, negative, NaN, Infinity, an exponent."""


def upgrade() -> None:
    """Add the columns and mend the costs."""
    op.add_column("requests", sa.Column("known_cost", sa.String(40)))
    op.add_column("requests", sa.Column("bill_next", sa.Float))
    op.add_column("requests", sa.Column("bill_tries", sa.Integer, nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("known_cost", sa.String(40)))
    op.create_index("requests_bill", "requests", ["bill_next"])
    op.execute(f"UPDATE tasks SET cost = NULL, known_cost = '0' WHERE {_IMPOSSIBLE}")  # noqa: S608 - a constant
    op.execute(f"UPDATE requests SET cost = NULL, known_cost = '0' WHERE {_IMPOSSIBLE}")  # noqa: S608 - a constant
    op.execute(
        "UPDATE requests SET known_cost = cost, cost = NULL WHERE cost IS NOT NULL"
        " AND EXISTS (SELECT 1 FROM tasks WHERE tasks.request_id = requests.id AND tasks.cost IS NULL)"
    )


def downgrade() -> None:
    """Drop the columns."""
    op.drop_index("requests_bill", "requests")
    for name in ("known_cost", "bill_next", "bill_tries"):
        op.drop_column("requests", name)
    op.drop_column("tasks", "known_cost")
