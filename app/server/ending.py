"""What a signal to end means: first it is only announced, then the server ends; a second one ends the process at once.

Owns the handlers of SIGTERM and SIGINT, before those of the server. The grace period itself is the server's (0171).
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from app.observability.logs import get_logger
from app.server.connections import ProcessState

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_logger = get_logger("server")


class Ending:
    """Ends a process in order: `drain` seconds pass between the first signal and the end of service.

    Meanwhile callers are moved to other gateways: no connection is used for more than the request that is on it.
    """

    def __init__(self, state: ProcessState, drain: float) -> None:
        self._shutdown = state.shutdown
        self._connections = state.connections
        self._drain = drain
        # Managers of services send every process the first signal, and what a supervisor passes on would count as the
        # second one: only the supervisor decides about that.
        self._is_supervised = multiprocessing.parent_process() is not None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Stand before the handlers of the server, as long as this lasts."""
        # Signals reach the main thread only; a server in another one is ended by whoever started it.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._loop = asyncio.get_running_loop()
        self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._loop is not None and not self._shutdown.announced:
            self._shutdown.announce()
            self._loop.call_soon_threadsafe(self._begin, number)
        elif not self._is_supervised:
            # As a kill would: what is paid for stands in the journal, and the next process finds it.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _begin(self, number: int) -> None:
        # Whoever sits before it and presses Ctrl+C has no balancer that must look away first.
        seconds = self._drain if number == signal.SIGTERM else 0.0
        if self._loop is not None and seconds:
            _logger.warning("this gateway will end: it serves on, and is not ready any more", seconds=seconds)
            # Answers say it of all others (`middleware`): a pool that goes on with its connections would come here on.
            self._connections.end_kept_alive()
            self._loop.call_later(seconds, self._end, number)
        else:
            self._end(number)

    def _end(self, number: int) -> None:
        handler = self._before[signal.Signals(number)]
        if callable(handler):
            handler(number, None)
