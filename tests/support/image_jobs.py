"""Work that worker processes are given by tests: well-behaved, hostile and unlucky."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from app.images.errors import MaskShapeError


def tell_process() -> int:
    return os.getpid()


def tell_environment() -> list[str]:
    return list(os.environ)


def echo(data: bytes) -> bytes:
    return data


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def spin(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def hoard(size: int) -> None:
    bytearray(size)


def answer(size: int) -> bytes:
    return bytes(size)


def chatter(size: int) -> str:
    os.write(1, b"." * size)
    os.write(2, b"." * size)
    return "said"


def die() -> None:
    os._exit(3)


def die_in(process: int) -> str:
    if os.getpid() == process:
        os._exit(3)
    return "done"


def refuse_shape() -> None:
    raise MaskShapeError(300, 200)


def fail() -> None:
    raise LookupError("a fault of our own")


def write_file(path: str) -> None:
    Path(path).write_bytes(b"left behind")


def connect(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        pass


def resolve() -> None:
    socket.getaddrinfo("localhost", 80)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.sendto(b"secret", ("127.0.0.1", 9))


def listen() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        pass


def read_file(path: str) -> bytes:
    return Path(path).read_bytes()


def list_folder(path: str) -> list[str]:
    return [one.name for one in Path(path).iterdir()]


def run_program() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def end_other(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def leak(size: int) -> int:
    _kept.append(bytearray(os.urandom(1024)) * (size // 1024))
    return os.getpid()


_kept: list[bytearray] = []
