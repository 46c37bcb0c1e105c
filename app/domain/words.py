"""Words that requests, answers and the command line share. Imports nothing: a command shows its help with them."""

from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    JSONValue: TypeAlias = "bool | int | float | str | list[JSONValue] | dict[str, JSONValue] | None"
else:
    # Decoders know no recursive type; what they read as any object comes out of JSON, so that it is one of these.
    JSONValue = object


class ImageFormat(StrEnum):
    """A format we can deliver."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    GIF = "gif"
    AVIF = "avif"
    SVG = "svg"

    @property
    def media_type(self) -> str:
        """The Content-Type of such an image."""
        return "image/svg+xml" if self is ImageFormat.SVG else f"image/{self.value}"


class Delivery(StrEnum):
    """How an image reaches the caller."""

    LINK = "link"
    EMBEDDED = "embedded"
    DATA_URI = "data_uri"
    """Embedded too, in the form of an address."""
