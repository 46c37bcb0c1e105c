"""`spillway migrate` and the start of a gateway: the tables are made, brought up to date, or refused with a reason."""

import subprocess
import sys

import pytest
from sqlalchemy import text

from app.database.engine import open_engine
from tests.support.commands import environment, served, spillway
from tests.support.databases import SQLiteFolder
from tests.support.old_journals import make_old_journal, version_and_costs
from tests.support.processes import free_port

NEWEST = "0009"


def test_migrate_says_what_it_did(tmp_path, database):
    new, old = database.fresh(), database.fresh()
    make_old_journal(old, requests=2)
    said = [
        spillway(tmp_path, "migrate", SPILLWAY_DATABASE_URL=url, SPILLWAY_LOG_LEVEL="error").stdout.strip()
        for url in (new, new, old)
    ]
    assert said == [
        f"The journal was made, at schema {NEWEST}.",
        f"The journal is up to date, at schema {NEWEST}.",
        f"The journal was migrated from schema 0005 to {NEWEST}.",
    ]
    assert version_and_costs(old) == (NEWEST, [30_000_000] * 2)


def test_of_commands_that_migrate_at_once_one_does_it_and_all_succeed(tmp_path, database):
    url = database.fresh()
    make_old_journal(url, requests=50)
    command, variables = [sys.executable, "-m", "app", "migrate"], environment(tmp_path, SPILLWAY_DATABASE_URL=url)
    running = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = sorted(one.communicate(timeout=60)[0].strip() for one in running)
    assert [one.returncode for one in running] == [0, 0, 0]
    assert said == [f"The journal is up to date, at schema {NEWEST}."] * 2 + [
        f"The journal was migrated from schema 0005 to {NEWEST}."
    ]


@pytest.mark.parametrize(
    "command", [("migrate",), ("serve",), ("serve", "--workers", "2")], ids=["migrate", "serve", "serve with workers"]
)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            "UPDATE alembic_version SET version_num = '0099'",
            f"The journal has schema 0099, and this version of Spillway knows schemas up to {NEWEST}",
            id="of a newer version",
        ),
        pytest.param(
            "INSERT INTO journal_settings VALUES ('sha256')",
            "it has 'blake3', 'sha256'",
            id="with two hashes of images",
        ),
    ],
)
def test_a_journal_it_must_not_use_ends_the_command_with_its_own_exit_code_and_a_reason(
    tmp_path, command, change, reason
):
    url = SQLiteFolder(tmp_path).fresh()
    assert spillway(tmp_path, "migrate", SPILLWAY_DATABASE_URL=url).returncode == 0
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text(change))
    engine.dispose()
    finished = spillway(tmp_path, *command, SPILLWAY_DATABASE_URL=url, SPILLWAY_PORT=str(free_port()))
    assert (finished.returncode, reason in finished.stderr) == (3, True), finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_journal_in_place_of_an_older_one_is_made_with_the_same_hash_of_images(tmp_path, database):
    url = database.fresh()
    ways = [("--image-hash", "sha256"), (), ("--image-hash", "sha256"), ("--image-hash", "blake3")]
    runs = [spillway(tmp_path, "migrate", *way, SPILLWAY_DATABASE_URL=url) for way in ways]
    assert [one.returncode for one in runs] == [0, 0, 0, 2]
    assert "--image-hash: the journal exists and has sha256, which never changes." in runs[-1].stderr


def test_a_database_that_cannot_be_reached_is_told_without_its_password(tmp_path):
    url = "postgresql://spillway:very-secret-word@127.0.0.1:9/spillway"
    with subprocess.Popen(
        [sys.executable, "-m", "app", "migrate", "--wait", "0"],
        env=environment(tmp_path, SPILLWAY_DATABASE_URL=url),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert told.startswith("SPILLWAY_DATABASE_URL: the journal cannot be opened: ")
    assert "secret-word" not in told


def test_a_gateway_brings_an_old_journal_up_to_date_by_itself(tmp_path, database):
    url = database.fresh()
    make_old_journal(url, requests=1)
    # Its row is of 1970, and is not to be removed for its age before it is looked at.
    with served(tmp_path, SPILLWAY_DATABASE_URL=url, SPILLWAY_JOURNAL_TTL="36500d"):
        assert version_and_costs(url) == (NEWEST, [30_000_000])
