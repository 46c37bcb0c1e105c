"""What is sent: an image as cameras and models make them, and whole HTTP requests around it."""

import json
import random
import struct
import zlib
from collections.abc import Mapping

_BOUNDARY = "spillwaybenchmark"
_SIDE = 1024
_ROW = 3 * _SIDE


def png(size: int, seed: int) -> bytes:
    """A true PNG of 1024 x 1024 of about `size` bytes: noise of so many bits that it cannot be compressed to less."""
    bits = max(0, min(8, round(size * 8 / (_SIDE * _ROW))))
    noise = (
        random.Random(seed).randbytes(_SIDE * _ROW).translate(bytes(value & ((1 << bits) - 1) for value in range(256)))
    )
    rows = b"".join(b"\x00" + noise[start : start + _ROW] for start in range(0, len(noise), _ROW))
    packer = zlib.compressobj(strategy=zlib.Z_HUFFMAN_ONLY)
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    pixels = packer.compress(rows) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def json_request(path: str, headers: Mapping[str, str], fields: Mapping[str, str]) -> bytes:
    """A POST of these fields as JSON."""
    return _request(path, {**headers, "content-type": "application/json"}, json.dumps(fields).encode())


def form_request(path: str, headers: Mapping[str, str], fields: Mapping[str, str], image: bytes) -> bytes:
    """A POST of these fields and an upload as a form, as the SDKs of OpenAI send it."""
    mark = b"--" + _BOUNDARY.encode()
    parts = [
        b'%b\r\ncontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (mark, name.encode(), value.encode())
        for name, value in fields.items()
    ]
    head = b'%b\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\ncontent-type: image/png\r\n\r\n'
    body = b"".join([*parts, head % mark, image, b"\r\n", mark, b"--\r\n"])
    return _request(path, {**headers, "content-type": f"multipart/form-data; boundary={_BOUNDARY}"}, body)


def _request(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    named = {"host": "127.0.0.1", "user-agent": "OpenAI/Python 3.52.0", "content-length": str(len(body)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body
