"""The tables of stored images: what is stored until when, what it takes, and who sweeps. Times are unix seconds."""

from sqlalchemy import BigInteger, Column, Float, Index, String, Table

from app.database.tables import metadata

stored_images = Table(
    "stored_images",
    metadata,
    # Where it lies in the store. The row is there before the image: what a crash leaves is found by it (0164).
    Column("path", String(100), primary_key=True),
    # Empty for an image that was found without a row. No foreign key: an image may outlive the row of its request.
    Column("request_id", String(40), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Index("stored_images_request", "request_id"),
    Index("stored_images_expiry", "expires_at", "path"),
)
"""One row for each image in the store, from before it is written until after it is deleted."""

storage_use = Table(
    "storage_use",
    metadata,
    Column("name", String(40), primary_key=True),
    # The sum of the rows above. Kept, since it is asked before every purchase that must be hosted (0166).
    Column("bytes", BigInteger, nullable=False),
)
"""One row: what all images take."""

duties = Table(
    "duties",
    metadata,
    Column("name", String(40), primary_key=True),
    # The process that does it, empty where nobody does.
    Column("owner", String(40), nullable=False),
    # Moved by each sign of life: who sees it stand still long enough takes over, whatever any clock says (0059).
    Column("beat", BigInteger, nullable=False),
)
"""What one process does for all, and which."""
