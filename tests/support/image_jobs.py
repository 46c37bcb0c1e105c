"""Work that worker processes are given by tests: well-behaved, hostile and unlucky."""

import os
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


def die_once(path: str) -> str:
    if not Path(path).exists():
        Path(path).touch()
        os._exit(3)
    return "done"


def refuse_shape() -> None:
    raise MaskShapeError(300, 200)


def fail() -> None:
    raise LookupError("a fault of our own")


def write_file(path: str) -> None:
    Path(path).write_bytes(b"left behind")
