"""Bytes that arrive in pieces and are wanted whole: kept as they came, joined once. Pure."""

import hashlib

_SMALL = 16 * 1024
"""Pieces smaller than this are copied together: kept one by one, pieces of a byte would take forty times their size."""
_BLOCK = 1 * 1024 * 1024
"""So many bytes of pieces are put together: many small ones would leave the memory full of holes of their size."""


class Pieces:
    """The pieces so far, copied once when all are there: a buffer that grows copies megabytes several times.

    What is `hashed` is so while a piece is still in the processor's cache: a second pass costs twice as much.
    """

    def __init__(self, *, hashed: bool = False) -> None:
        self.size = 0
        """Bytes so far."""
        self._blocks: list[bytes] = []
        self._pieces: list[bytes | bytearray] = []
        self._waiting = 0
        self._small = bytearray()
        self._hash = hashlib.sha256() if hashed else None

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.size += len(piece)
        if self._hash is not None:
            self._hash.update(piece)
        if len(piece) < _SMALL:
            self._small += piece
            return
        self._settle()
        self._pieces.append(piece)
        self._waiting += len(piece)
        if self._waiting >= _BLOCK:
            self._blocks.append(b"".join(self._pieces))
            self._pieces, self._waiting = [], 0

    def join(self) -> bytes:
        """All of them as one; nothing is kept."""
        self._settle()
        pieces = [*self._blocks, *self._pieces]
        self._blocks, self._pieces, self._waiting = [], [], 0
        return b"".join(pieces)

    @property
    def digest(self) -> str:
        """The SHA-256 of all that was added, in hexadecimal digits; empty where nothing was to be hashed."""
        return "" if self._hash is None else self._hash.hexdigest()

    def _settle(self) -> None:
        if self._small:
            self._pieces.append(self._small)
            self._waiting += len(self._small)
            self._small = bytearray()
