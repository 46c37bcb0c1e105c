"""A proxy in front of the simulator that holds what contains a marker until it is let go."""

import contextlib
import socket
import threading
from collections.abc import Iterator

_LONGEST_HOLD_SECONDS = 60


class HoldingProxy:
    """Passes bytes both ways; a request with `marker` in it waits for `released`, and `reached` says that it does."""

    def __init__(self, target_port: int, marker: bytes) -> None:
        self._target_port, self._marker = target_port, marker
        self.reached, self.released = threading.Event(), threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open = [self._server]
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def close(self) -> None:
        """End every connection, hold nothing."""
        self.released.set()
        for end in self._open:
            _shut(end)
        for thread in self._threads:
            thread.join()
        for end in self._open:
            end.close()

    def cut(self) -> None:
        """End the connections there are, as a network does; new ones are taken."""
        for end in self._open[1:]:
            _shut(end)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._target_port))
                self._open += [near, far]
                for source, sink, marker in ((near, far, self._marker), (far, near, b"")):
                    self._threads.append(threading.Thread(target=self._pass_on, args=(source, sink, marker)))
                    self._threads[-1].start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, marker: bytes) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if marker and marker in data:
                    self.reached.set()
                    self.released.wait(_LONGEST_HOLD_SECONDS)
                sink.sendall(data)
        _shut(source)
        _shut(sink)


@contextlib.contextmanager
def holding(simulator_url: str, marker: str) -> Iterator[HoldingProxy]:
    """One in front of a simulator, which ends with the block."""
    with contextlib.closing(HoldingProxy(int(simulator_url.rpartition(":")[2]), marker.encode())) as proxy:
        yield proxy


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
