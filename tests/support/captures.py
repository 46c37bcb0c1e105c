"""Turns a captured request back into the very bytes that were on the wire.

In the captures CRLF is written as LF and binary as a note of its length; the announced Content-Length tells whether
a text field itself held LF (Python) or CRLF (Node).
"""

import random
import re
from dataclasses import dataclass
from pathlib import Path

import pybase64

OTTER = pybase64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR4nGM4ISeHFTEMLQkAkL9BAbKfPiIAAAAASUVORK5CYII="
)
_BINARY = re.compile(r"<(\d+) bytes binary, starts ([0-9a-f]+)>")
_MARK = "\x00BINARY\x00"


@dataclass(frozen=True)
class Capture:
    """One captured request. `head` ends with a blank line; `chunked` bodies are not yet framed."""

    name: str
    head: bytes
    body: bytes
    chunked: bool
    expects_continue: bool

    @property
    def wire(self) -> bytes:
        """Head and body as sent."""
        return self.head + (frame(self.body) if self.chunked else self.body)


def load(path: Path, key: str = "test-key") -> Capture:
    """The capture in a file, with the key of this test's gateway."""
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.split("\n") if not line.startswith("# ")]
    split = lines.index("")
    head_lines, body_text = lines[:split], "\n".join(lines[split + 1 :])
    head_lines = [re.sub(r"(?i)^(authorization:) .*", rf"\1 Bearer {key}", line) for line in head_lines]
    head = "\r\n".join(head_lines).encode() + b"\r\n\r\n"
    match = re.search(rb"(?im)^content-length: (\d+)", head)
    length = int(match[1]) if match else None
    chunked = b"transfer-encoding: chunked" in head.lower()
    body = _body(body_text, head, length)
    return Capture(path.stem, head, body, chunked, b"100-continue" in head)


def _body(text: str, head: bytes, length: int | None) -> bytes:
    if b"multipart/form-data" not in head.lower():
        return text.rstrip("\n").encode() if length is None or length else b""
    for newline in ("\n", "\r\n"):
        body = _multipart(text.rstrip("\n") + "\n", newline)
        if length is None or len(body) == length:
            return body
    message = f"cannot rebuild a body of {length} bytes"
    raise ValueError(message)


def _multipart(text: str, newline: str) -> bytes:
    boundary = text.split("\n", 1)[0]
    parts = text.split(boundary)[1:-1]
    pieces = []
    for part in parts:
        header, _, content = part.removeprefix("\n").partition("\n\n")
        content = content.removesuffix("\n")
        binary = _BINARY.fullmatch(content)
        data = _binary(binary) if binary else content.replace("\n", newline).encode()
        pieces.append(f"{boundary}\r\n".encode() + header.replace("\n", "\r\n").encode() + b"\r\n\r\n" + data + b"\r\n")
    return b"".join(pieces) + f"{boundary}--\r\n".encode()


def _binary(match: re.Match[str]) -> bytes:
    size, start = int(match[1]), bytes.fromhex(match[2])
    if size == len(OTTER) and OTTER.startswith(start):
        return OTTER
    return start + random.Random(size).randbytes(size - len(start))


def frame(body: bytes, size: int = 50) -> bytes:
    """The body in chunks."""
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
