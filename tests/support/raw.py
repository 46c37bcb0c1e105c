"""One connection to a gateway, byte by byte, as no client library would write it."""

import contextlib
import json
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

JSON = "application/json"


@dataclass(frozen=True)
class RawAnswer:
    """What came back: the status line's parts, headers in lower case, and the body without its framing."""

    version: str
    status: int
    headers: dict[str, str]
    body: bytes
    is_chunked: bool

    def json(self) -> dict:
        """The body."""
        return json.loads(self.body)


class ConnectionEndedError(Exception):
    """The gateway ended the connection; `rest` came before its end."""

    def __init__(self, rest: bytes) -> None:
        super().__init__(rest[:200])
        self.rest = rest


class RawConnection:
    """A socket that reads answers one after the other."""

    def __init__(self, origin: str, timeout: float = 30) -> None:
        parts = urlsplit(origin)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *packets: bytes, pause: float = 0.02) -> None:
        """Send each as a packet of its own."""
        for place, packet in enumerate(packets):
            if place:
                time.sleep(pause)
            self.socket.sendall(packet)

    def try_send(self, data: bytes) -> bool:
        """Whether the other side still takes it."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def answer(self) -> RawAnswer:
        """The next answer, raising ConnectionEndedError."""
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, _ = head[0].split(" ", 2)
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        chunked = headers.get("transfer-encoding") == "chunked"
        if chunked:
            body = b"".join(self._chunks())
        elif "content-length" in headers:
            body = self._take(int(headers["content-length"]))
        else:
            body = self.rest()
        return RawAnswer(version, int(status), headers, body, chunked)

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        with contextlib.suppress(ConnectionResetError):
            while data := self.socket.recv(65_536):
                self._read += data
        rest, self._read = self._read, b""
        return rest

    def ends_within(self, seconds: float) -> float | None:
        """After how many seconds the gateway ended the connection; None if it did not."""
        started = time.monotonic()
        self.socket.settimeout(seconds)
        try:
            self.rest()
        except TimeoutError:
            return None
        return time.monotonic() - started

    def reset(self) -> None:
        """End it with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _chunks(self) -> Iterable[bytes]:
        while size := int(self._until(b"\r\n"), 16):
            yield self._take(size)
            self._take(2)
        self._take(2)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._read:
            self._more()
        found, _, self._read = self._read.partition(mark)
        return found

    def _take(self, size: int) -> bytes:
        while len(self._read) < size:
            self._more()
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    def _more(self) -> None:
        try:
            data = self.socket.recv(65_536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise ConnectionEndedError(self._read)
        self._read += data


def head(
    path: str = "/v1/images/generations",
    *fields: str,
    method: str = "POST",
    version: str = "1.1",
    key: str | None = "test-key",
) -> bytes:
    """A request's head."""
    own = [f"{method} {path} HTTP/{version}", "Host: 127.0.0.1"]
    if key is not None:
        own.append(f"Authorization: Bearer {key}")
    return "\r\n".join([*own, *fields, "", ""]).encode("latin-1")


def chunked(body: bytes, size: int = 40, *, trailers: bytes = b"") -> bytes:
    """A body in chunks."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailers + b"\r\n"


def form(fields: dict[str, str], files: dict[str, bytes], boundary: str = "line-between-parts") -> bytes:
    """A multipart body."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in fields.items()
    ]
    parts += [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for name, data in files.items()
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode()
