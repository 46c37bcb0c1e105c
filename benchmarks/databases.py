"""Empty databases on a PostgreSQL server, one for each gateway: those that share one hear of each other's requests.

The tests make theirs here too.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import make_url

from app.database.engine import open_engine


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """The address of a database that is there for as long as the block lasts."""
    url = create_database(server)
    try:
        yield url
    finally:
        _execute(server, f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


def create_database(server: str) -> str:
    """The address of an empty database, made on the server that is meant by the address of any of its databases."""
    name = f"db{uuid.uuid4().hex}"
    _execute(server, f"CREATE DATABASE {name}")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _execute(server: str, statement: str) -> None:
    engine = open_engine(server)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
