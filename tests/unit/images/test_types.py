"""The bytes of an image, which can go."""

import pytest

from app.images.types import ImageBytes


def test_bytes_are_there_until_they_are_let_go():
    image = ImageBytes(b"abc")
    assert (image.data, len(image)) == (b"abc", 3)
    image.let_go()
    assert len(image) == 0
    with pytest.raises(RuntimeError, match="gone"):
        _ = image.data


def test_equal_bytes_are_one_image():
    assert {ImageBytes(b"a"), ImageBytes(b"a"), ImageBytes(b"b")} == {ImageBytes(b"b"), ImageBytes(b"a")}
    assert ImageBytes(b"a") != b"a"


def test_images_whose_bytes_are_gone_are_equal_to_themselves_alone():
    gone, other = ImageBytes(b"a"), ImageBytes(b"a")
    gone.let_go()
    assert gone != other
    other.let_go()
    assert gone != other
    assert gone == gone  # noqa: PLR0124 - that is what is asked
