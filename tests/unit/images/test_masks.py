"""Masks: read as they are meant, whatever lossy formats and canvases made of them."""

import pytest
from PIL import Image, ImageChops

from app.images.compose import compose_image
from app.images.errors import MaskShapeError, MaskTooSmallError, MaskWithoutAreaError
from app.images.masks import convert_mask
from app.images.types import CompositeBase
from tests.support.images import encode, open_bytes, photo

MAX = 10_000_000


def masked(alpha: int) -> bytes:
    mask = Image.new("RGBA", (40, 40), (9, 9, 9, 255))
    mask.paste((77, 0, 0, alpha), (0, 0, 20, 40))
    return encode(mask)


@pytest.mark.parametrize(("alpha", "left"), [(0, 255), (128, 127)])
def test_transparent_means_edit_and_becomes_white(alpha, left):
    made = open_bytes(convert_mask(masked(alpha), (40, 40), MAX).data)
    assert (made.mode, made.getpixel((5, 5)), made.getpixel((30, 30))) == ("L", left, 0)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "P"])
def test_an_opaque_grayscale_mask_is_runwares_already(mode):
    mask = Image.new("L", (40, 40), 0)
    mask.paste(255, (0, 0, 20, 40))
    made = open_bytes(convert_mask(encode(mask.convert(mode)), (40, 40), MAX).data)
    assert (made.getpixel((5, 5)), made.getpixel((30, 30))) == (255, 0)


def test_a_mask_is_scaled_to_its_image_only_when_the_shape_agrees():
    assert convert_mask(masked(0), (80, 80), MAX).resized_from == (40, 40)
    assert convert_mask(masked(0), (40, 40), MAX).resized_from is None
    with pytest.raises(MaskShapeError):
        convert_mask(masked(0), (80, 60), MAX)


def test_a_colored_mask_without_transparency_says_nothing():
    with pytest.raises(MaskWithoutAreaError):
        convert_mask(encode(photo(40, 40)), (40, 40), MAX)


def half(mode: str = "RGB", *, size: int = 64) -> Image.Image:
    """White on the left, black on the right."""
    image = Image.new("L", (size, size), 0)
    image.paste(255, (0, 0, size // 2, size))
    return image.convert(mode)


def noisy(image: Image.Image, spread: int) -> Image.Image:
    """The image with up to `spread` more or less in every sample of every channel."""
    noise = [Image.effect_noise(image.size, 40).point(lambda value: value % (spread + 1)) for _ in image.getbands()]
    bands = [ImageChops.add(band, one) for band, one in zip(image.split(), noise, strict=True)]
    bands = [ImageChops.subtract(band, one) for band, one in zip(bands, reversed(noise), strict=True)]
    return Image.merge(image.mode, bands)


def area(mask: bytes, size: int = 64) -> Image.Image:
    return open_bytes(convert_mask(mask, (size, size), MAX).data)


@pytest.mark.parametrize(
    "mask",
    [
        encode(half(), "JPEG", quality=30),
        encode(half(), "JPEG", quality=90),
        encode(half("L"), "JPEG", quality=50),
        encode(half(), "WEBP", quality=50),
        encode(half(), "AVIF", quality=50),
        encode(noisy(half(), 8)),
        encode(noisy(half("RGB"), 5).convert("P", palette=Image.Palette.ADAPTIVE)),
    ],
    ids=["jpeg 30", "jpeg 90", "gray jpeg", "webp", "avif", "noise", "palette"],
)
def test_a_white_on_black_mask_survives_lossy_formats(mask):
    made = area(mask)
    assert made.crop((0, 0, 22, 64)).getextrema() == (255, 255)
    assert made.crop((42, 0, 64, 64)).getextrema() == (0, 0)


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize(("clear", "opaque"), [(0, 255), (4, 251), (2, 253)], ids=str)
def test_nearly_transparent_and_nearly_opaque_count_as_such(format_, clear, opaque):
    mask = photo(64, 64).convert("RGBA")
    mask.putalpha(half("L").point(lambda value: clear if value else opaque))
    made = area(encode(mask, format_, **({} if format_ == "PNG" else {"quality": 90})))
    assert made.crop((0, 0, 22, 64)).getextrema() == (255, 255)
    assert made.crop((42, 0, 64, 64)).getextrema() == (0, 0)


def test_a_canvas_whose_alpha_flickers_near_opaque_is_read_by_its_black_and_white():
    mask = half("RGBA")
    mask.putalpha(Image.effect_noise((64, 64), 40).point(lambda value: 251 + value % 5))
    made = area(encode(mask))
    assert (made.getpixel((5, 5)), made.getpixel((60, 5))) == (255, 0)


@pytest.mark.parametrize(("difference", "is_gray"), [(8, True), (9, False)])
def test_channels_that_differ_by_eight_are_equal(difference, is_gray):
    mask = half()
    mask.putpixel((0, 0), (100, 100 + difference, 100))
    if is_gray:
        assert area(encode(mask)).getpixel((5, 5)) == 255
    else:
        with pytest.raises(MaskWithoutAreaError):
            area(encode(mask))


@pytest.mark.parametrize(("value", "becomes"), [(8, 0), (9, 9), (246, 246), (247, 255)])
def test_values_within_eight_of_black_or_white_are_black_or_white(value, becomes):
    mask = half("L")
    mask.paste(value, (40, 0, 64, 64))
    assert area(encode(mask)).getpixel((60, 5)) == becomes


def opened(pixels: int, *, transparent: bool) -> bytes:
    """A mask of 100x100 that opens so many pixels."""
    mask = Image.new("L", (100, 100), 0)
    for index in range(pixels):
        mask.putpixel((index % 100, index // 100), 255)
    if not transparent:
        return encode(mask)
    whole = Image.new("RGBA", (100, 100), (0, 0, 0, 255))
    whole.putalpha(ImageChops.invert(mask))
    return encode(whole)


@pytest.mark.parametrize("transparent", [True, False])
@pytest.mark.parametrize(("pixels", "is_enough"), [(0, False), (9, False), (10, True), (10_000, True)])
def test_a_mask_must_open_a_thousandth_of_the_image(pixels, is_enough, transparent):
    if is_enough:
        assert area(opened(pixels, transparent=transparent), 100).histogram()[255] == pixels
    else:
        with pytest.raises(MaskTooSmallError):
            area(opened(pixels, transparent=transparent), 100)


def test_the_noise_of_a_mask_that_opens_nothing_opens_nothing():
    black = Image.new("RGB", (64, 64), (6, 7, 5))
    for mask in (
        encode(black, "JPEG", quality=60),
        encode(noisy(black, 1)),
        encode(Image.new("RGBA", (64, 64), (0, 0, 0, 252))),
    ):
        with pytest.raises(MaskTooSmallError):
            area(mask)


@pytest.mark.parametrize("scale", [0.5, 3, 7.3])
def test_scaling_a_mask_opens_nothing_beyond_its_edge(scale):
    side = round(64 * scale)
    made = open_bytes(convert_mask(encode(half()), (side, side), MAX).data)
    edge = max(2, round(scale * 2))
    assert made.crop((side // 2 + edge, 0, side, side)).getextrema() == (0, 0)
    assert made.crop((0, 0, side // 2 - edge, side)).getextrema() == (255, 255)


def test_pasting_at_another_size_changes_nothing_beyond_the_edge():
    own, result = photo(64, 64), Image.new("RGB", (64, 64), (0, 255, 0))
    base = CompositeBase(encode(own), convert_mask(encode(half()), (64, 64), MAX).data)
    made = open_bytes(compose_image(encode(result), (300, 300), "exact", "white", base, "png", None, MAX).data)
    kept = own.resize((300, 300), Image.Resampling.LANCZOS)
    right = (160, 0, 300, 300)
    assert made.crop(right).tobytes() == kept.crop(right).tobytes()
