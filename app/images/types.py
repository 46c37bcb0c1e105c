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


class ImageBytes:
    """The bytes of an image, which go before what holds them does, once something else was made of them (0208)."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data: bytes | None = data

    @property
    def data(self) -> bytes:
        """The bytes, as long as they are there."""
        if self._data is None:
            problem = "The bytes of this image are gone."
            raise RuntimeError(problem)
        return self._data

    def let_go(self) -> None:
        """Nobody needs the bytes any more."""
        self._data = None

    def __len__(self) -> int:
        return 0 if self._data is None else len(self._data)

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, ImageBytes):
            return self is other
        return self._data is not None and self._data == other._data  # nobody knows what two that are gone were

    def __hash__(self) -> int:
        return hash(self._data)


@dataclass(frozen=True, slots=True)
class CompositeBase:
    """What a result is pasted into: the caller's image, and a mask that is white where the result shows."""

    image: bytes
    mask: bytes
