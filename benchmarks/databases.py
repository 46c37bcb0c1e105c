"""Empty databases on a PostgreSQL server, one for each gateway: those that share one hear of each other's requests."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import make_url

from app.database.engine import open_engine


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """The address of a database that is there for as long as the block lasts, made on the server of this one."""
    name = f"benchmark_{uuid.uuid4().hex}"
    _execute(server, f"CREATE DATABASE {name}")
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(server: str, statement: str) -> None:
    engine = open_engine(server)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
