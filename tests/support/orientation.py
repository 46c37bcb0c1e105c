"""Images that lie on their side, in every format and by every way of saying so."""

import io

import pillow_heif
from PIL import Image, PngImagePlugin

COLORS = ((220, 30, 30), (30, 180, 30), (40, 40, 220), (230, 220, 40))
"""Top left, top right, bottom left, bottom right of an upright sample."""
_HOW_TO_LAY = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What makes of an upright image the stored one that an orientation turns back."""


def sample(width: int = 96, height: int = 64) -> Image.Image:
    """An upright image with a color in each quarter."""
    image = Image.new("RGB", (width, height))
    for index, color in enumerate(COLORS):
        left, top = (index % 2) * width // 2, (index // 2) * height // 2
        image.paste(color, (left, top, left + width // 2, top + height // 2))
    return image


def laid(orientation: int, width: int = 96, height: int = 64) -> Image.Image:
    """The sample as it is stored when `orientation` shall turn it upright."""
    method = _HOW_TO_LAY[orientation]
    return sample(width, height) if method is None else sample(width, height).transpose(method)


def exif_block(orientation: int, *, order: str = "<", kind: int = 3) -> bytes:
    """EXIF with nothing but an orientation, in either byte order, as a short, a byte or a long."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x0112] = orientation
    block = bytearray(exif.tobytes())
    if kind != 3:
        at = block.index((0x0112).to_bytes(2, "little" if order == "<" else "big"))
        size = {1: 1, 4: 4}[kind]
        block[at + 2 : at + 4] = kind.to_bytes(2, "little" if order == "<" else "big")
        block[at + 8 : at + 12] = orientation.to_bytes(size, "little" if order == "<" else "big").ljust(4, b"\0")
    return bytes(block)


def xmp_packet(orientation: int, *, element: bool = False) -> bytes:
    """XMP with nothing but an orientation."""
    inner = f"<tiff:Orientation>{orientation}</tiff:Orientation>" if element else ""
    attribute = "" if element else f' tiff:Orientation="{orientation}"'
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{attribute}>{inner}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def with_exif(format_: str, orientation: int, *, order: str = "<") -> bytes:
    """The sample in a format whose files say by EXIF (AVIF: by its own rotation) how to turn it."""
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif.endian = order
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    laid(orientation).save(buffer, format_, exif=exif, quality=95)
    return buffer.getvalue()


def with_xmp(format_: str, orientation: int, *, element: bool = False, packed: bool = False) -> bytes:
    """The sample in a format whose files say by XMP how to turn it."""
    buffer = io.BytesIO()
    packet = xmp_packet(orientation, element=element)
    if format_ == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", packet.decode(), zip=packed)
        laid(orientation).save(buffer, format_, pnginfo=texts)
    else:
        laid(orientation).save(buffer, format_, xmp=packet, quality=95)
    return buffer.getvalue()


def corners(image: Image.Image) -> tuple[tuple[int, int, int], ...]:
    """The colors in the four quarters, each the nearest of the sample's."""
    rgb = image.convert("RGB")
    places = [(x, y) for y in (0.25, 0.75) for x in (0.25, 0.75)]
    seen = [rgb.getpixel((int(rgb.width * x), int(rgb.height * y))) for x, y in places]
    return tuple(
        min(COLORS, key=lambda color: sum(abs(a - b) for a, b in zip(color, one, strict=True))) for one in seen
    )
