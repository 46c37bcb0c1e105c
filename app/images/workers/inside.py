"""What runs inside a worker process: one request after the other, each within its own bounds.

The process has no secrets, no standard streams and no files; it ends when the gateway closes the connection.
"""

import resource
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from app.images.workers.bounds import Bounds
from app.images.workers.isolation import NETWORK, give_up_the_rest, leave_network
from app.images.workers.messages import (
    PREFIX,
    Message,
    decode_request,
    encode_failure,
    encode_result,
    read_lengths,
)

# Imported before the first request, so that it does not wait for them.
_WARM = ("app.images.compose", "app.images.inputs", "app.images.masks")
_PAGE = resource.getpagesize()
_STATM = Path("/proc/self/statm")


def main(descriptor: int) -> None:
    """Serve requests that come over an inherited socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the gateway says when it is over
    # No core dumps, which would hold callers' images, and no files at all.
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(kind, (0, 0))
    layers = [NETWORK] if leave_network() else []
    for name in _WARM:
        import_module(name)
    # Before any image, and behind all that has to be loaded.
    layers += give_up_the_rest()
    with socket.socket(fileno=descriptor) as link:
        # Said once the imports are done, so that the time of the first image is not theirs.
        _send(link, Message(" ".join(layers).encode()))  # ready
        while (request := _receive(link)) is not None:
            _send(link, _answer(request))


def _answer(request: Message) -> Message:
    try:
        work, arguments, bounds = decode_request(request)
        with _bounded(bounds):
            return encode_result(work(*arguments))
    except Exception as error:  # noqa: BLE001 - whatever it is, the gateway must learn of it
        return encode_failure(error, traceback.format_exc())


@contextmanager
def _bounded(bounds: Bounds) -> Iterator[None]:
    """The process ends when it takes more processor time; an allocation beyond the memory fails."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    _set_soft(resource.RLIMIT_CPU, int(used + bounds.cpu_seconds) + 1)
    mapped = _mapped_bytes()
    if mapped is not None:
        _set_soft(resource.RLIMIT_AS, mapped + bounds.memory_bytes)
    try:
        yield
    finally:
        _set_soft(resource.RLIMIT_AS, resource.RLIM_INFINITY)
        _set_soft(resource.RLIMIT_CPU, resource.RLIM_INFINITY)


def _set_soft(kind: int, value: int) -> None:
    """Set a limit that the process itself may lift again, as far as its operator allows."""
    # Only the soft limit: a hard one could not be raised again for the next, larger image.
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = hard if value == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, hard))


def _mapped_bytes() -> int | None:
    """The address space in use; None where the system does not say."""
    try:
        return int(_STATM.read_text().split()[0]) * _PAGE
    except OSError:
        return None


def _send(link: socket.socket, message: Message) -> None:
    for piece in (message.prefix, message.head, *message.attached):
        link.sendall(piece)


def _receive(link: socket.socket) -> Message | None:
    """The next message; None when the gateway has ended."""
    prefix = _read(link, PREFIX.size)
    if prefix is None:
        return None
    size, count = PREFIX.unpack(prefix)
    sizes = [size, *read_lengths(_read(link, 8 * count) or b"")]
    pieces = [_read(link, length) for length in sizes]
    head, *attached = (piece for piece in pieces if piece is not None)
    return Message(head, attached) if len(attached) == count else None


def _read(link: socket.socket, size: int) -> bytearray | None:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        received = link.recv_into(view)
        if not received:
            return None
        view = view[received:]
    return data


if __name__ == "__main__":
    main(int(sys.argv[1]))
