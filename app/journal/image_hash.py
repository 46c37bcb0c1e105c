"""Which hash a journal uses for images: fixed when it is made, so that equal requests stay equal (0214)."""

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from app.database.errors import DatabaseUnavailableError
from app.database.tables import journal_settings
from app.database.transaction import READS
from app.images.hashing import ImageHash


def read_image_hash(engine: Engine) -> ImageHash:
    """The hash of the journal in this database, whose tables must be up to date. Raises DatabaseUnavailableError."""
    try:
        with engine.execution_options(**{READS: True}).begin() as connection:
            name = connection.execute(select(journal_settings.c.image_hash)).scalar_one_or_none()
    except SQLAlchemyError as error:
        raise DatabaseUnavailableError(str(error)) from None
    # Journals older than 0009 have no row.
    return ImageHash.SHA256 if name is None else ImageHash(name)
