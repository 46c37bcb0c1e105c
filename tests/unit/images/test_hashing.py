"""What images are told apart by."""

import pytest

from app.images.hashing import ImageHash

# What the designers of the two say of these three bytes, in FIPS 180-2 and in BLAKE3's test vectors.
OF_ABC = [
    pytest.param(
        ImageHash.SHA256, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", id="SHA-256"
    ),
    pytest.param(
        ImageHash.BLAKE3, "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85", id="BLAKE3"
    ),
]


@pytest.mark.parametrize(("image_hash", "digest"), OF_ABC)
def test_a_digest_names_its_hash(image_hash, digest):
    assert image_hash.digest_of(b"abc") == digest


@pytest.mark.parametrize(("image_hash", "digest"), OF_ABC)
def test_pieces_come_to_what_the_whole_does(image_hash, digest):
    hashing = image_hash.begin()
    for piece in (b"a", memoryview(b"xbx")[1:2], b"", b"c"):
        hashing.update(piece)
    assert image_hash.digest(hashing) == digest
