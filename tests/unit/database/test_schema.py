"""Migrations: by one of several processes, whole or not at all, and never over what a newer version made."""

import concurrent.futures
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import make_url, text

from app.database import schema
from app.database.engine import open_engine
from app.database.errors import DatabaseUnavailableError, NewerSchemaError
from app.database.schema import Migrated, bring_up_to_date, migrate, open_database
from app.images.hashing import ImageHash
from tests.support.databases import PostgresServer, SQLiteFolder
from tests.support.old_journals import COST, make_old_journal, version_and_costs
from tests.support.waiting import seen

NEWEST = "0009"
MIGRATES = "import sys; from app.database.schema import open_database; open_database(sys.argv[1])"
ENDLESS = (
    "CREATE TRIGGER endless AFTER UPDATE ON requests BEGIN SELECT"
    " (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) SELECT count(*) FROM n); END"
)


def test_a_new_database_is_made_and_an_old_one_brought_up_to_date_once(database):
    new, old = database.fresh(), database.fresh()
    make_old_journal(old, requests=3)
    for url, before, image_hash in ((new, None, ImageHash.BLAKE3), (old, "0005", ImageHash.SHA256)):
        engine = open_engine(url)
        assert [migrate(engine), migrate(engine)] == [
            Migrated(before, NEWEST, image_hash),
            Migrated(NEWEST, NEWEST, image_hash),
        ]
        engine.dispose()
    assert version_and_costs(old) == (NEWEST, [30_000_000] * 3)


def test_of_processes_that_migrate_at_once_one_does_it_and_the_others_wait(database):
    url = database.fresh()
    make_old_journal(url, requests=500)
    engines = [open_engine(url) for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(len(engines)) as pool:
        done = list(pool.map(bring_up_to_date, engines))
    for engine in engines:
        engine.dispose()
    assert sorted(one.before for one in done) == ["0005"] + [NEWEST] * 3
    assert version_and_costs(url) == (NEWEST, [30_000_000] * 500)


@pytest.mark.parametrize("version", ["0010", "9999", "a branch of somebody"])
def test_tables_of_a_newer_version_are_refused_at_once_and_left_alone(database, version):
    url = database.fresh()
    engine, _ = open_database(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
        connection.execute(text("DROP TABLE notices"))  # whatever it did to the tables
    began = time.monotonic()
    with pytest.raises(NewerSchemaError, match=f"has schema {version}, .* up to {NEWEST}: .*newer version"):
        open_database(url)
    assert time.monotonic() - began < 5, "waiting would not help"
    with engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == version
    engine.dispose()


def test_a_database_that_is_up_to_date_opens_while_another_process_writes(database):
    url = database.fresh()
    engine, _ = open_database(url)
    with engine.begin() as writing:
        writing.execute(text("DELETE FROM requests"))
        open_database(url, wait_seconds=0)[0].dispose()
    engine.dispose()


def test_a_migration_whose_process_is_killed_in_the_middle_leaves_sqlite_as_it_was(tmp_path):
    url = SQLiteFolder(tmp_path).fresh()
    make_old_journal(url, requests=3)
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(ENDLESS)
    with subprocess.Popen([sys.executable, "-c", MIGRATES, url]) as process:
        # It works on the rows: its log of changes is there, and nobody else may write.
        assert seen(lambda: is_locked(url), bool, seconds=60)
        assert process.poll() is None
        assert "another process migrates it" in fault_of_another(f"{url}?timeout=0.05")
        process.kill()
    assert version_and_costs(url, as_text=True) == ("0005", [COST] * 3)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER endless")
    assert bring_up_to_date(engine) == Migrated("0005", NEWEST, ImageHash.SHA256)
    engine.dispose()
    assert version_and_costs(url) == (NEWEST, [30_000_000] * 3)


def test_a_migration_whose_process_is_killed_in_the_middle_leaves_postgresql_as_it_was(postgres: PostgresServer):
    url = postgres.fresh()
    make_old_journal(url, requests=3)
    plain = make_url(url).render_as_string(hide_password=False)
    with psycopg.connect(plain) as holder, psycopg.connect(plain, autocommit=True) as watcher:
        holder.execute("SELECT * FROM tasks")  # and it waits for this one, when the requests are converted
        with subprocess.Popen([sys.executable, "-c", MIGRATES, url]) as process:
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'tasks'::regclass"
            assert seen(lambda: watcher.execute(waits).fetchone()[0], bool, seconds=60)
            assert "another process migrates it" in fault_of_another(url)
            process.kill()
        holder.rollback()
    # Its session ends as soon as the server notices; the next migration waits for that.
    engine = open_engine(url)
    assert bring_up_to_date(engine) == Migrated("0005", NEWEST, ImageHash.SHA256)
    engine.dispose()
    assert version_and_costs(url) == (NEWEST, [30_000_000] * 3)


def fault_of_another(url: str) -> str:
    """What another process is told that will not wait."""
    engine = open_engine(url)
    try:
        with pytest.raises(DatabaseUnavailableError) as fault:
            bring_up_to_date(engine, wait_seconds=0, migration_seconds=0)
        return str(fault.value)
    finally:
        engine.dispose()


def is_locked(url: str) -> bool:
    engine = open_engine(f"{url}?timeout=0.01")
    try:
        with engine.begin():
            return False
    except Exception:  # noqa: BLE001 - whatever keeps it from writing
        return True
    finally:
        engine.dispose()


def test_the_file_of_a_migration_begins_with_its_version():
    folder = Path(schema.__file__).with_name("migrations")
    config = Config()
    config.set_main_option("script_location", str(folder))
    scripts = ScriptDirectory.from_config(config)
    named = {file.name.split("_")[0] for file in (folder / "versions").glob("[0-9]*_*.py")}
    assert named == {script.revision for script in scripts.walk_revisions()}
    assert max(named) == scripts.get_current_head()
