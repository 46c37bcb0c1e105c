"""The hashes by which images are told apart. Which of them a journal uses, `journal.image_hash` says. Pure."""

import hashlib
from enum import StrEnum
from typing import Protocol

from blake3 import blake3


class Hashing(Protocol):
    """A hash of bytes that come one after the other."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Take the next bytes."""
        ...

    def hexdigest(self) -> str:
        """That of all so far: 64 hexadecimal digits."""
        ...


class ImageHash(StrEnum):
    """Neither lets anybody make two images that are taken for one. BLAKE3 takes a third of the time."""

    SHA256 = "sha256"
    BLAKE3 = "blake3"

    def begin(self) -> Hashing:
        """That of an image which arrives in pieces."""
        return hashlib.sha256() if self is ImageHash.SHA256 else blake3()

    def digest_of(self, data: bytes) -> str:
        """What a whole image is known by."""
        hashing = self.begin()
        hashing.update(data)
        return self.digest(hashing)

    def digest(self, hashing: Hashing) -> str:
        """What an image is known by: the name of the hash, a colon, and 64 hexadecimal digits."""
        return f"{self}:{hashing.hexdigest()}"
