"""Tones and color profiles: measured on the pixels that come out."""

import io
import struct

import pytest
from PIL import Image, ImageCms

from app.images.color import match_profile, to_plain, to_srgb
from app.images.compose import compose_image
from app.images.convert import convert, encode_image, open_image
from app.images.inputs import ImageLimits, fit_image
from app.images.masks import convert_mask
from app.images.types import CompositeBase
from app.images.upright import open_upright
from tests.support import profiles
from tests.support.images import encode, open_bytes, photo

MAX = 1_000_000
RAMP = list(range(256))


def ramp(mode: str, values: list[float]) -> Image.Image:
    image = Image.new(mode, (len(values), 1))
    for x, value in enumerate(values):
        image.putpixel((x, 0), value)
    return image


def tones(image: Image.Image) -> list[int]:
    gray = image.convert("L")
    return [gray.getpixel((x, 0)) for x in range(gray.width)]


def worst(image: Image.Image, expected: list[int]) -> int:
    return max(abs(one - other) for one, other in zip(tones(image), expected, strict=True))


def space(data: bytes) -> tuple[str, str | None]:
    """The mode of an image, and the color space its profile is for."""
    image = open_bytes(data)
    profile = image.info.get("icc_profile")
    return image.mode, profile[16:20].decode().strip() if profile else None


def tiff(samples: bytes, width: int, bits: int, sample_format: int = 1) -> bytes:
    """A gray TIFF of one row."""
    values = {
        256: width,
        257: 1,
        258: bits,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: 1,
        279: len(samples),
        339: sample_format,
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    return (
        b"II*\0" + struct.pack("<I", 8 + len(samples)) + samples + struct.pack("<H", len(values)) + entries + bytes(4)
    )


DEEP = {
    "16 bits, PNG": (encode(ramp("I;16", [x * 257 for x in RAMP])), RAMP),
    "16 bits, TIFF": (encode(ramp("I;16", [x * 257 for x in RAMP]), "TIFF"), RAMP),
    "16 bits, all of them dark": (encode(ramp("I;16", [0, 257, 514])), [0, 1, 2]),
    "32 bits": (encode(ramp("I", [x * 257 for x in RAMP]), "TIFF"), RAMP),
    "floats up to 1": (encode(ramp("F", [x / 255 for x in RAMP]), "TIFF"), RAMP),
    "floats up to 255": (encode(ramp("F", [float(x) for x in RAMP]), "TIFF"), RAMP),
    "floats beyond white": (encode(ramp("F", [x / 255 * 100_000 for x in RAMP]), "TIFF"), RAMP),
    "floats below black": (encode(ramp("F", [x / 255 - 0.5 for x in RAMP]), "TIFF"), RAMP),
    "12 bits": (tiff(bytes([0x00, 0x08, 0x00, 0xFF, 0xF0, 0x00]), 4, 12), [0, 128, 255, 0]),
    "signed 16 bits": (tiff(struct.pack("<3h", -32768, 0, 32767), 3, 16, 2), [0, 128, 255]),
}


@pytest.mark.parametrize(("data", "expected"), DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("format_", ["png", "webp", "jpeg", "avif", "gif"])
def test_deep_samples_come_out_with_the_tones_they_had(data, expected, format_):
    image = open_upright(data, MAX)
    made = open_bytes(encode_image(image, format_, 100).data)
    assert worst(made, expected) <= (1 if format_ == "png" else 12)  # the others lose in other ways


@pytest.mark.parametrize(("data", "expected"), DEEP.values(), ids=DEEP)
def test_deep_samples_are_fitted_with_the_tones_they_had(data, expected):
    fitted = fit_image(data, ImageLimits(MAX, min_side=len(expected)))
    if fitted.data is None:  # a PNG that needs nothing goes as it is
        return
    big = open_bytes(fitted.data).convert("L")
    step = big.width / len(expected)
    if len(expected) < 10:
        assert all(abs(big.getpixel((int(step * (x + 0.5)), 0)) - tone) < 40 for x, tone in enumerate(expected))
    assert big.getextrema()[1] - big.getextrema()[0] >= max(expected) - min(expected) - 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")], ids=str)
def test_what_is_no_number_breaks_nothing(value):
    data = encode(ramp("F", [0.0, value, 1.0]), "TIFF")
    assert tones(open_upright(data, MAX))[2] == 255


def test_a_deep_gray_that_stands_for_transparent_stays_transparent():
    data = encode(ramp("I;16", [0, 1000, 65535]), transparency=1000)
    image = open_upright(data, MAX)
    assert [image.convert("LA").getpixel((x, 0))[1] for x in range(3)] == [255, 0, 255]


def test_lab_comes_out_in_its_colors():
    color = (200, 40, 60)
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    data = encode(ImageCms.profileToProfile(Image.new("RGB", (8, 8), color), rgb, lab, outputMode="LAB"), "TIFF")
    made = open_bytes(convert(data, "png", None, MAX).data)
    assert all(abs(one - other) <= 2 for one, other in zip(made.getpixel((4, 4)), color, strict=True))


@pytest.mark.parametrize("format_", ["TIFF", "JPEG"])
def test_cmyk_is_computed_through_its_own_profile(format_):
    inks = Image.new("CMYK", (16, 16), (255, 255, 255, 0))  # this press prints black ink only: white
    made = convert(encode(inks, format_, icc_profile=profiles.cmyk()), "png", None, MAX).data
    assert min(open_bytes(made).getpixel((8, 8))) > 245
    assert space(made) == ("RGB", None)


def test_cmyk_without_a_profile_is_computed_all_the_same():
    made = convert(encode(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "TIFF"), "png", None, MAX).data
    red, green, blue = open_bytes(made).getpixel((8, 8))
    assert red < 60
    assert min(green, blue) > 150


PROFILES = {
    "GRAY": profiles.gray(1.0),
    "RGB": profiles.wide_rgb(),
    "CMYK": profiles.cmyk(),
    "broken": b"no profile" * 20,
}
FITS = {("L", "GRAY"), ("LA", "GRAY"), ("RGB", "RGB"), ("RGBA", "RGB")}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("format_", ["png", "jpeg", "webp", "avif", "gif"])
def test_no_image_ever_carries_a_profile_of_another_mode(mode, profile, format_):
    data = encode(photo(32, 32, mode), icc_profile=PROFILES[profile])
    made = convert(data, format_, 90, MAX).data
    assert space(made) in {*FITS, *((mode, None) for mode in ("L", "LA", "P", "RGB", "RGBA"))}
    if mode in {"RGB", "RGBA"} and profile == "RGB" and format_ != "gif":
        assert open_bytes(made).info["icc_profile"] == PROFILES["RGB"]


@pytest.mark.parametrize("format_", ["webp", "avif", "gif"])
def test_gray_with_a_profile_has_its_tones_in_formats_that_only_know_rgb(format_):
    data = encode(Image.new("L", (32, 32), 55), icc_profile=profiles.gray(1.0))  # linear light: 0.216 is 128 in sRGB
    made = open_bytes(convert(data, format_, 100, MAX).data)
    assert abs(made.convert("L").getpixel((16, 16)) - 128) <= 4


def test_gray_with_a_profile_keeps_both_where_the_format_can():
    data = encode(Image.new("L", (32, 32), 55), icc_profile=profiles.gray(1.0))
    for format_ in ("png", "jpeg"):
        made = convert(data, format_, 100, MAX).data
        assert space(made) == ("L", "GRAY")
        assert abs(open_bytes(made).getpixel((16, 16)) - 55) <= 1


def test_a_format_without_profiles_gets_the_colors_computed():
    data = encode(Image.new("RGB", (32, 32), (250, 10, 10)), icc_profile=profiles.wide_rgb())
    red, green, _ = open_bytes(convert(data, "gif", None, MAX).data).convert("RGB").getpixel((16, 16))
    assert red < 60
    assert green > 200


def test_transparency_survives_the_computing():
    image = photo(32, 32, "RGBA")
    image.putalpha(ramp("L", [0] * 16 + [255] * 16).resize((32, 32)))
    image.info["icc_profile"] = profiles.wide_rgb()
    assert to_srgb(image).getchannel("A").tobytes() == image.getchannel("A").tobytes()


def test_a_result_is_pasted_in_the_colors_of_the_callers_own_image():
    own = encode(photo(32, 32), icc_profile=profiles.wide_rgb())
    mask = encode(ramp("L", [0] * 16 + [255] * 16).resize((32, 32), Image.Resampling.NEAREST))
    result = encode(Image.new("RGB", (32, 32), (250, 10, 10)))  # red in sRGB is green in the caller's words
    made = compose_image(result, (32, 32), "exact", "white", CompositeBase(own, mask), "png", None, MAX).data
    image = open_bytes(made)
    assert image.info["icc_profile"] == profiles.wide_rgb()
    assert image.crop((0, 0, 16, 32)).tobytes() == open_bytes(own).crop((0, 0, 16, 32)).tobytes()
    red, green, _ = image.getpixel((28, 16))
    assert red < 60
    assert green > 200


@pytest.mark.parametrize("fit", ["cover", "contain", "exact"])
def test_fitting_keeps_the_profile(fit):
    data = encode(photo(64, 32), icc_profile=profiles.wide_rgb())
    assert space(compose_image(data, (40, 40), fit, "white", None, "png", None, MAX).data) == ("RGB", "RGB")


def test_an_overlay_is_drawn_in_the_colors_of_the_image():
    overlay = encode(Image.new("RGBA", (400, 400), (250, 10, 10, 255)))
    data = encode(photo(400, 400), icc_profile=profiles.wide_rgb())
    made = fit_image(data, ImageLimits(MAX), overlay).data
    assert space(made) == ("RGB", "RGB")
    assert open_bytes(made).getpixel((200, 200))[1] > 200


def test_a_sixteen_bit_mask_is_read_with_its_tones():
    mask = encode(ramp("I;16", [0] * 8 + [65535] * 8).resize((16, 16), Image.Resampling.NEAREST))
    area = open_bytes(convert_mask(mask, (16, 16), MAX).data)
    assert (area.getpixel((2, 8)), area.getpixel((14, 8))) == (0, 255)


def test_an_image_without_a_profile_is_taken_for_srgb():
    image = photo(8, 8)
    assert match_profile(image, photo(8, 8)).tobytes() == image.tobytes()
    assert to_plain(image) is image


def test_sixteen_bits_of_rgb_keep_their_tones():
    rows = b"".join(b"\0" + b"".join(struct.pack(">3H", x * 257, x * 257, x * 257) for x in RAMP) for _ in range(2))
    import zlib

    from tests.support.hostile_images import png_chunk

    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 256, 2, 16, 2, 0, 0, 0))
    data += png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    assert worst(open_image(data, MAX), RAMP) <= 1
    assert Image.open(io.BytesIO(data)).size == (256, 2)
