"""How a picture is fitted to a size, and what it is pasted into: values only."""

from dataclasses import dataclass
from typing import Literal

Fit = Literal["cover", "contain", "exact"]


@dataclass(frozen=True, slots=True)
class Ground:
    """What a result is pasted into: the caller's picture, and a mask that is white where the result shows."""

    picture: bytes
    mask: bytes
