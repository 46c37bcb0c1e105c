"""What the stages of image work hand one another: values only."""

from dataclasses import dataclass
from typing import Literal

Fit = Literal["cover", "contain", "exact"]
Color = Literal["gray", "rgb", "palette", "cmyk", "lab"]
_SIDEWAYS = frozenset({5, 6, 7, 8})


@dataclass(frozen=True, slots=True)
class Header:
    """What an image says of itself, as its decoder hands over the pixels.

    `width` and `height` are 0 where only a decoder can tell. `orientation` is what is still to be done to the pixels,
    in EXIF's numbers 1 to 8. `alpha`, `color` and `depth`, the bits of a channel, are None where they are not known.
    """

    format: str
    width: int = 0
    height: int = 0
    orientation: int = 1
    alpha: bool | None = None
    color: Color | None = None
    depth: int | None = None
    animated: bool = False

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height after the orientation is applied."""
        return (self.height, self.width) if self.orientation in _SIDEWAYS else (self.width, self.height)


@dataclass(frozen=True, slots=True)
class CompositeBase:
    """What a result is pasted into: the caller's image, and a mask that is white where the result shows."""

    image: bytes
    mask: bytes
