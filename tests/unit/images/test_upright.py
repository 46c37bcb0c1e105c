"""Orientation: one reader for every format, applied once, and never by a decoder of its own accord."""

import struct
import zlib

import pytest

from app.images.formats.exif import read_exif_orientation, read_xmp_orientation
from app.images.headers import read_header
from app.images.upright import open_upright
from tests.support.heic import with_transforms
from tests.support.images import encode
from tests.support.orientation import COLORS, corners, exif_block, laid, sample, with_exif, with_xmp, xmp_packet

MAX = 10_000_000
ORIENTATIONS = range(1, 9)


def is_upright(data: bytes) -> bool:
    """Whether the image is shown as it is meant, and its header tells the size that is shown."""
    image = open_upright(data, MAX)
    header = read_header(data)
    assert header.upright == image.size == sample().size
    return corners(image) == COLORS


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_exif_turns_an_image_of_every_format(format_, order, orientation):
    assert is_upright(with_exif(format_, orientation, order=order))


@pytest.mark.parametrize("orientation", [3, 6, 7])
@pytest.mark.parametrize("written", [{}, {"element": True}, {"packed": True}], ids=str)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_xmp_turns_an_image_that_has_no_exif(format_, written, orientation):
    assert is_upright(with_xmp(format_, orientation, **written))


def test_exif_wins_over_xmp():
    data = encode(laid(6), "JPEG", exif=exif_block(6), xmp=xmp_packet(3))
    assert is_upright(data)


@pytest.mark.parametrize("orientation", [3, 6])
def test_exif_of_an_avif_counts_where_its_own_rotation_is_missing(orientation):
    wanted = exif_block(orientation)[6:]
    harmless = wanted.replace(b"\x12\x01", b"\x12\x91")  # a tag the encoder does not understand
    data = encode(laid(orientation), "AVIF", exif=harmless, quality=95)
    assert data.count(harmless) == 1
    assert is_upright(data.replace(harmless, wanted))


def test_the_rotation_of_an_avif_wins_over_its_exif():
    turned = with_exif("AVIF", 6)
    assert b"irot" in turned
    stale = encode(laid(6), "AVIF", exif=exif_block(6), quality=95)
    assert is_upright(stale)


TRANSFORMS = {
    2: [(b"imir", 1)],
    3: [(b"irot", 2)],
    4: [(b"imir", 0)],
    5: [(b"irot", 1), (b"imir", 0)],
    6: [(b"irot", 3)],
    7: [(b"irot", 1), (b"imir", 1)],
    8: [(b"irot", 1)],
}


@pytest.mark.parametrize("orientation", TRANSFORMS)
@pytest.mark.parametrize("exif", [None, 1, "same"], ids=["alone", "stale EXIF", "EXIF that says it too"])
def test_a_heic_is_turned_once_by_its_own_rotation(orientation, exif):
    """Phones write both, and their decoder turns by one of them."""
    with_exif("HEIF", 1)  # registers the encoder
    block = {None: {}, 1: {"exif": exif_block(1)}, "same": {"exif": exif_block(orientation)}}[exif]
    stored = encode(laid(orientation, 192, 128), "HEIF", quality=95, **block)
    written = b"irot" in stored or b"imir" in stored  # the encoder does it where EXIF tells it to
    data = stored if written else with_transforms(stored, *TRANSFORMS[orientation])
    image = open_upright(data, MAX)
    assert read_header(data).upright == image.size == (192, 128)
    assert corners(image) == COLORS


def test_exif_behind_the_pixels_of_a_png_counts():
    data = encode(laid(6))
    body = b"eXIf" + exif_block(6).removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    assert is_upright(data[:-12] + chunk + data[-12:])


@pytest.mark.parametrize("kind", [1, 3, 4], ids=["byte", "short", "long"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_the_tag_is_read_in_every_type_that_cameras_write(kind, order):
    assert read_exif_orientation(exif_block(6, order=order, kind=kind)) == 6


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II",
        b"II*\0\x08\0\0\0",
        exif_block(0),
        exif_block(9),
        exif_block(6)[:12],
        b"II*\0" + b"\xff" * 4,
        b"Exif\0\0",
    ],
    ids=["empty", "head", "no tags", "zero", "nine", "cut", "far away", "prefix"],
)
def test_exif_that_says_nothing_sensible_says_nothing(block):
    assert read_exif_orientation(block) is None


@pytest.mark.parametrize(
    "text", [b"", b'tiff:Orientation="9"', b'tiff:Orientation=""', b"tiff:Orientation", b'tiff:Orientation="66"']
)
def test_xmp_that_says_nothing_sensible_says_nothing(text):
    assert read_xmp_orientation(text) is None


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_odd_tags_beside_the_orientation_trip_nobody(format_):
    """A rational of four bytes, a text of the wrong type, a tag that points nowhere: cameras write them all."""
    odd = {0x011A: (5, 1, b"\xff\xff\xff\xff"), 0x010F: (2, 900, b"\x00\x00\xff\x00"), 0x0131: (13, 3, b"abcd")}
    tags = sorted({0x0112: (3, 1, struct.pack("<HH", 6, 0)), **odd}.items())
    entries = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, (kind, count, value) in tags)
    block = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"
    if format_ == "TIFF":
        data = add_tags(encode(laid(6), "TIFF"), tags)
    elif format_ == "AVIF":
        plain = encode(laid(6), "AVIF", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0" + b"\0" * (len(block) - 16), quality=95)
        data = plain.replace(b"II*\0\x08\0\0\0\0\0" + b"\0" * (len(block) - 16), block[6:])
    else:
        with_exif("HEIF", 1)  # registers the encoder
        data = encode(laid(6), format_, exif=block, quality=95)
    assert is_upright(data)


def add_tags(data: bytes, tags: list) -> bytes:
    """A TIFF of Pillow's with more tags on its only page, which moves behind the pixels."""
    (page,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, page)
    entries = [data[page + 2 + 12 * index :][:12] for index in range(count)]
    entries += [struct.pack("<HHI", tag, kind, number) + value for tag, (kind, number, value) in tags]
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    moved = len(data) + len(data) % 2
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + b"\0\0\0\0"
    return data[:4] + struct.pack("<I", moved) + data[8:].ljust(moved - 8, b"\0") + directory
