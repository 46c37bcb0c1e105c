"""Takes the port before anything is started, runs the server on it, and reports when it answers.

Owns sockets and the errors of a port that cannot be had. Leaves the application and its settings to `serve`.
"""

import errno
import http.client
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from app.cli.exits import CANNOT_START
from app.cli.local import reachable

_BACKLOG = 2048
_ASK_EVERY_SECONDS = 0.02
_LOOK_EVERY_SECONDS = 0.05
_NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class PortUnavailableError(Exception):
    """The port cannot be listened on; the message says why and what to do."""


def take_port(host: str, port: int, named_by: str = "--port or SPILLWAY_PORT") -> list[socket.socket]:
    """Listening sockets on every address of `host`, raising PortUnavailableError, which tells what names the port."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise PortUnavailableError(f"SPILLWAY_HOST: there is no address {host!r} to listen on.") from None
    taken: list[socket.socket] = []
    for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
        try:
            taken.append(_listen(family, address))
        except OSError as error:
            if error.errno in _NOT_HERE and len(found) > 1:  # such as ::1 of `localhost` on a machine without IPv6
                continue
            for other in taken:
                other.close()
            raise PortUnavailableError(_explain(error, host, port, named_by)) from None
    if not taken:
        raise PortUnavailableError(f"SPILLWAY_HOST: this machine has no address {host!r} to listen on.")
    return taken


def run_server(config: uvicorn.Config, sockets: Sequence[socket.socket], announce: Callable[[], None]) -> int:
    """Serve until a signal ends it, calling `announce` at the first answer; the exit code."""
    host, port = sockets[0].getsockname()[:2]
    # A thread beside the server: only a real answer shows that the application is up.
    threading.Thread(target=_announce_at_first_answer, args=(reachable(host), port, announce), daemon=True).start()
    if config.workers > 1:
        supervisor = Supervisor(config, sockets=list(sockets))
        supervisor.run()
        return CANNOT_START if supervisor.has_failed else 0
    server = uvicorn.Server(config)
    try:
        server.run(sockets=list(sockets))
    except KeyboardInterrupt:
        return 0
    except SystemExit:  # the application did not start, and its reason stands in the log
        return CANNOT_START
    return 0 if server.started else CANNOT_START


class Supervisor(Multiprocess):
    """uvicorn's, which passes the first signal on as what it was, and ends its processes at once at a second one."""

    _signal = signal.SIGTERM
    _is_at_once = False

    @property
    def has_failed(self) -> bool:
        """Whether it ended because an application did not start."""
        return any(process.exitcode == STARTUP_FAILURE for process in self.processes)

    def handle_int(self) -> None:
        """Ctrl+C, which is not drained for."""
        self._take(signal.SIGINT)

    def handle_term(self) -> None:
        """The end of a service."""
        self._take(signal.SIGTERM)

    def terminate_all(self) -> None:
        """Tell every process, each of which ends in its own time."""
        for process in self.processes:
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, self._signal)

    def join_all(self) -> None:
        """Wait for them, listening to signals meanwhile."""
        while any(process.process.is_alive() for process in self.processes):
            self.handle_signals()
            if self._is_at_once:
                # As a kill would: what is paid for stands in the journal, and the next process finds it (0171).
                for process in self.processes:
                    process.process.kill()
            time.sleep(_LOOK_EVERY_SECONDS)
        super().join_all()

    def _take(self, number: signal.Signals) -> None:
        if self.should_exit.is_set():
            self._is_at_once = True
        else:
            self._signal = number
            self.should_exit.set()


def _listen(family: int, address: tuple[object, ...]) -> socket.socket:
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Else "::" would take the IPv4 port too, and the second socket of the same host would fail.
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind(address)
        # At once: on Linux two sockets that do not listen yet may be bound to one port.
        taken.listen(_BACKLOG)
    except OSError:
        taken.close()
        raise
    taken.set_inheritable(True)
    return taken


def _explain(error: OSError, host: str, port: int, named_by: str) -> str:
    choose = f"choose another port with {named_by}"
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program: stop that one, or {choose}."
    if error.errno == errno.EACCES:
        return f"Port {port} on {host} may not be used by this user: {choose}, 1024 or above."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"SPILLWAY_HOST: {host} is no address of this machine."
    return f"Cannot listen on {host}:{port}: {error.strerror}."


def _announce_at_first_answer(host: str, port: int, announce: Callable[[], None]) -> None:
    """Ask until there is any answer: the sockets take connections long before the application does."""
    while True:
        connection = http.client.HTTPConnection(host, port, timeout=60)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            time.sleep(_ASK_EVERY_SECONDS)
            continue
        finally:
            connection.close()
        announce()
        return
