"""Bad input is a 4xx with a field and a sentence, at once; nothing reaches Runware and nothing is billed."""

import json
import socket
import time

import pytest

from tests.support.captures import frame
from tests.support.hostile_images import bomb
from tests.support.images import data_uri, encode, photo, png
from tests.support.recorder import exchange, read_response

SECONDS = 5.0
"""Far below what decoding a bomb or waiting for Runware would take."""


@pytest.fixture(autouse=True)
def nothing_is_sent(simulator):
    before = simulator.accepted()
    yield
    assert simulator.accepted() == before


def assert_refused(status: int, body: dict, expected: int, param: str | None) -> None:
    error = body["error"]
    assert status == expected, error
    assert set(error) >= {"message", "type", "param", "code"}
    assert error["param"] == param
    assert len(error["message"]) > 15
    assert error["message"][-1] in ".?…)"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 0}, "n"),
        ({"n": 11}, "n"),
        ({"n": -1}, "n"),
        ({"n": "three"}, "n"),
        ({"n": 1.5}, "n"),
        ({"n": True}, "n"),
        ({"n": [1]}, "n"),
        ({"size": "huge"}, "size"),
        ({"size": "0x100"}, "size"),
        ({"size": "50"}, "size"),
        ({"size": "99999999x1"}, "size"),
        ({"size": 50}, "size"),
        ({"size": None, "aspect_ratio": "wide"}, "aspect_ratio"),
        ({"size": None, "aspect_ratio": "0:1"}, "aspect_ratio"),
        ({"size": None, "resolution": "big"}, "resolution"),
        ({"size": None, "resolution": "-1K"}, "resolution"),
        ({"size": None, "resolution": "0.0001K"}, "resolution"),
        ({"size": None, "resolution": "infK"}, "resolution"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "   "}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": {"text": "a cat"}}, "prompt"),
        ({"prompt": "x"}, "prompt"),
        ({"prompt": "x" * 3001}, "prompt"),
        ({"prompt": "x" * 100_001}, "prompt"),
        ({"model": 7}, "model"),
        ({"output_format": "bmp"}, "output_format"),
        ({"output_format": "svg"}, "output_format"),
        ({"output_compression": 101}, "output_compression"),
        ({"output_compression": "high"}, "output_compression"),
        ({"response_format": "file"}, "response_format"),
        ({"background": "pink"}, "background"),
        ({"background": "transparent", "output_format": "jpeg"}, "background"),
        ({"quality": ["superb"]}, "quality"),
        ({"style": {"a": 1}}, "style"),
        ({"seed": -2}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"seed": "lucky"}, "seed"),
        ({"guidance_scale": "strong"}, "guidance_scale"),
        ({"guidance_scale": -1}, "guidance_scale"),
        ({"stream": "perhaps"}, "stream"),
        ({"partial_images": 9}, "partial_images"),
        ({"image": 7}, "image"),
        ({"image": "no image at all!"}, "image"),
        ({"image": "data:image/png,plain"}, "image"),
        ({"image": data_uri(b"plain text")}, "image"),
        ({"image": [data_uri(png()), data_uri(png()[:200])], "model": "flux.2-pro"}, "image[1]"),
        ({"image": "ftp://example.com/a.png"}, "image"),
        ({"mask": data_uri(png())}, "mask"),
        ({"images": [{"file_id": "file-1"}]}, "images[0].file_id"),
        ({"lora\ud800": "x"}, "lora?"),
        ({"prompt": "half \ud800"}, "prompt"),
    ],
    ids=lambda value: None if isinstance(value, str | None) else str(value)[:40].encode("ascii", "replace").decode(),
)
def test_a_wrong_field_of_a_generation_is_named(gateway, fields, param):
    body = json.dumps({"prompt": "a quiet harbor", "size": "256x256"} | fields)
    started = time.monotonic()
    response = gateway.client.post("/images/generations", content=body, headers={"Content-Type": "application/json"})
    assert_refused(response.status_code, response.json(), 400, param)
    assert time.monotonic() - started < SECONDS


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"{",
        b'{"prompt": }',
        b"[1, 2]",
        b'"text"',
        b"7",
        b"null",
        b"\xff\xfe{}",
        b'{"prompt": NaN}',
        b"[" * 50_000,
        b'{"x": ' + b"9" * 5000 + b"}",
    ],
    ids=[
        "empty",
        "blank",
        "cut off",
        "broken",
        "array",
        "string",
        "number",
        "null",
        "not UTF-8",
        "NaN",
        "deep",
        "endless number",
    ],
)
@pytest.mark.parametrize("path", ["/images/generations", "/images/edits"])
def test_a_body_that_is_no_json_object_is_refused(gateway, path, body):
    response = gateway.client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert_refused(response.status_code, response.json(), 400, "body")


def test_a_form_without_multipart_is_refused(gateway):
    response = gateway.client.post("/images/generations", data={"prompt": "a pear"})
    assert_refused(response.status_code, response.json(), 400, "body")


@pytest.mark.parametrize(
    ("files", "param", "status"),
    [
        ([("image", ("a.png", b""))], "image", 400),
        ([("image", ("a.png", png()[:60]))], "image", 400),
        ([("image", ("a.png", png()[:-30]))], "image", 400),
        ([("image", ("a.jpg", encode(photo(), "JPEG")[:300]))], "image", 400),
        ([("image", ("a.png", b"Dear sir or madam"))], "image", 400),
        ([("image", ("a.heic", b"\0\0\0\x18ftypheic" + b"\0" * 100))], "image", 400),
        ([("image", ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"))], "image", 400),
        ([("image", ("a.png", bomb()))], "image", 400),
        ([("image", ("a.gif", b"GIF89a" + b"\xff\xff\xff\xff" + b"\0" * 100))], "image", 400),
        ([("image[]", ("a.png", png()))] * 17, "image", 400),
        ([("image[]", ("a.png", png()))] * 11, "image", 400),
        ([("image", ("a.png", b"\x89PNG" + b"\0" * 40 * 1024 * 1024))], "image", 413),
        ([("image", ("a.png", png())), ("mask", ("m.png", png()))], "mask", 400),
        ([("image", ("a.png", png())), ("portrait", ("m.png", png()))], "portrait", 400),
        ([("image", ("a.png", png())), ("lora[][model]", (None, "x")), ("lora[]", (None, "y"))], "lora", 400),
        ([("image", ("a.png", png())), ("a" + "[b]" * 20, (None, "x"))], "a", 400),
        ([("n", (None, "2"))], "image", 400),
    ],
    ids=[
        "zero bytes", "cut PNG header", "cut PNG", "cut JPEG", "text", "HEIC", "SVG", "pixel bomb", "GIF bomb", "17 images",
        "more than the model takes", "40 MB", "mask without a slot", "unknown file", "mixed field", "deep field", "no image",
    ],
)  # fmt: skip
def test_a_wrong_image_of_an_edit_is_named(gateway, files, param, status):
    started = time.monotonic()
    response = gateway.edit(files)
    assert_refused(response.status_code, response.json(), status, param)
    assert time.monotonic() - started < SECONDS


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        (photo(256, 256), photo(256, 128)),
        (photo(256, 256), photo(256, 256)),
    ],
    ids=["another shape", "opaque and colored"],
)
def test_a_mask_that_cannot_be_one_is_refused(gateway, image, mask):
    files = [("image", ("a.png", encode(image))), ("mask", ("m.png", encode(mask)))]
    response = gateway.edit(files, model="flux.1-dev")
    assert_refused(response.status_code, response.json(), 400, "mask")


FORM = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nhat\r\n'
HEAD = (
    b"POST /v1/images/edits HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer test-key\r\n"
    b"content-type: multipart/form-data; boundary=b\r\n"
)


@pytest.mark.parametrize(
    "body",
    [
        FORM,
        FORM + b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + png()[:100],
        b"no boundary here at all",
        b"--b\r\nbroken header\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        b"".join(b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n' for _ in range(2000)) + b"--b--\r\n",
    ],
    ids=["unterminated", "cut in a file", "no boundary", "broken header", "no name", "2000 parts"],
)  # fmt: skip
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_malformed_form_is_refused(gateway, body, chunked):
    framing = b"transfer-encoding: chunked\r\n\r\n" if chunked else b"content-length: %d\r\n\r\n" % len(body)
    status, answer = exchange(gateway.origin, HEAD + framing + (frame(body, 1000) if chunked else body))
    assert_refused(status, json.loads(answer), 400, "body")


@pytest.mark.parametrize(
    "boundary", [pytest.param(b"", id="none"), pytest.param(b"; boundary=" + b"b" * 5000, id="long")]
)
def test_a_form_without_a_usable_boundary_is_refused(gateway, boundary):
    head = HEAD.replace(b"; boundary=b", boundary) + b"content-length: 5\r\n\r\n"
    status, answer = exchange(gateway.origin, head + b"hello")
    assert_refused(status, json.loads(answer), 400, "body")


def test_a_body_announced_too_large_is_refused_before_it_is_sent(gateway):
    head = HEAD + b"content-length: %d\r\n\r\n" % (1 << 40)
    host, port = gateway.origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head)
        status, answer = read_response(connection)
    assert_refused(status, json.loads(answer), 413, "body")


def test_a_chunked_body_that_grows_too_large_is_refused(start_gateway):
    small = start_gateway(SPILLWAY_MAX_BODY_BYTES="20000")
    head = HEAD + b"transfer-encoding: chunked\r\n\r\n"
    status, answer = exchange(small.origin, head + frame(FORM * 1000, 4000))
    assert_refused(status, json.loads(answer), 413, "body")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/images/generations", 405, "method_not_allowed"),
        ("DELETE", "/models/riverflow-1", 405, "method_not_allowed"),
        ("POST", "/images/upscales", 404, "unknown_url"),
        ("POST", "/images/generations/more", 404, "unknown_url"),
        ("POST", "/images/variations", 400, "unsupported_endpoint"),
        ("GET", "/media/nothing.png", 403, "link_forged"),
    ],
)
def test_the_frameworks_own_refusals_wear_the_envelope(gateway, method, path, status, code):
    response = gateway.client.request(method, path)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic dGVzdA=="},
        {"Authorization": "Bearer"},
        {"api-key": "x"},
    ],
    ids=["none", "wrong", "basic", "empty", "wrong api-key"],
)
@pytest.mark.parametrize("path", ["/images/generations", "/images/edits", "/models", "/models/riverflow-1"])
def test_without_a_valid_key_nothing_is_served(gateway, path, headers):
    method = "GET" if "models" in path else "POST"
    gateway.client.headers.pop("Authorization")
    try:
        response = gateway.client.request(method, path, headers=headers, json={} if method == "POST" else None)
    finally:
        gateway.client.headers["Authorization"] = "Bearer test-key"
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"
