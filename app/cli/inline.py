"""Images in the terminal itself: which way it can show them, by its environment, and the bytes of each way.

Never into a pipe. Terminals inside another program (tmux, screen) pass the environment on, but not the images.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_LARGEST = (640, 400)
"""Pixels: enough to see what it is, and quickly sent over a slow line."""
_COLORS = 255
_CHUNK = 4096
_BAND = 6
"""Rows of pixels in one row of sixels."""


class Inline(StrEnum):
    """How images are shown in the terminal."""

    AUTO = "auto"
    KITTY = "kitty"
    ITERM = "iterm2"
    SIXEL = "sixel"
    OFF = "off"


_PROGRAMS: Mapping[str, Inline] = {
    "iterm.app": Inline.ITERM,
    "wezterm": Inline.ITERM,
    "mintty": Inline.ITERM,
    "ghostty": Inline.KITTY,
}
_TERMS: Mapping[str, Inline] = {
    "kitty": Inline.KITTY,
    "ghostty": Inline.KITTY,
    "foot": Inline.SIXEL,
    "mlterm": Inline.SIXEL,
    "contour": Inline.SIXEL,
    "sixel": Inline.SIXEL,
}


def protocol_for(wanted: Inline, variables: Mapping[str, str], *, on_terminal: bool) -> Inline | None:
    """The way to show images on this terminal; None where there is none, or nobody looks."""
    if wanted is Inline.OFF or not on_terminal:
        return None
    if wanted is not Inline.AUTO:
        return wanted
    if variables.get("TMUX") or variables.get("STY"):
        return None
    if variables.get("KITTY_WINDOW_ID"):
        return Inline.KITTY
    program = variables.get("TERM_PROGRAM", "").lower()
    if variables.get("LC_TERMINAL", "").lower() == "iterm2":
        return Inline.ITERM
    term = variables.get("TERM", "").lower()
    return _PROGRAMS.get(program) or next((way for word, way in _TERMS.items() if word in term), None)


def show_inline(protocol: Inline, data: bytes) -> None:
    """Show an image; one that cannot be read here is not shown, which harms nothing: it is in its file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as opened:
            small = opened.convert("RGBA")
            small.thumbnail(_LARGEST)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return
    sys.stdout.flush()
    sys.stdout.write("".join(_ENCODERS[protocol](small)) + "\n")
    sys.stdout.flush()


def encode_kitty(image: Image.Image) -> Iterator[str]:
    """Kitty's protocol: a PNG in base64, in chunks."""
    text = _png(image)
    chunks = [text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK)]
    for place, chunk in enumerate(chunks):
        head = "a=T,f=100," if place == 0 else ""
        yield f"\x1b_G{head}m={int(place + 1 < len(chunks))};{chunk}\x1b\\"


def encode_iterm(image: Image.Image) -> Iterator[str]:
    """iTerm2's protocol: a PNG in base64, whole."""
    text = _png(image)
    yield f"\x1b]1337;File=inline=1;width={image.width}px;height={image.height}px;preserveAspectRatio=1:{text}\x07"


def encode_sixel(image: Image.Image) -> Iterator[str]:
    """Sixels: a palette, then bands of six rows, each color of a band as a line of its own."""
    from PIL import Image as Images

    flat = Images.new("RGB", image.size, "black")
    flat.paste(image, mask=image.getchannel("A"))
    indexed = flat.quantize(_COLORS)
    palette, width = indexed.getpalette() or [], indexed.width
    yield f'\x1bPq"1;1;{width};{indexed.height}'
    for number in range(len(palette) // 3):
        red, green, blue = (round(value * 100 / 255) for value in palette[number * 3 : number * 3 + 3])
        yield f"#{number};2;{red};{green};{blue}"
    pixels = indexed.tobytes()
    for top in range(0, indexed.height, _BAND):
        rows = [pixels[row * width : (row + 1) * width] for row in range(top, min(top + _BAND, indexed.height))]
        for color in sorted({*b"".join(rows)}):
            yield f"#{color}{_sixels(rows, color, width)}$"
        yield "-"
    yield "\x1b\\"


def _sixels(rows: list[bytes], color: int, width: int) -> str:
    """The pixels of one color in a band, a character for each column, repeated ones counted."""
    columns = [sum(1 << bit for bit, row in enumerate(rows) if row[place] == color) for place in range(width)]
    parts, place = [], 0
    while place < width:
        end = place
        while end < width and columns[end] == columns[place]:
            end += 1
        character, count = chr(63 + columns[place]), end - place
        parts.append(f"!{count}{character}" if count > 3 else character * count)  # noqa: PLR2004 - shorter from there
        place = end
    return "".join(parts)


def _png(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode()


_ENCODERS = {Inline.KITTY: encode_kitty, Inline.ITERM: encode_iterm, Inline.SIXEL: encode_sixel}
