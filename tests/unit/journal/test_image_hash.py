"""The hash of a journal's images is fixed when it is made."""

import pytest

from app.database.engine import open_engine
from app.database.errors import DatabaseUnavailableError
from app.database.schema import migrate
from app.images.hashing import ImageHash
from app.journal.image_hash import read_image_hash
from tests.support.old_journals import upgrade_to


def test_a_new_journal_uses_blake3_and_keeps_it(database):
    engine = open_engine(database.fresh())
    for _ in range(2):
        migrate(engine)
        assert read_image_hash(engine) is ImageHash.BLAKE3
    engine.dispose()


@pytest.mark.parametrize("version", [f"{number:04}" for number in range(1, 9)])
def test_a_journal_of_an_earlier_release_keeps_what_that_used_even_while_it_is_empty(database, version):
    engine = open_engine(database.fresh())
    upgrade_to(engine, version)
    migrate(engine)
    assert read_image_hash(engine) is ImageHash.SHA256
    engine.dispose()


def test_an_unreachable_database_is_an_error():
    engine = open_engine("postgresql://u@127.0.0.1:9/spillway")
    with pytest.raises(DatabaseUnavailableError):
        read_image_hash(engine)
