"""Metrics of a whole gateway: the folder in which its processes count, and a port of their own where one is named.

Both belong to the process that starts the others and outlives them: it answers while a worker hangs or is replaced, and
without the event loop. Leaves what is counted to `observability`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app import __version__
from app.observability.exposition import PATH, Exposition
from app.observability.numbers import SharedNumbers

if TYPE_CHECKING:
    from app.access.metrics_key import MetricsKey

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it, which nobody else may enter
_PREFIX, _OWNER = "spillway-metrics-", "owner"
_PATIENCE_SECONDS = 10.0
"""For a whole connection: one who says or reads a byte now and then would keep its place for good."""
_AT_ONCE = 16
_LOOK_SECONDS = 0.1
"""How soon it notices that it is to end."""


@contextmanager
def metrics_folder(data_dir: Path) -> Iterator[Path]:
    """A folder for the counts of this run, gone at its end; those of gateways that were killed are removed."""
    base = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK) else data_dir
    for left in base.glob(f"{_PREFIX}*"):
        _remove_abandoned(left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    with (folder / _OWNER).open("wb") as owner:
        # Held as long as this process lives, however it ends.
        fcntl.flock(owner, fcntl.LOCK_EX)
        # A server that ends by a signal gives itself that signal once more when all is done, and nothing runs after it.
        earlier = signal.signal(signal.SIGTERM, partial(_remove_and_end, folder))
        try:
            yield folder
        finally:
            signal.signal(signal.SIGTERM, earlier)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving_metrics(
    sockets: Sequence[socket.socket], folder: Path, key: MetricsKey, patience: float = _PATIENCE_SECONDS
) -> Iterator[None]:
    """Answer on these sockets with what is counted in a folder; each connection has so many seconds."""
    exposition = Exposition(SharedNumbers(folder), __version__)
    servers = [_MetricsServer(one, exposition, key, patience) for one in sockets]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(_LOOK_SECONDS,), name="metrics", daemon=True).start()
    try:
        yield
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


class _MetricsServer(ThreadingHTTPServer):
    """Answers on a socket that listens already, a bounded number at once."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, exposition: Exposition, key: MetricsKey, patience: float) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.exposition = exposition
        self.key = key
        self._patience = patience
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Answer in a thread, or end the connection where too many are open."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """One connection, cut off when its time is over."""
        connection = request[1] if isinstance(request, tuple) else request
        limit = threading.Timer(self._patience, _cut_off, [connection])
        limit.daemon = True
        try:
            limit.start()
            super().process_request_thread(request, client_address)
        finally:
            limit.cancel()
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked is gone: nothing is written about it."""
        del request, client_address


class _Handler(BaseHTTPRequestHandler):
    """One connection of Prometheus."""

    server: _MetricsServer
    server_version = "spillway"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer `/metrics`, and nothing else."""
        if urlsplit(self.path).path.rstrip("/") != PATH:
            self._answer(404, "text/plain; charset=utf-8", b"Only /metrics is here.\n")
        elif self.server.key.is_set and not self.server.key.opens({k.lower(): v for k, v in self.headers.items()}):
            self._answer(401, "text/plain; charset=utf-8", b"This needs SPILLWAY_METRICS_KEY.\n")
        else:
            shown = self.server.exposition.show(self.headers.get("accept", ""))
            self._answer(200, shown.content_type, shown.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Scrapes are not worth a line."""
        del format, args

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        if status == 401:  # noqa: PLR2004 - the one status with a challenge
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _cut_off(connection: socket.socket) -> None:
    """Wake whoever reads or writes there."""
    with suppress(OSError):  # it has just ended by itself
        connection.shutdown(socket.SHUT_RDWR)


def _remove_and_end(folder: Path, number: int, _: FrameType | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _remove_abandoned(folder: Path) -> None:
    """Remove the folder of a gateway that does not live any more."""
    try:
        with (folder / _OWNER).open("rb") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # it lives, or belongs to somebody else
        return
