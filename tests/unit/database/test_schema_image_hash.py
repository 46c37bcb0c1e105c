"""The hash that a journal uses for images is fixed when it is made."""

import concurrent.futures
import threading

import pytest
from alembic import command
from sqlalchemy import event, text

from app.database.engine import open_engine
from app.database.errors import ImageHashError
from app.database.schema import bring_up_to_date, migrate
from app.images.hashing import ImageHash
from tests.support.databases import SQLiteFolder
from tests.support.old_journals import config_on, upgrade_to


def test_a_new_journal_uses_blake3_and_keeps_it(database):
    engine = open_engine(database.fresh())
    assert [migrate(engine).image_hash for _ in range(2)] == [ImageHash.BLAKE3] * 2
    engine.dispose()


def test_a_new_journal_uses_what_it_is_made_with_and_keeps_it(database):
    engine = open_engine(database.fresh())
    assert migrate(engine, ImageHash.SHA256).image_hash is ImageHash.SHA256
    assert migrate(engine, ImageHash.BLAKE3).image_hash is ImageHash.SHA256
    engine.dispose()


@pytest.mark.parametrize("version", [f"{number:04}" for number in range(1, 9)])
def test_a_journal_of_an_earlier_release_keeps_what_that_used_even_while_it_is_empty(database, version):
    engine = open_engine(database.fresh())
    upgrade_to(engine, version)
    assert [migrate(engine).image_hash for _ in range(2)] == [ImageHash.SHA256] * 2
    engine.dispose()


def test_a_journal_that_an_earlier_release_makes_at_the_same_moment_is_that_ones(tmp_path):
    url = SQLiteFolder(tmp_path).fresh()
    earlier, later = open_engine(url), open_engine(url)
    begun = threading.Semaphore(0)
    event.listen(later, "checkout", lambda *_: begun.release())
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with earlier.begin() as connection:  # has the file's lock
            migrated = pool.submit(bring_up_to_date, later)
            # One transaction to look, which found nothing; then one that waits for the lock.
            assert [begun.acquire(timeout=60) for _ in range(2)] == [True, True]
            assert not migrated.done()
            command.upgrade(config_on(connection), "0008")
        assert migrated.result(60).image_hash is ImageHash.SHA256
    earlier.dispose()
    later.dispose()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("DELETE FROM journal_settings", id="no row"),
        pytest.param("INSERT INTO journal_settings VALUES ('sha256')", id="rows of two journals"),
        pytest.param("UPDATE journal_settings SET image_hash = 'xxh'", id="an unknown hash"),
    ],
)
def test_a_journal_that_does_not_say_one_known_hash_is_refused(database, change):
    engine = open_engine(database.fresh())
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text(change))
    with pytest.raises(ImageHashError, match="journal_settings must have one row"):
        bring_up_to_date(engine)
    engine.dispose()
