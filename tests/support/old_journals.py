"""Journals as an older version left them, and what is in them before and after a migration."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, inspect, text

from app.database import schema
from app.database.engine import open_engine

COST = "0.03"
_REQUEST = text(
    "INSERT INTO requests (id, tenant, fingerprint, endpoint, model, executed_model, n, status, created_at, completed_at,"
    " key_until, connected, owner, estimate, cost, plan)"
    " VALUES (:id, 't', 'f', 'generations', 'm', 'runware:100@1', 1, 'completed', 1.0, 2.0, 0.0, 0, 'o', :cost, :cost, '{}')"
)
_TASK = text("INSERT INTO tasks (uuid, request_id, position, cost) VALUES (:id, :id, 0, :cost)")


def upgrade_to(engine: Engine, revision: str) -> None:
    """Migrate no further than this."""
    with engine.begin() as connection:
        command.upgrade(config_on(connection), revision)


def config_on(connection: Connection) -> Config:
    """What alembic needs to migrate on a connection, as a release before 0009 gave it."""
    config = Config()
    config.set_main_option("script_location", str(schema.__file__).replace("schema.py", "migrations"))
    config.attributes["connection"] = connection
    return config


def columns_of(engine: Engine) -> dict[tuple[str, str], tuple[str, bool]]:
    """Each column with its type, and whether a row may be written without it."""
    found = inspect(engine)
    return {
        (table, column["name"]): (str(column["type"]), column["nullable"] or column["default"] is not None)
        for table in found.get_table_names()
        for column in found.get_columns(table)
    }


def make_old_journal(url: str, requests: int) -> None:
    """A journal of schema 0005, its money in texts."""
    engine = open_engine(url)
    upgrade_to(engine, "0005")
    rows = [{"id": f"r{number}", "cost": COST} for number in range(requests)]
    with engine.begin() as connection:
        connection.execute(_REQUEST, rows)
        connection.execute(_TASK, rows)
    engine.dispose()


def version_and_costs(url: str, *, as_text: bool = False) -> tuple[str, list[object]]:
    """The schema, and what the requests cost; what the ledger says of them must be the same, where there is one."""
    engine = open_engine(url)
    with engine.begin() as connection:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        costs = list(connection.execute(text("SELECT cost FROM requests ORDER BY id")).scalars())
        if not as_text:
            assert costs == list(connection.execute(text("SELECT cost FROM tasks ORDER BY uuid")).scalars())
            assert costs == list(
                connection.execute(text("SELECT spent FROM ledger_entries ORDER BY request_id")).scalars()
            )
    engine.dispose()
    return str(version), costs
