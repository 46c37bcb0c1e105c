"""Bytes that arrive in pieces and are wanted whole: kept as they came, joined once. Pure."""

from app.images.hashing import ImageHash

_SMALL = 16 * 1024
"""Pieces smaller than this are copied together: kept one by one, pieces of a byte would take forty times their size."""
_LARGE = 64 * 1024
_BLOCK = 1 * 1024 * 1024
"""So many bytes of pieces that are not large are put together: the memory would be left full of holes of their size."""


class Pieces:
    """The pieces so far, copied once when all are there: a buffer that grows copies megabytes several times.

    With `image_hash`, each is hashed while it is still in the processor's cache: a second pass costs twice as much.
    """

    __slots__ = ("_hashed", "_hasher", "_image_hash", "_kept", "_small", "_waiting", "_waits", "size")

    def __init__(self, image_hash: ImageHash | None = None) -> None:
        self.size = 0
        """Bytes so far."""
        self._kept: list[bytes | bytearray | memoryview] = []
        self._waiting = self._waits = 0
        """Bytes, and pieces at the end of what is kept, that are to be put together."""
        self._small: bytearray | None = None
        self._hashed = 0
        """How much of what is small was hashed."""
        self._image_hash = image_hash
        self._hasher = None if image_hash is None else image_hash.new_hasher()

    def add(self, piece: bytes | memoryview) -> None:
        """Take the next bytes."""
        size = len(piece)
        self.size += size
        if size < _SMALL:
            if self._small is None:
                self._small = bytearray()
            self._small += piece
            # Together: BLAKE3 takes several times as long for pieces of the size that networks deliver.
            if len(self._small) - self._hashed >= _SMALL:
                self._hash_small()
            return
        self._settle()
        if self._hasher is not None:
            self._hasher.update(piece)
        self._kept.append(piece)
        if size >= _LARGE:
            self._waiting = self._waits = 0
            return
        self._waiting += size
        self._waits += 1
        if self._waiting >= _BLOCK:
            self._kept[-self._waits :] = [b"".join(self._kept[-self._waits :])]
            self._waiting = self._waits = 0

    def join(self) -> bytes:
        """All of them as one; nothing is kept."""
        self._settle()
        kept, self._kept, self._waiting, self._waits = self._kept, [], 0, 0
        return b"".join(kept)

    @property
    def digest(self) -> str:
        """The digest of everything added; empty without `image_hash`."""
        self._hash_small()
        if self._image_hash is None or self._hasher is None:
            return ""
        return self._image_hash.finish(self._hasher)

    def _settle(self) -> None:
        if self._small is not None:
            self._hash_small()
            self._kept.append(self._small)
            self._waiting += len(self._small)
            self._waits += 1
            self._small, self._hashed = None, 0

    def _hash_small(self) -> None:
        if self._hasher is not None and self._small is not None:
            with memoryview(self._small) as small, small[self._hashed :] as fresh:
                self._hasher.update(fresh)
            self._hashed = len(self._small)
