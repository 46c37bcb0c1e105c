"""Compressed bodies come out as they went in, in bounded pieces, however they arrive; what is damaged is told."""

import gzip
import random
import sys
import zlib

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.server.encodings import DECODERS, DamagedBodyError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 256 * 1024


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS = {
    "gzip": ("gzip", gzip.compress),
    "deflate, wrapped": ("deflate", zlib.compress),
    "deflate, bare": ("deflate", raw_deflate),
    "zstd": ("zstd", zstd.compress),
    "br": ("br", brotli.compress),
}


def unpack(encoding: str, data: bytes, step: int) -> list[bytes]:
    decoder = DECODERS[encoding]()
    pieces = [piece for start in range(0, len(data), step) for piece in decoder.pieces(data[start : start + step])]
    decoder.finish()
    return pieces


@pytest.mark.parametrize(("encoding", "pack"), PACKERS.values(), ids=PACKERS)
@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=3000), step=st.integers(1, 4000))
def test_what_was_packed_comes_out(encoding, pack, data, step):
    assert b"".join(unpack(encoding, pack(data), step)) == data


@pytest.mark.parametrize(("encoding", "pack"), PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("step", [1000, 10_000_000])
def test_pieces_are_bounded_whatever_they_unpack_to(encoding, pack, step):
    data = random.Random(1).randbytes(300_000) + bytes(5 * PIECE)
    pieces = unpack(encoding, pack(data), step)
    assert b"".join(pieces) == data
    assert max(len(piece) for piece in pieces) <= 2 * PIECE  # one library rounds its bound up


@pytest.mark.parametrize(("encoding", "pack"), PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("step", [7, 10_000])
def test_a_body_that_ends_early_is_told(encoding, pack, step):
    packed = pack(random.Random(2).randbytes(5000))
    with pytest.raises(DamagedBodyError):
        unpack(encoding, packed[:-9], step)


@pytest.mark.parametrize("encoding", DECODERS)
def test_nonsense_is_told(encoding):
    with pytest.raises(DamagedBodyError):
        unpack(encoding, b'{"prompt": "a quiet harbor, not packed at all"}', 10_000)


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_members_of_gzip_and_frames_of_zstd_follow_one_another(step):
    assert (
        b"".join(unpack("gzip", gzip.compress(b"a quiet ") + gzip.compress(b"harbor") + bytes(20), step))
        == b"a quiet harbor"
    )
    assert b"".join(unpack("zstd", zstd.compress(b"a quiet ") + zstd.compress(b"harbor"), step)) == b"a quiet harbor"


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_members_without_end_are_refused(encoding):
    member = gzip.compress(b"") if encoding == "gzip" else zstd.compress(b"")
    with pytest.raises(DamagedBodyError):
        unpack(encoding, member * 1001, 10_000)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_what_follows_the_end_is_told(encoding):
    pack = dict(PACKERS.values())[encoding]
    with pytest.raises(DamagedBodyError):
        unpack(encoding, pack(b"a quiet harbor") + b"more", 10_000)


def test_a_frame_that_asks_for_gigabytes_of_window_is_refused():
    packer = zstd.ZstdCompressor(
        options={zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.enable_long_distance_matching: 1}
    )
    packed = packer.compress(random.Random(3).randbytes(100)) + packer.flush()
    with pytest.raises(DamagedBodyError):
        unpack("zstd", packed, 10_000)
