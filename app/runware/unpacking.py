"""Packed answers (`Content-Encoding`), unpacked in pieces of bounded size, however much a few bytes claim to hold.

Owns gzip and deflate, the two that the gateway asks Runware for. Leaves to `answer_reader` how much is too much.
"""

import zlib
from collections.abc import Iterator

ACCEPTED = "gzip, deflate"
"""What an answer may be packed with."""
_PIECE_BYTES = 256 * 1024
# Streams one after the other are allowed in gzip; more of them carry no data, and only cost time.
_MAX_STREAMS = 100
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_DEFLATE_METHOD = 8


class DamagedError(Exception):
    """The bytes are not what they are said to be, or end early."""


class Unpacker:
    """One packed body."""

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._streams = 0
        self._engine: zlib._Decompress | None = None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What `data` unpacks to, raising DamagedError."""
        while data := self._without_padding(data):
            engine = self._engine or self._begin(data)
            try:
                piece = engine.decompress(data, _PIECE_BYTES)
            except zlib.error:
                raise DamagedError from None
            self._engine = None if engine.eof else engine
            data = engine.unused_data if engine.eof else engine.unconsumed_tail
            yield piece

    def finish(self) -> None:
        """There is no more, raising DamagedError where there should be."""
        if self._engine is not None or not self._streams:
            raise DamagedError

    def _without_padding(self, data: bytes) -> bytes:
        # Zeros behind a stream, as behind a file on a tape.
        return data.lstrip(b"\0") if self._streams and self._engine is None else data

    def _begin(self, data: bytes) -> "zlib._Decompress":
        self._streams += 1
        if self._streams > (_MAX_STREAMS if self._is_gzip else 1):
            raise DamagedError
        # Servers disagree on what deflate is; its first bits say whether zlib's wrapping is around it.
        deflate = _ZLIB if data[0] & 15 == _DEFLATE_METHOD else _RAW
        self._engine = zlib.decompressobj(_GZIP if self._is_gzip else deflate)
        return self._engine
