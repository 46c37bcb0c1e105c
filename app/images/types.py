"""How an image is fitted to a size, and what it is pasted into: values only."""

from dataclasses import dataclass
from typing import Literal

Fit = Literal["cover", "contain", "exact"]


@dataclass(frozen=True, slots=True)
class CompositeBase:
    """What a result is pasted into: the caller's image, and a mask that is white where the result shows."""

    image: bytes
    mask: bytes
