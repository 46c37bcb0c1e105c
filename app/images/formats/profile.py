"""Judges color profiles (ICC) by their head: whether one is a profile at all, and for which kind of image."""

from app.images.formats.limits import Buffer
from app.images.types import Color

_HEAD = 128
_SIGNATURE = b"acsp"
_SPACES: dict[bytes, frozenset[Color]] = {
    b"RGB ": frozenset({"rgb", "palette"}),
    b"GRAY": frozenset({"gray"}),
    b"CMYK": frozenset({"cmyk"}),
}


def suits(profile: Buffer, color: Color | None) -> bool:
    """Whether `profile` is one for images of this color; a color that is not known suits any."""
    if len(profile) < _HEAD or profile[36:40] != _SIGNATURE:
        return False
    # Only the head is judged: what is inside of a profile is for the library that computes colors, in a worker.
    return color is None or color in _SPACES.get(bytes(profile[16:20]), frozenset())
