"""What images are told apart by."""

import pytest

from app.images.hashing import ImageHash

# Of FIPS 180-2, and of BLAKE3's test vectors: more than the chunk of 1024 bytes from which on it makes a tree.
LONG = bytes(number % 251 for number in range(2049))
SHA256_OF_ABC = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
BLAKE3_OF_LONG = "blake3:5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"
VECTORS = [
    pytest.param(ImageHash.SHA256, b"abc", SHA256_OF_ABC, id="SHA-256"),
    pytest.param(ImageHash.BLAKE3, LONG, BLAKE3_OF_LONG, id="BLAKE3"),
]


@pytest.mark.parametrize(("image_hash", "data", "digest"), VECTORS)
def test_a_digest_is_the_hash_behind_its_name(image_hash, data, digest):
    assert image_hash.digest_bytes(data) == digest


@pytest.mark.parametrize(("image_hash", "data", "digest"), VECTORS)
def test_pieces_come_to_what_the_whole_does(image_hash, data, digest):
    hasher = image_hash.new_hasher()
    for piece in (data[:1], memoryview(data)[1:2], b"", data[2:]):
        hasher.update(piece)
    assert image_hash.finish(hasher) == digest
