"""Images for tests, made on the spot."""

import io
import math
import random

import pybase64
from PIL import Image, ImageDraw


def encode(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    """The image as bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def photo(width: int = 320, height: int = 320, mode: str = "RGB") -> Image.Image:
    """An image with something in it: a gradient and a disk."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    ImageDraw.Draw(image).ellipse((width * 0.2, height * 0.2, width * 0.6, height * 0.6), fill=(200, 40, 60))
    return image.convert(mode)


def png(width: int = 320, height: int = 320) -> bytes:
    """A PNG."""
    return encode(photo(width, height))


def png_of(size: int) -> bytes:
    """A PNG of about `size` bytes: noise, which does not compress."""
    side = math.isqrt(size // 3)
    return encode(
        Image.frombytes("RGB", (side, side), random.Random(size).randbytes(side * side * 3)), compress_level=0
    )


def open_bytes(data: bytes) -> Image.Image:
    """The image in these bytes, fully decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def open_base64(text: str) -> Image.Image:
    """The image in base64."""
    return open_bytes(pybase64.b64decode(text, validate=True))


def data_uri(data: bytes, kind: str = "png") -> str:
    """The bytes as a data URI."""
    return f"data:image/{kind};base64,{pybase64.b64encode(data).decode()}"
