"""What can be delivered: each limit is what the encoder writes and a decoder reads again."""

import pytest
from PIL import Image

from app.domain.request import ImageFormat
from app.images.convert import encode_image
from app.planning.output import LONGEST_SIDES
from tests.support.images import open_bytes


@pytest.mark.parametrize("format_", LONGEST_SIDES, ids=str)
@pytest.mark.parametrize("upright", [True, False], ids=["high", "wide"])
def test_an_image_at_the_limit_is_written_and_read_and_none_beyond(format_, upright):
    def size(side: int) -> tuple[int, int]:
        return (4, side) if upright else (side, 4)

    longest = LONGEST_SIDES[format_]
    made = open_bytes(encode_image(Image.new("RGB", size(longest), "teal"), format_.value, None).data)
    assert made.size == size(longest)
    with pytest.raises(Exception):  # noqa: B017, PT011 - every encoder and decoder has errors of its own
        open_bytes(encode_image(Image.new("RGB", size(longest + 1), "teal"), format_.value, None).data)


def test_every_format_but_png_and_vectors_has_its_limit():
    assert set(LONGEST_SIDES) == set(ImageFormat) - {ImageFormat.PNG, ImageFormat.SVG}
