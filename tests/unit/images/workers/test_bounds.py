"""What image work may take, by its pixels."""

import pytest

from app.images.workers.bounds import Job

MEGA = 1_000_000


@pytest.mark.parametrize("decoder", ["jpeg", "png", "webp", "gif", "avif", "heic", "bmp", "tiff", None])
def test_more_pixels_may_take_more_of_everything(decoder):
    small, large = (Job("a", pixels, pixels, decoder).bounds for pixels in (MEGA, 64 * MEGA))
    assert small.cpu_seconds < large.cpu_seconds
    assert small.wall_seconds < large.wall_seconds
    assert small.memory_bytes < large.memory_bytes
    assert small.reply_bytes < large.reply_bytes


def test_a_small_image_may_keep_a_process_for_little_more_than_a_second():
    assert Job("a", 64 * 64, 64 * 64, "heic").bounds.cpu_seconds < 1.1
    assert Job("a", MEGA, MEGA, "jpeg").bounds.cpu_seconds < 2


def test_the_largest_jpeg_is_over_in_seconds_not_minutes():
    assert Job("a", 64 * MEGA, 4 * MEGA, "jpeg").bounds.cpu_seconds < 15


def test_an_unknown_format_gets_what_the_slowest_needs():
    assert Job("a", MEGA).bounds == Job("a", MEGA, decoder="heic").bounds
