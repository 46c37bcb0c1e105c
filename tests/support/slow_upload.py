"""A caller that announces a form, sends some of it, and ends it when told."""

import contextlib
import socket
from urllib.parse import urlsplit

KIB, MIB = 1024, 1024 * 1024


class SlowUpload:
    """A form that was announced and begun, and ends when told."""

    def __init__(self, origin: str, size: int) -> None:
        parts = urlsplit(origin)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=30)
        self._head = b'--b\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        self._rest = size - len(self._head)
        self._socket.sendall(
            b"POST /v1/images/edits HTTP/1.1\r\nhost: x\r\nauthorization: Bearer test-key\r\n"
            b"content-type: multipart/form-data; boundary=b\r\ncontent-length: %d\r\nexpect: 100-continue\r\n\r\n%s"
            % (size, self._head)
        )

    def has_room(self) -> bool:
        """Wait until its body is read, of which it is told."""
        return self._socket.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"

    def send(self, size: int) -> None:
        """Send some more, as far as the system takes it."""
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            self._socket.send(b"x" * size)

    def taken(self, size: int) -> int:
        """How many of `size` bytes are taken before nothing is for a second."""
        self._socket.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < size:
                sent += self._socket.send(b"x" * min(MIB, size - sent))
        return sent

    def leave(self) -> None:
        """Go away in the middle."""
        self._socket.close()

    def end(self) -> None:
        """Send a form without a prompt, which is refused."""
        self._socket.sendall(b"x" * (self._rest - 7) + b"\r\n--b--")
        answer = self._socket.recv(100)
        self._socket.close()
        assert answer.startswith(b"HTTP/1.1 400")
