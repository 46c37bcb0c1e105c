"""Where the pixels of an input image land: scaled, padded or cut, within what a model takes. Pure arithmetic."""

import math
from dataclasses import dataclass
from typing import Literal

Dimensions = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What a model takes: sides in pixels, the longest shape, and bytes; None is no limit.

    `max_pixels` protects this machine. `max_aspect` is the longer side over the shorter one.
    """

    max_pixels: int
    min_side: int | None = None
    max_side: int | None = None
    max_bytes: int | None = None
    max_aspect: float | None = None


@dataclass(frozen=True, slots=True)
class TargetShape:
    """The shape, width / height, that an image is to get: by padding (`contain`) or cutting (`cover`)."""

    ratio: float
    fit: Literal["contain", "cover"]


@dataclass(frozen=True, slots=True)
class Placement:
    """An image scaled to `inner`, in the middle of `outer`: padded where that is larger, cut where it is smaller."""

    inner: Dimensions
    outer: Dimensions

    @property
    def pads(self) -> bool:
        """Whether anything is added around the image."""
        return self.outer[0] > self.inner[0] or self.outer[1] > self.inner[1]

    @property
    def cuts(self) -> bool:
        """Whether anything of the image is lost."""
        return self.outer[0] < self.inner[0] or self.outer[1] < self.inner[1]


def place(size: Dimensions, limits: ImageLimits, target: TargetShape | None = None) -> Placement:
    """Where an image of `size` lands: in the shape of `target`, within the limits, its own shape kept.

    The upper limits win over the lower one; a side that is then too short is padded.
    """
    width, height = _shaped(size, target)
    factor = 1.0
    if limits.min_side is not None:
        factor = max(factor, limits.min_side / min(width, height))
    if limits.max_side is not None:
        factor = min(factor, limits.max_side / max(width, height))
    # After the sides: a model's lower limit must not enlarge an image beyond what this machine may decode.
    area = width * height * factor**2
    factor *= math.sqrt(min(1.0, limits.max_pixels / area))
    inner = (max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))
    outer = (max(1, round(width * factor)), max(1, round(height * factor)))
    shortest = limits.min_side or 1
    if limits.max_aspect is not None:
        # Rounded up: a pixel less and the shape would again be longer than the model takes.
        shortest = max(shortest, -int(-max(outer) // limits.max_aspect))
    return Placement(inner, (max(outer[0], shortest), max(outer[1], shortest)))


def _shaped(size: Dimensions, target: TargetShape | None) -> tuple[float, float]:
    """The smallest canvas of a shape around an image, or the largest within it."""
    width, height = size
    if target is None:
        return width, height
    by_height, by_width = height * target.ratio, width / target.ratio
    choose = max if target.fit == "contain" else min
    return choose(width, by_height), choose(height, by_width)
