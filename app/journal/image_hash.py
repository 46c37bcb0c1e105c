"""By which hash a journal tells images apart: settled when it is made, so that equal requests stay equal (0214)."""

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from app.database.errors import DatabaseUnavailableError
from app.database.tables import journal_form
from app.database.transaction import READS
from app.images.hashing import ImageHash


def read_image_hash(engine: Engine) -> ImageHash:
    """That of the journal in this database, raising DatabaseUnavailableError. Its tables must be up to date."""
    try:
        with engine.execution_options(**{READS: True}).begin() as connection:
            name = connection.execute(select(journal_form.c.image_hash)).scalar()
    except SQLAlchemyError as error:
        raise DatabaseUnavailableError(str(error)) from None
    # Releases before there was a choice used this one, and wrote nothing down.
    return ImageHash.SHA256 if name is None else ImageHash(name)
