"""Headers: what every format says of itself, in bounded steps, and never a size that cannot be one."""

import struct
import time
import zlib
from functools import partial
from itertools import pairwise

import pytest
from PIL import Image

from app.images.formats.limits import GLANCE, THOROUGH
from app.images.headers import read_header
from app.images.structure import clean_image
from tests.support.containers import jpeg_segment, jpeg_with, png_chunk, png_with, sides, webp_chunk, webp_with
from tests.support.corpus import cases
from tests.support.images import encode, photo

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("format_", "mode", "options", "told"),
    [
        ("PNG", "RGB", {}, ("rgb", 8, False)),
        ("PNG", "LA", {}, ("gray", 8, True)),
        ("PNG", "P", {}, ("palette", 8, False)),
        ("PNG", "P", {"transparency": 1}, ("palette", 8, True)),
        ("PNG", "1", {}, ("gray", 1, False)),
        ("JPEG", "L", {}, ("gray", 8, False)),
        ("JPEG", "RGB", {"progressive": True}, ("rgb", 8, False)),
        ("JPEG", "CMYK", {}, ("cmyk", 8, False)),
        ("WEBP", "RGB", {}, ("rgb", 8, False)),
        ("WEBP", "RGBA", {"lossless": True}, ("rgb", 8, True)),
        ("WEBP", "RGBA", {}, ("rgb", 8, True)),
        ("TIFF", "CMYK", {}, ("cmyk", 8, False)),
        ("TIFF", "LAB", {}, ("lab", 8, False)),
        ("TIFF", "RGBA", {}, ("rgb", 8, True)),
    ],
    ids=str,
)
def test_color_depth_and_alpha_are_told(format_, mode, options, told):
    image = photo(60, 40).convert("RGBA") if mode == "RGBA" else photo(60, 40).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    header = read_header(encode(image, format_, **options))
    assert (header.color, header.depth, header.alpha) == told


@pytest.mark.parametrize("size", [(1, 1), (61, 37), (640, 480)])
@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_the_size_of_every_format_is_told_without_a_decoder(format_, size):
    header = read_header(encode(photo(*size), format_))
    assert (header.width, header.height) == size


def test_a_bitmap_stored_from_the_top_has_the_size_it_has():
    data = bytearray(encode(photo(60, 40), "BMP"))
    struct.pack_into("<i", data, 22, -40)
    assert read_header(bytes(data)).upright == (60, 40)


def test_a_frame_beyond_the_canvas_of_a_gif_counts():
    data = bytearray(encode(photo(60, 40), "GIF", comment=b"behind a comment"))
    struct.pack_into("<HH", data, 6, 1, 1)
    assert read_header(bytes(data)).upright == (60, 40)


@pytest.mark.parametrize("frames", [1, 2])
def test_an_animated_webp_is_told(frames):
    more = [Image.new("RGB", (60, 40), "red")] * (frames - 1)
    data = encode(photo(60, 40), "WEBP", save_all=True, append_images=more)
    assert read_header(data).animated is (frames > 1)


@pytest.mark.parametrize(
    "data",
    [
        png_with().replace(struct.pack(">II", 60, 40), struct.pack(">II", 60, 0)),
        encode(photo(60, 40), "JPEG").replace(struct.pack(">HH", 40, 60), struct.pack(">HH", 0, 60)),
        encode(photo(60, 40), "AVIF").replace(struct.pack(">II", 60, 40), struct.pack(">II", 60, 0)),
    ],
    ids=["PNG", "JPEG", "AVIF"],
)  # fmt: skip
def test_an_image_without_area_is_none(data):
    assert read_header(data) is None


def test_no_header_has_one_side_only():
    for case in cases(1000, seed=9):
        header = read_header(case.data)
        assert header is None or (header.width > 0) == (header.height > 0), case.name


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff" * 30 * MIB,
        b"\xff\xd8" + b"\xff\xe1\0\2" * (30 * MIB // 4),
        b"\xff\xd8\xff\xff" + b"\x05" * 30 * MIB,
        b"\xff\xd8\xff\xda\0\2" + b"\xff\0" * 15 * MIB,
        png_with(png_chunk(b"abCd", b"") * (30 * MIB // 12)),
        webp_with(webp_chunk(b"abcd", b"") * (30 * MIB // 8)),
        b"GIF89a\1\0\1\0\0\0\0!\xfe" + b"\1\0" * 15 * MIB,
        b"\0\0\0\x18ftypavif\0\0\0\0avifmif1" + b"\0\0\0\x08free" * (30 * MIB // 8),
        b"\0\0\0\x18ftypavif\0\0\0\0avifmif1" + struct.pack(">I4s", 30 * MIB, b"meta") + b"\0" * 30 * MIB,
        png_with(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"tiff:Orientation" * 65_000)) * 500),
        png_with(png_chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * MIB)) * 2000),
        png_with(png_chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff" + b"\1\1\3\0\1\0\0\0\1\0\0\0" * 600) * 4000),
        jpeg_with(jpeg_segment(0xE2, b"ICC_PROFILE\0" + b"\0" * 200) * 8000),
        jpeg_with(jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"tiff:Orientation" * 4000) * 400),
        b"II*\0\x08\0\0\0\xff\xff" + b"\0\1\3\0\1\0\0\0\1\0\0\0" * (30 * MIB // 12),
    ],
    ids=["fill bytes", "segments", "junk", "scan", "PNG", "WebP", "GIF", "boxes", "meta", "XMP bombs",
        "profile bombs", "EXIF", "profile parts", "XMP", "TIFF"],
)  # fmt: skip
def test_looks_are_bounded_whatever_the_bytes_say(data):
    """On the loop, in a thread, and for the structure: some of these took four to seven seconds on the loop."""
    took = [time.process_time()]
    for look in (partial(read_header, limits=GLANCE), read_header, clean_image):
        look(data)
        took.append(time.process_time())
    glance, quick, structure = (after - before for before, after in pairwise(took))
    assert glance < 0.05
    assert quick < 0.3
    assert structure < 0.7


@pytest.mark.parametrize("far", [b"\xff" * 2 * MIB, b"\xff\xe1\0\2" * 20_000], ids=["fill bytes", "segments"])
def test_what_lies_too_deep_for_a_quick_look_is_found_by_a_worker(far):
    data = encode(photo(60, 40), "JPEG")
    deep = data[:2] + far + data[2:]
    quick = read_header(deep)
    assert (quick.format, quick.width, quick.height) == ("jpeg", 0, 0)
    assert read_header(deep, THOROUGH).upright == (60, 40)
    assert bytes(clean_image(deep, THOROUGH).data) == data


def test_the_canvas_of_a_webp_is_told():
    assert read_header(webp_with().replace(sides(60, 40), sides(61, 40))).upright == (61, 40)
