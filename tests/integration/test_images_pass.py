"""An input image that needs nothing goes to Runware by its bytes, without a worker; what is no image is named."""

import hashlib
import struct
import zlib

import psutil
import pybase64
import pytest

from tests.support.containers import jpeg_segment, jpeg_with, png_chunk, png_with, webp_chunk, webp_with
from tests.support.images import data_uri, encode, open_bytes, photo, png
from tests.support.orientation import exif_block, laid, with_exif, with_xmp
from tests.support.processes import free_port, process
from tests.support.siege import send_edit

MIB = 1024 * 1024
BIG = photo(400, 300)


def sent_reference(gateway, data: bytes, **fields: str) -> dict:
    response = gateway.edit([("image", ("a", data))], model="riverflow-1", **fields)
    assert response.status_code == 200, response.text
    return gateway.sent(response)[0]["inputs"]["referenceImages"][0]


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
def test_an_image_without_extras_is_sent_byte_for_byte(gateway, format_):
    data = encode(BIG, format_)
    assert sent_reference(gateway, data)["sha256"] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("plain", "stuffed"),
    [
        (encode(BIG), png_with(png_chunk(b"tEXt", b"Author\0Jane"), after=b"more", image=encode(BIG))),
        (encode(BIG), png_with(png_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 3 * MIB)), image=encode(BIG))),
        (encode(BIG), png_with(png_chunk(b"gAMA", b"\0\0\0\1", checksum=1), png_chunk(b"pHYs", b""), image=encode(BIG))),
        (encode(BIG, "JPEG"), jpeg_with(jpeg_segment(0xE1, b"Exif\0\0secret"), after=b"film" * 99, image=encode(BIG, "JPEG"))),
        (encode(BIG, "JPEG"), jpeg_with(b"\xff" * 99 + jpeg_segment(0xFE, b"hello"), image=encode(BIG, "JPEG"))),
        (encode(BIG, "WEBP"), encode(BIG, "WEBP") + b"more"),
    ],
    ids=["PNG texts", "PNG text bomb", "PNG damaged extras", "JPEG motion photo", "JPEG comment", "WebP bytes behind"],
)  # fmt: skip
def test_extras_stay_here_and_the_image_goes(gateway, plain, stuffed):
    assert sent_reference(gateway, stuffed)["sha256"] == hashlib.sha256(plain).hexdigest()


@pytest.mark.parametrize(
    "data",
    [encode(BIG.convert("CMYK"), "JPEG"), encode(BIG.convert("L").convert("I;16"))],
    ids=["CMYK", "16 bits"],
)
def test_what_is_read_in_many_ways_is_made_plain_first(gateway, data):
    reference = sent_reference(gateway, data)
    assert (reference["format"], reference["sha256"] == hashlib.sha256(data).hexdigest()) == ("PNG", False)


def test_nothing_is_decoded_for_an_image_that_needs_nothing(simulator, tmp_path):
    """The worker processes use no time: only those that decode would."""
    port = free_port()
    data = encode(photo(1024, 1024))
    with process(simulator, tmp_path, port) as running:
        send_edit(port, encode(photo(300, 200), "GIF"))
        workers = psutil.Process(running.pid).children(recursive=True)
        before = sum(worker.cpu_times().user for worker in workers)
        for _ in range(10):
            send_edit(port, data)
        untouched = sum(worker.cpu_times().user for worker in workers) - before
        send_edit(port, encode(photo(1024, 1024), "GIF"))
        decoded = sum(worker.cpu_times().user for worker in workers) - before - untouched
    assert untouched == 0
    assert decoded > 0


@pytest.mark.parametrize(
    "data",
    [with_exif(format_, 6) for format_ in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF")]
    + [with_xmp(format_, 6) for format_ in ("JPEG", "PNG", "WEBP")],
    ids=["JPEG", "PNG", "WebP", "TIFF", "AVIF", "HEIC", "JPEG XMP", "PNG XMP", "WebP XMP"],
)
def test_the_size_of_the_answer_and_the_image_sent_are_those_of_the_upright_image(gateway, data):
    """Laid 64x96, meant 96x64."""
    response = gateway.edit([("image", ("a", data))], model="flux.1-dev")
    (task,) = gateway.sent(response)
    image = task["inputs"]["seedImage"]
    assert image["width"] / image["height"] == pytest.approx(1.5, abs=0.02)
    width, height = map(int, response.json()["size"].split("x"))
    assert width / height == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
@pytest.mark.parametrize("model", ["flux.1-dev", "flux.2-pro"], ids=["sent", "pasted"])
def test_a_mask_fits_the_upright_image(gateway, format_, model):
    upright = (192, 128)
    image = encode(laid(6, *upright), format_, exif=exif_block(6), quality=90)
    mask = photo(*upright).convert("RGBA")
    mask.paste((0, 0, 0, 0), (0, 0, 96, 128))
    response = gateway.edit([("image", ("a", image)), ("mask", ("m", encode(mask)))], model=model)
    assert response.status_code == 200, response.text
    told = {(adjustment["param"], adjustment["mode"]) for adjustment in response.json()["metadata"]["adjustments"]}
    assert ("mask", "changed") not in told


def dng() -> bytes:
    """A DNG as cameras write it: its first page is a thumbnail."""
    data = bytearray(encode(photo(60, 40), "TIFF"))
    (page,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, page)
    entries = [bytes(data[page + 2 + 12 * index :][:12]) for index in range(count)]
    entries += [struct.pack("<HHII", 254, 4, 1, 1), struct.pack("<HHI4B", 50706, 1, 4, 1, 4, 0, 0)]
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    return (
        bytes(data[:4])
        + struct.pack("<I", len(data))
        + bytes(data[8:])
        + struct.pack("<H", len(entries))
        + b"".join(entries)
        + b"\0\0\0\0"
    )


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 99, "an MP4 video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + b"\0" * 99, "a QuickTime video"),
        (b"\x1aE\xdf\xa3\x01\0\0\0" + b"\0" * 99, "a WebM or Matroska video"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + b"\0" * 99, "a PDF document"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"<svg/>", "an SVG drawing"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn -->\n<svg width='1'/>", "an SVG drawing"),
        (b"<!DOCTYPE html><html><svg/></html>", "an HTML page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML document"),
        (b'{"error": "not found"}', "a JSON document"),
        (dng(), "a DNG, a camera's raw file"),
        (b"II*\0\x10\0\0\0CR\x02\0" + b"\0" * 99, "a camera's raw file"),
        (b"8BPS\0\1" + b"\0" * 99, "a Photoshop file"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 99, "a JPEG XL image"),
        (b"PK\x03\x04" + b"\0" * 99, "a ZIP archive"),
        (b"\0\0\1\0\1\0" + b"\0" * 99, "an icon"),
        (b"Dear sir or madam", "text"),
        (b"\x01\x02\x03\xfe" * 9, "not an image: it begins with the bytes 01 02 03 fe"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("field", ["image", "mask"])
def test_what_is_no_image_is_named(gateway, data, name, field):
    files = {"image": png(), field: data}
    response = gateway.edit([(one, ("a", content)) for one, content in files.items()], model="flux.1-dev")
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, field, "invalid_image")
    assert error["message"].startswith(f"`{field}` is {name}")
    assert "Send a PNG, JPEG" in error["message"]


def test_what_is_no_image_is_named_in_json_too(gateway):
    body = {"prompt": "a hat", "image": data_uri(b"%PDF-1.7\n" + b"\0" * 99)}
    error = gateway.client.post("/images/edits", json=body).json()["error"]
    assert error["message"].startswith("`image` is a PDF document")


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff" * 30 * MIB,
        b"\xff\xd8" + b"\xff\xe1\0\2" * (30 * MIB // 4),
        b"\xff\xd8\xff" + b"\0" * 30 * MIB,
        png_with(png_chunk(b"abCd", b"") * (30 * MIB // 12)),
        webp_with(webp_chunk(b"abcd", b"") * (30 * MIB // 8)),
        b"GIF89a\1\0\1\0\0\0\0!\xfe" + b"\1\0" * 15 * MIB,
        b"\0\0\0\x18ftypavif\0\0\0\0avifmif1" + b"\0\0\0\x08free" * (30 * MIB // 8),
    ],
    ids=["JPEG fill bytes", "JPEG empty segments", "JPEG junk", "PNG tiny chunks", "WebP tiny chunks", "GIF blocks", "AVIF boxes"],
)  # fmt: skip
def test_no_header_keeps_the_event_loop(simulator, tmp_path, data):
    """The whole process, loop and threads, spends no more on 30 MiB of header than on 30 MiB of anything."""
    port = free_port()
    with process(simulator, tmp_path, port) as running:
        gateway = psutil.Process(running.pid)
        send_edit(port, png())

        def cpu_of(body: bytes) -> float:
            before = gateway.cpu_times()
            assert send_edit(port, body).status_code in {200, 400}
            after = gateway.cpu_times()
            return after.user + after.system - before.user - before.system

        anything = cpu_of(b"\x01" * len(data))
        assert cpu_of(data) < anything + 0.5


def sent_guide(gateway, data: bytes) -> str:
    guide = {"model": "runware:25@1", "guideImage": data_uri(data)}
    response = gateway.generate(model="flux.1-dev", controlNet=[guide])
    assert response.status_code == 200, response.text
    return gateway.sent(response)[0]["controlNet"][0]["guideImage"]


def test_images_inside_passed_fields_leave_without_what_decoding_does_not_need(gateway):
    plain = encode(BIG)
    assert sent_guide(gateway, plain) == data_uri(plain)
    assert sent_guide(gateway, png_with(png_chunk(b"tEXt", b"Author\0Jane"), image=plain)) == data_uri(plain)
    turned = open_bytes(pybase64.b64decode(sent_guide(gateway, with_exif("JPEG", 6)).partition(",")[2]))
    original = open_bytes(with_exif("JPEG", 6))
    assert turned.size == (original.height, original.width)
    assert not turned.getexif()


def test_a_damaged_image_inside_a_passed_field_is_named(gateway):
    response = gateway.generate(
        model="flux.1-dev", controlNet=[{"model": "runware:25@1", "guideImage": data_uri(encode(BIG)[:-40])}]
    )
    assert (response.status_code, response.json()["error"]["param"]) == (400, "controlNet[0].guideImage")
