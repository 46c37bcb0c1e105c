"""Bytes that arrive in pieces."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.images.hashing import ImageHash
from app.openai_api.pieces import Pieces


@pytest.mark.parametrize("image_hash", ImageHash)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=8), st.sampled_from([b"d" * 9_000, b"a" * 20_000, b"b" * 70_000, b"c" * 1_500_000])
        ),
        max_size=12,
    )
)
def test_what_was_added_comes_out_whole_and_hashed(image_hash, parts):
    pieces = Pieces(image_hash)
    for part in parts:
        pieces.add(part)
    whole = b"".join(parts)
    assert pieces.size == len(whole)
    assert pieces.digest == image_hash.digest_bytes(whole)
    assert pieces.join() == whole


def test_what_was_joined_is_let_go():
    pieces = Pieces()
    pieces.add(b"a" * 50_000)
    pieces.join()
    assert pieces.join() == b""


def test_one_large_piece_is_never_copied():
    pieces, piece = Pieces(), b"a" * 50_000
    pieces.add(piece)
    assert pieces.join() is piece


def test_nothing_is_hashed_unless_it_is_asked_for():
    pieces = Pieces()
    pieces.add(b"abc")
    assert pieces.digest == ""


def test_tiny_pieces_take_little_more_than_their_bytes():
    pieces = Pieces()
    tracemalloc.start()
    for _ in range(100_000):
        pieces.add(bytes([65]))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 200_000
