"""What leaves the house of an image: all that decoding needs, nothing else, and not a pixel changed."""

import io
import struct
import zlib

import pytest
from PIL import Image

from app.images.structure import clean_image
from tests.support.containers import (
    jpeg_segment,
    jpeg_with,
    pixels,
    png_chunk,
    png_names,
    png_with,
    sides,
    srgb,
    webp_chunk,
    webp_names,
    webp_with,
)
from tests.support.images import encode, photo
from tests.support.orientation import exif_block, xmp_packet

SECRET = b"taken at 52.5163, 13.3777 by Jane"
BOMB = zlib.compress(b"\0" * 3_000_000)
PREVIEW = encode(photo(16, 16), "JPEG")


def cleaned(data: bytes, plain: bytes | None = None) -> bytes:
    """The image as it leaves: sound, with the pixels of `plain` or its own, and left alone when it comes again."""
    clean = clean_image(data)
    assert clean.is_sound
    assert pixels(bytes(clean.data)) == pixels(data if plain is None else plain)
    again = clean_image(clean.data)
    assert again.is_sound
    assert again.data is clean.data
    return bytes(clean.data)


@pytest.mark.parametrize(
    "extra",
    [
        {"segments": [jpeg_segment(0xE1, exif_block(1) + SECRET)]},
        {"segments": [b"\xff" * 300 + jpeg_segment(0xE1, exif_block(1) + SECRET)]},
        {"segments": [jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp_packet(1) + SECRET)]},
        {"segments": [jpeg_segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + SECRET * 900)]},
        {"segments": [jpeg_segment(0xE2, b"MPF\0" + SECRET)]},
        {"segments": [jpeg_segment(0xE0, b"JFXX\0\x10" + SECRET)]},
        {"segments": [jpeg_segment(0xEB, b"JP\0\x01jumbc2pa" + SECRET)]},
        {"segments": [jpeg_segment(0xED, b"Photoshop 3.0\0" + SECRET)]},
        {"segments": [jpeg_segment(0xFE, SECRET)] * 3},
        {"segments": [jpeg_segment(0xE2, b"ICC_PROFILE\0\1\1" + SECRET * 9)]},
        {"segments": [jpeg_segment(0xEE, b"Adobe\0d\0\0\0\0\1" + SECRET)]},
        *({"segments": [jpeg_segment(marker, SECRET)]} for marker in (*range(0xE3, 0xEB), 0xEC, 0xEF, 0xF5)),
        {"after": PREVIEW + SECRET},
        {"after": b"\0\0\0\x18ftypmp42" + SECRET * 50},
        {"after": SECRET},
    ],
    ids=[
        "EXIF", "EXIF behind fill bytes", "XMP", "extended XMP", "list of images", "preview", "C2PA", "Photoshop", "comments",
        "no profile", "long Adobe", *(f"APP{index}" for index in (*range(3, 11), 12, 15)), "JPG5",
        "second JPEG", "motion photo", "text behind",
    ],
)  # fmt: skip
def test_a_jpeg_keeps_frame_tables_and_scans(extra):
    data = jpeg_with(*extra.get("segments", []), after=extra.get("after", b""))
    kept = cleaned(data, encode(photo(60, 40), "JPEG"))
    assert SECRET[:20] not in kept
    assert kept.endswith(b"\xff\xd9")


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"optimize": True}], ids=str
)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_jpeg_is_followed_to_its_end(mode, options):
    data = encode(photo(200, 120).convert(mode), "JPEG", **options)
    clean = clean_image(data)
    assert (clean.is_sound, clean.data is data) == (True, True)
    assert bytes(clean_image(data + SECRET).data) == data


def test_the_preview_in_a_jpegs_first_segment_goes_and_the_segment_stays():
    data = encode(photo(60, 40), "JPEG")
    head = data[6:18] + b"\x02\x01" + SECRET[:6]
    kept = cleaned(data[:2] + jpeg_segment(0xE0, head) + data[20:])
    assert SECRET[:6] not in kept
    assert kept[:20] == b"\xff\xd8\xff\xe0\x00\x10" + data[6:18] + b"\0\0"


def test_a_color_profile_stays_in_every_format():
    for format_ in ("JPEG", "PNG", "WEBP"):
        data = encode(photo(60, 40), format_, icc_profile=srgb(), exif=exif_block(1))
        assert Image.open(io.BytesIO(cleaned(data))).info["icc_profile"] == srgb()


@pytest.mark.parametrize("format_", ["JPEG", "PNG"])
def test_a_profile_for_another_kind_of_image_goes(format_):
    data = encode(photo(60, 40, "L"), format_, icc_profile=srgb())
    assert "icc_profile" not in Image.open(io.BytesIO(cleaned(data))).info


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"tEXt", b"Comment\0" + SECRET),
        png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(SECRET)),
        png_chunk(b"zTXt", b"Comment\0\0" + BOMB),
        png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + BOMB),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + SECRET),
        png_chunk(b"iCCP", b"huge\0\0" + BOMB),
        png_chunk(b"iCCP", b"odd\0\0" + zlib.compress(SECRET * 9)),
        png_chunk(b"iCCP", b"\0"),
        png_chunk(b"eXIf", exif_block(1)[6:] + SECRET),
        png_chunk(b"tIME", b"\x07\xea\1\1\1\1\1"),
        png_chunk(b"caBX", SECRET),
        png_chunk(b"prVW", SECRET),
        png_chunk(b"acTL", struct.pack(">II", 1, 0)),
        png_chunk(b"pHYs", b"\0"),
        png_chunk(b"gAMA", b"\0"),
        png_chunk(b"cHRM", b"\0" * 31),
        png_chunk(b"sRGB", b""),
        png_chunk(b"tRNS", b""),
        png_chunk(b"gAMA", struct.pack(">I", 45455), checksum=7),
        png_chunk(b"iCCP", b"srgb\0\0" + zlib.compress(srgb()), checksum=7),
        png_chunk(b"tEXt", b"Comment\0" + SECRET, checksum=7),
        png_chunk(b"hIST", b"\0" * 5),
        png_chunk(b"bKGD", b""),
        png_chunk(b"sPLT", b"x"),
    ],
    ids=lambda chunk: chunk[4:8].decode(),
)  # fmt: skip
def test_a_png_keeps_pixels_and_the_meaning_of_colors(chunk):
    plain = encode(photo(60, 40))
    clean = clean_image(png_with(chunk))
    assert (clean.is_sound, bytes(clean.data)) == (True, plain)


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"gAMA", struct.pack(">I", 45455)),
        png_chunk(b"sRGB", b"\0"),
        png_chunk(b"cICP", b"\x09\x10\0\1"),
        png_chunk(b"tRNS", b"\0\1\0\2\0\3"),
        png_chunk(b"iCCP", b"srgb\0\0" + zlib.compress(srgb())),
    ],
    ids=lambda chunk: chunk[4:8].decode(),
)
def test_what_colors_mean_stays_in_a_png(chunk):
    data = png_with(chunk)
    clean = clean_image(data)
    assert (clean.is_sound, clean.data is data) == (True, True)
    twice = clean_image(png_with(chunk, chunk))
    assert (twice.is_sound, bytes(twice.data)) == (True, data)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_passes_as_it_is(mode):
    image = photo(60, 40, "L").convert("I;16") if mode == "I;16" else photo(60, 40, mode)
    data = encode(image)
    assert clean_image(data).is_sound
    assert clean_image(data).data is data
    assert bytes(clean_image(data + SECRET).data) == data


def test_an_animated_png_leaves_as_its_first_image():
    buffer = io.BytesIO()
    photo(60, 40).save(buffer, "PNG", save_all=True, append_images=[Image.new("RGB", (60, 40), "red")])
    assert png_names(cleaned(buffer.getvalue())) == ["IHDR", "IDAT", "IEND"]


@pytest.mark.parametrize("image", [{"quality": 80}, {"lossless": True}], ids=str)
@pytest.mark.parametrize(
    ("extra", "after"),
    [
        ([webp_chunk(b"EXIF", exif_block(1) + SECRET)], b""),
        ([webp_chunk(b"XMP ", xmp_packet(1) + SECRET)], b""),
        ([webp_chunk(b"C2PA", SECRET), webp_chunk(b"abcd", b"odd")], b""),
        ([], SECRET),
        ([], b"\0" * 7),
        ([webp_chunk(b"EXIF", exif_block(1))], b"\0\0\0\x18ftypmp42" + SECRET),
    ],
    ids=["EXIF", "XMP", "unknown", "text behind", "zeros behind", "film behind"],
)
def test_a_webp_keeps_its_pixels_and_ends_where_it_says(image, extra, after):
    kept = cleaned(webp_with(*extra, after=after, image=encode(photo(60, 40), "WEBP", **image), flags=0x0C))
    assert SECRET[:20] not in kept
    assert len(webp_names(kept)) == 2
    assert kept[20] & 0x0C == 0


@pytest.mark.parametrize("lossless", [True, False])
def test_alpha_stays_in_a_webp(lossless):
    image = photo(60, 40, "RGBA")
    image.putalpha(Image.linear_gradient("L").resize((60, 40)))
    data = encode(image, "WEBP", lossless=lossless, exif=exif_block(1) + SECRET)
    assert SECRET not in cleaned(data)


def test_a_webp_without_its_last_even_byte_gets_it():
    coded = encode(photo(60, 40), "WEBP", quality=80)[20:]
    size = len(coded) - 1
    chunk = b"VP8 " + struct.pack("<I", size) + coded[:size]
    body = webp_chunk(b"VP8X", b"\0" * 4 + sides(60, 40)) + chunk
    whole = b"RIFF" + struct.pack("<I", len(body) + 5) + b"WEBP" + body + b"\0"
    assert size % 2
    assert bytes(clean_image(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body).data) == cleaned(whole)


def damaged_png(name: bytes, change) -> bytes:
    data = encode(photo(60, 40))
    at = data.index(name)
    return change(data, at)


@pytest.mark.parametrize(
    "data",
    [
        encode(photo(60, 40))[:-13],
        encode(photo(60, 40))[:-4],
        damaged_png(b"IDAT", lambda data, at: data[: at + 20] + b"\xff" + data[at + 21 :]),
        damaged_png(b"IHDR", lambda data, at: data[: at + 4] + b"\0\0\0\0" + data[at + 8 :]),
        damaged_png(b"IDAT", lambda data, at: data[: at - 4] + data[-12:]),
        png_with(png_chunk(b"ABCD", b"critical")),
        png_with(png_chunk(b"IHDR", encode(photo(60, 40))[16:29])),
        encode(photo(60, 40, "P")).replace(b"PLTE", b"plte"),
        encode(photo(60, 40), "JPEG")[:-2],
        encode(photo(60, 40), "JPEG")[:300],
        encode(photo(60, 40), "JPEG").replace(b"\xff\xda", b"\xff\x05", 1),
        jpeg_with(b"junk"),
        encode(photo(60, 40), "JPEG").replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"),
        encode(photo(60, 40), "JPEG").replace(b"\xff\xc0", b"\xff\xc9"),
        encode(photo(60, 40), "WEBP")[:-30],
        encode(photo(60, 40), "WEBP").replace(b"\x9d\x01\x2a", b"\x9d\x01\x2b"),
        webp_with().replace(sides(60, 40), sides(61, 40)),
    ],
    ids=[
        "PNG without end", "PNG cut in its end", "PNG checksum", "PNG header", "PNG without pixels", "PNG unknown critical",
        "PNG two headers", "PNG without palette", "JPEG without end", "JPEG cut", "JPEG without scan", "JPEG junk", "JPEG 12 bits",
        "JPEG arithmetic", "WebP cut", "WebP no key frame", "WebP canvas",
    ],
)  # fmt: skip
def test_what_is_not_as_the_format_demands_is_left_to_a_decoder(data):
    assert not clean_image(data).is_sound


@pytest.mark.parametrize("format_", ["GIF", "BMP", "TIFF", "AVIF"])
def test_formats_that_never_pass_are_never_called_sound(format_):
    assert not clean_image(encode(photo(60, 40), format_)).is_sound
