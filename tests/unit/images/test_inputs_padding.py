"""Images that are padded or cut: measured in pixels."""

import pytest
from PIL import Image, ImageChops, ImageStat

from app.images.geometry import ImageLimits, TargetShape
from app.images.inputs import fit_image
from tests.support.images import encode, open_bytes, photo

RIVERFLOW = ImageLimits(64_000_000, 300, 2048)


def difference(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


@pytest.mark.parametrize("size", [(2048, 299), (6000, 400), (400, 6000), (3000, 10)], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_what_is_padded_stands_in_the_middle_untouched(size, mode):
    own = photo(*size, mode)
    fitted = fit_image(encode(own), RIVERFLOW)
    made, placement = open_bytes(fitted.data), fitted.placement
    assert made.size == placement.outer == (fitted.width, fitted.height)
    left, top = ((outer - inner) // 2 for outer, inner in zip(placement.outer, placement.inner, strict=True))
    middle = made.crop((left, top, left + placement.inner[0], top + placement.inner[1]))
    assert middle.tobytes() == own.resize(placement.inner, Image.Resampling.LANCZOS).convert(made.mode).tobytes()


def test_what_is_added_is_of_the_images_own_colors():
    own = Image.new("RGB", (3000, 30), (200, 40, 60))
    made = open_bytes(fit_image(encode(own), RIVERFLOW).data)
    assert difference(made, Image.new("RGB", made.size, (200, 40, 60))) < 3


def test_what_is_added_to_a_transparent_image_is_transparent():
    for mode in ("RGBA", "LA"):
        made = open_bytes(fit_image(encode(photo(3000, 30, mode)), RIVERFLOW).data)
        alpha = made.getchannel("A")
        assert (alpha.getpixel((5, 5)), alpha.getpixel((1000, 150))) == (0, 255)


@pytest.mark.parametrize("fit", ["contain", "cover"])
def test_a_shape_is_given_around_the_middle(fit):
    own = photo(600, 600)
    made = open_bytes(fit_image(encode(own), RIVERFLOW, None, TargetShape(2.0, fit)).data)
    if fit == "cover":
        assert made.tobytes() == own.crop((0, 150, 600, 450)).tobytes()
    else:
        assert made.size == (1200, 600)
        assert made.crop((300, 0, 900, 600)).tobytes() == own.tobytes()


def test_what_is_drawn_over_an_image_stays_on_it_and_off_its_padding():
    overlay = encode(Image.new("RGBA", (10, 10), (0, 255, 0, 255)))
    own = Image.new("RGB", (3000, 30), (200, 40, 60))
    made = open_bytes(fit_image(encode(own), RIVERFLOW, overlay).data)
    assert made.getpixel((1000, 150)) == (0, 255, 0)


def test_the_color_profile_stays_when_an_image_is_padded():
    from tests.support import profiles

    profile = profiles.srgb()  # once: it carries the second in which it was made
    data = encode(photo(3000, 30), icc_profile=profile)
    assert open_bytes(fit_image(data, RIVERFLOW).data).info["icc_profile"] == profile
