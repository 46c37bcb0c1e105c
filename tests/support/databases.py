"""Empty databases of both kinds, as many as a test wants."""

import uuid
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, make_url

from app.database.engine import open_engine
from app.database.schema import migrate


@dataclass(frozen=True)
class SQLiteFolder:
    """Databases as files in a folder."""

    folder: Path

    def fresh(self) -> str:
        """The URL of an empty database."""
        return f"sqlite:///{self.folder / uuid.uuid4().hex}.db"


@dataclass(frozen=True)
class PostgresServer:
    """Databases on a server."""

    url: str

    def fresh(self) -> str:
        """The URL of an empty database."""
        name = f"db{uuid.uuid4().hex}"
        engine = open_engine(self.url).execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)


Database = SQLiteFolder | PostgresServer


def open_migrated(url: str) -> Engine:
    """A database with its tables made."""
    engine = open_engine(url)
    migrate(engine)
    return engine
