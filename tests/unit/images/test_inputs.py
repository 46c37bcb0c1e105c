"""Images: headers, conversion, fitting, masks."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.images.convert import convert, open_image
from app.images.errors import TooManyPixelsError, UnreadableImageError
from app.images.formats.signatures import sniff
from app.images.headers import is_whole, read_header
from app.images.inputs import ImageLimits, blank_image, fit_image
from tests.support import profiles
from tests.support.images import encode, open_bytes, photo

MAX = 10_000_000
ALL = ["PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF"]


@pytest.mark.parametrize("format_", ALL)
def test_every_format_is_known_by_its_first_bytes(format_):
    assert sniff(encode(photo(20, 30), format_)) == format_.lower()


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("size", [(1, 1), (20, 30), (640, 480), (3000, 7)])
def test_headers_tell_the_size_pillow_tells(format_, size):
    header = read_header(encode(photo(*size), format_))
    assert (header.format, header.width, header.height) == (format_.lower(), *size)


@pytest.mark.parametrize("options", [{"lossless": True}, {"lossless": False}, {"exif": b"Exif\0\0"}], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_every_kind_of_webp_is_measured(options, mode):
    header = read_header(encode(photo(123, 45, mode), "WEBP", **options))
    assert (header.width, header.height) == (123, 45)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["little", "big"])
def test_orientation_is_read_and_applied(orientation, order):
    exif = Image.Exif()
    exif.endian = {"little": "<", "big": ">"}[order]
    exif[0x0112] = orientation
    data = encode(photo(40, 20), "JPEG", exif=exif, progressive=order == "big")
    header = read_header(data)
    assert header.orientation == orientation
    assert header.upright == ((20, 40) if orientation > 4 else (40, 20))
    fitted = fit_image(data, ImageLimits(MAX))
    assert (fitted.width, fitted.height) == header.upright
    if orientation == 1:
        assert open_bytes(fitted.data).tobytes() == open_bytes(data).tobytes()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]), st.integers(0, 300), st.binary(max_size=30))
def test_no_damaged_header_breaks_the_reader(format_, cut, noise):
    data = encode(photo(30, 30), format_)
    read_header(data[:cut] + noise)
    is_whole(data[:cut] + noise)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_cut_image_is_not_whole(format_):
    data = encode(photo(200, 200), format_)
    assert is_whole(data)
    assert not is_whole(data[: len(data) * 2 // 3])


@pytest.mark.parametrize("source", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16"])
@pytest.mark.parametrize("format_", ["png", "jpeg", "webp", "gif", "avif"])
def test_any_kind_of_image_becomes_any_format(source, format_):
    image = photo(64, 48, "L").convert("I;16") if source == "I;16" else photo(64, 48).convert(source)
    made = convert(encode(image, "TIFF"), format_, 60, MAX)
    opened = open_bytes(made.data)
    assert (opened.format.lower(), opened.size, made.width, made.height) == (format_, (64, 48), 64, 48)


@pytest.mark.parametrize("format_", ["png", "webp", "gif", "avif"])
def test_transparency_survives_conversion(format_):
    image = photo(64, 64, "RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 32, 64))
    alpha = open_bytes(convert(encode(image), format_, None, MAX).data).convert("RGBA").getchannel("A")
    assert (alpha.getpixel((5, 5)), alpha.getpixel((60, 60))) == (0, 255)


def test_jpeg_puts_transparency_on_white():
    image = Image.new("RGBA", (16, 16), (200, 0, 0, 0))
    assert min(open_bytes(convert(encode(image), "jpeg", 95, MAX).data).getpixel((8, 8))) > 250


def test_metadata_is_left_behind_and_the_color_profile_kept():
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    profile = profiles.srgb()
    made = convert(encode(photo(16, 16), "PNG", exif=exif, icc_profile=profile), "webp", 80, MAX).data
    assert b"secret place" not in made
    assert Image.open(io.BytesIO(made)).info["icc_profile"] == profile


@pytest.mark.parametrize(
    "data",
    [b"", b"text", encode(photo(99, 99))[:500], b"\x89PNG\r\n\x1a\n" + b"\0" * 50],
    ids=["empty", "text", "cut", "zeros"],
)
def test_what_does_not_decode_is_said_to_be_unreadable(data):
    with pytest.raises(UnreadableImageError):
        open_image(data, MAX)


def test_too_many_pixels_are_refused_before_decoding():
    with pytest.raises(TooManyPixelsError):
        open_image(encode(photo(100, 100)), 9_999)


@pytest.mark.parametrize(
    ("size", "limits", "becomes"),
    [
        ((400, 300), ImageLimits(MAX, 300, 2048), None),
        ((4000, 1000), ImageLimits(MAX, 300, 2048), (2048, 512)),
        ((100, 50), ImageLimits(MAX, 300, 2048), (600, 300)),
        ((4000, 100), ImageLimits(MAX, 300, 2048), (2048, 300)),
    ],
)  # fmt: skip
def test_an_image_is_scaled_into_the_limits_with_its_shape(size, limits, becomes):
    fitted = fit_image(encode(photo(*size)), limits)
    assert (fitted.original, (fitted.width, fitted.height)) == (size, becomes or size)


def test_an_image_of_too_many_bytes_becomes_smaller():
    noise = Image.effect_noise((600, 600), 90).convert("RGB")
    fitted = fit_image(encode(noise), ImageLimits(MAX, max_bytes=60_000))
    assert len(fitted.data) <= 60_000
    assert fitted.format == "jpeg"


def test_the_first_frame_stands_for_an_animation():
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    fitted = fit_image(buffer.getvalue(), ImageLimits(MAX))
    assert open_bytes(fitted.data).convert("RGB").getpixel((9, 9)) == (255, 0, 0)


def test_a_blank_image_is_white():
    assert open_bytes(blank_image(7, 5)).getcolors() == [(35, (255, 255, 255))]
