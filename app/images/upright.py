"""Opens an image as it is meant to be seen: decoded, and turned by what its own header says. Runs in a worker process.

The decoder is given nothing but what decoding needs, so that no text, tag or preview can trip it or be acted upon.
"""

from types import MappingProxyType

from PIL import Image

from app.images.color import to_plain
from app.images.convert import open_image
from app.images.errors import UnreadableImageError
from app.images.formats.limits import THOROUGH
from app.images.headers import read_header
from app.images.structure import clean_image

_TURNS = MappingProxyType(
    {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
)


def open_upright(data: bytes, max_pixels: int) -> Image.Image:
    """The first frame, upright, in eight bits of gray or RGB. Raises as `open_image` does."""
    header = read_header(data, THOROUGH)
    if header is None:
        raise UnreadableImageError
    # Cleaned even where the decoder could read more: it must not act on tags, texts or previews of strangers (0021).
    image = open_image(bytes(clean_image(data, THOROUGH).data), max_pixels)
    return turn(to_plain(image, header.depth), header.orientation)


def turn(image: Image.Image, orientation: int) -> Image.Image:
    """The image turned and mirrored as an orientation of EXIF demands, with its color profile."""
    method = _TURNS.get(orientation)
    if method is None:
        return image
    turned = image.transpose(method)
    turned.info = dict(image.info)
    return turned
