"""Compressed request bodies (`Content-Encoding`), unpacked in pieces of bounded size whatever they claim to hold.

Owns the formats. How much is too much is decided by the reader of the pieces.
"""

import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# A piece bounds what is in memory at once, however well a body was packed.
_PIECE_BYTES = 256 * 1024
_MEMBERS = 1000
"""More streams one after the other in one body are made to cost time, not to carry data."""
_ZSTD_WINDOW_LOG = 23
"""8 MiB, what RFC 8878 asks every decoder to take: a frame may ask for gigabytes."""
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_DEFLATE_METHOD, _ZLIB_CHECK = 8, 31


class DamagedBodyError(Exception):
    """The bytes are not what their encoding says, or end early."""


class Decoder(Protocol):
    """One body; feed it what arrives."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What `data` unpacks to, raising DamagedBodyError."""
        ...

    def finish(self) -> None:
        """There is no more, raising DamagedBodyError when there should be."""
        ...


class _Stream(Protocol):
    """One compressed stream of a library."""

    def decode(self, data: bytes) -> tuple[bytes, bytes]:
        """The next piece, and the input that was not taken; at its end what follows it."""
        ...

    @property
    def ended(self) -> bool:
        """Whether its end was read."""
        ...


class _Streams:
    """Streams one after the other, as gzip and zstd allow them."""

    def __init__(self, start: Callable[[], _Stream], *, padding: bytes = b"") -> None:
        self._start = start
        self._padding = padding
        self._stream: _Stream | None = None
        self._count = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """See Decoder."""
        while data or self._stream is not None:
            if self._stream is None and not (data := self._next(data)):
                return
            assert self._stream is not None  # noqa: S101 - `_next` began it
            piece, data = _guarded(self._stream, data)
            if piece:
                yield piece
            if self._stream.ended:
                self._stream = None
            elif not data and len(piece) < _PIECE_BYTES:
                return

    def finish(self) -> None:
        """See Decoder."""
        if self._stream is not None:
            raise DamagedBodyError

    def _next(self, data: bytes) -> bytes:
        """Begin the next stream; what is left of `data` when padding is taken off."""
        data = data.lstrip(self._padding) if self._count and self._padding else data
        if data:
            self._count += 1
            # Empty streams unpack to nothing and would pass every limit on size.
            if self._count > _MEMBERS:
                raise DamagedBodyError
            self._stream = self._start()
        return data


def _guarded(stream: _Stream, data: bytes) -> tuple[bytes, bytes]:
    try:
        return stream.decode(data)
    except (zlib.error, zstd.ZstdError, brotli.error, EOFError):
        raise DamagedBodyError from None


class _Zlib:
    """gzip (RFC 1952), or deflate as zlib writes it (RFC 1950) and as some clients mean it, without its wrapping."""

    def __init__(self, window: int | None) -> None:
        self._held = b""
        self._engine = None if window is None else zlib.decompressobj(window)

    def decode(self, data: bytes) -> tuple[bytes, bytes]:
        """See _Stream."""
        data, self._held = self._held + data, b""
        if self._engine is None:
            # Clients disagree on what deflate is; the first two bytes say which of the two was sent.
            if len(data) == 1:  # two bytes say which wrapping it is
                self._held = data
                return b"", b""
            wrapped = data[0] & 15 == _DEFLATE_METHOD and (data[0] << 8 | data[1]) % _ZLIB_CHECK == 0
            self._engine = zlib.decompressobj(_ZLIB if wrapped else _RAW)
        piece = self._engine.decompress(data, _PIECE_BYTES)
        return piece, self._engine.unused_data if self._engine.eof else self._engine.unconsumed_tail

    @property
    def ended(self) -> bool:
        """See _Stream."""
        return self._engine is not None and self._engine.eof


class _Zstd:
    """RFC 8878."""

    def __init__(self) -> None:
        # The frame names the memory its decoder needs, and the frame comes from a caller.
        self._engine = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})

    def decode(self, data: bytes) -> tuple[bytes, bytes]:
        """See _Stream."""
        piece = self._engine.decompress(data, _PIECE_BYTES)
        return piece, self._engine.unused_data if self._engine.eof else b""

    @property
    def ended(self) -> bool:
        """See _Stream."""
        return self._engine.eof


class _Brotli:
    """RFC 7932; one stream a body."""

    def __init__(self) -> None:
        self._engine = brotli.Decompressor()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """See Decoder."""
        while not self._engine.is_finished() or data:
            try:
                piece: bytes = self._engine.process(data, output_buffer_limit=_PIECE_BYTES)
            except brotli.error:
                raise DamagedBodyError from None
            if not piece and self._engine.can_accept_more_data():
                return
            data = b""
            yield piece

    def finish(self) -> None:
        """See Decoder."""
        if not self._engine.is_finished():
            raise DamagedBodyError


DECODERS: Mapping[str, Callable[[], Decoder]] = MappingProxyType(
    {
        "gzip": lambda: _Streams(lambda: _Zlib(_GZIP), padding=b"\0"),
        "deflate": lambda: _Streams(lambda: _Zlib(None)),
        "zstd": lambda: _Streams(_Zstd),
        "br": _Brotli,
    }
)
"""By the name in `Content-Encoding`."""
ALIASES: Mapping[str, str] = MappingProxyType({"x-gzip": "gzip", "identity": ""})
"""Other names that RFC 9110 knows; the empty one is no encoding at all."""
