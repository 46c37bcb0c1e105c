"""A real PostgreSQL server for the tests, on a socket of its own."""

import contextlib
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg

_FORGETFUL = ("fsync", "full_page_writes", "synchronous_commit")
"""What only a power cut would need: no test cuts the power, and a new database takes a tenth of the time without."""


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of an empty database on a server that ends with the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it keeps its lock file is no concern of these tests
        import pgserver

    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            url = f"postgresql://postgres@/postgres?host={quote(server.get_postmaster_info().socket_dir.as_posix())}"
            with psycopg.connect(url, autocommit=True) as connection:
                for name in _FORGETFUL:
                    connection.execute(f"ALTER SYSTEM SET {name} = off")
                connection.execute("SELECT pg_reload_conf()")
            yield url
        finally:
            server.cleanup()
