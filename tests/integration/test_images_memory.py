"""What was refused is forgotten at once: large images leave no memory behind, whatever became of them."""

import psutil
import pytest

from tests.support.containers import jpeg_segment, png_chunk, png_with
from tests.support.images import encode, photo, png
from tests.support.processes import free_port, process
from tests.support.siege import send_edit

MIB = 1024 * 1024
PADDING = b"\x01" * 3 * MIB


@pytest.fixture(scope="module")
def running(simulator, tmp_path_factory):
    port = free_port()
    with process(simulator, tmp_path_factory.mktemp("memory"), port) as started:
        yield port, psutil.Process(started.pid)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\xff\xd8" + b"\xff" * 3 * MIB, 400),
        (b"Dear sir or madam" + b" " * 3 * MIB, 400),
        (b"\x89PNG\r\n\x1a\n" + PADDING, 400),
        (png_with(png_chunk(b"abCd", PADDING))[:-20], 400),
        (png_with(png_chunk(b"IDAT", PADDING)), 400),
        (encode(photo(400, 300), "TIFF", compression="tiff_lzw")[:-400] + PADDING, 400),
        (encode(photo(400, 300), "JPEG") + PADDING, 200),
        (encode(photo(400, 300), "JPEG")[:-2] + jpeg_segment(0xFE, b"x" * 60_000) * 50 + b"\xff\xd9", 200),
        (encode(photo(400, 300), "BMP") + PADDING, 200),
        (png_with(png_chunk(b"abCd", PADDING), image=png(400, 300)), 200),
    ],
    ids=[
        "too deep", "text", "no header", "cut", "damaged pixels", "damaged page", "extras behind", "extras inside", "converted",
        "extras in front",
    ],
)  # fmt: skip
def test_nothing_is_left_of_a_large_image(running, data, status):
    port, gateway = running

    def send(count: int) -> int:
        for _ in range(count):
            assert send_edit(port, data).status_code == status
        return gateway.memory_info().rss

    few, many = send(6), send(18)
    assert many - few < 20 * MIB
