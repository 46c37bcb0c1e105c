"""Input images: every dialect, made fit for the model, fetched only from where it is safe."""

import contextlib
import hashlib
import http.server
import threading

import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from tests.support.images import data_uri, encode, photo, png, png_of


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A web server with an image, a redirect to it, a redirect loop, a page, and something endless."""
    image = png(400, 300)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            location = {"/moved": "/a.png", "/loop": "/loop"}.get(self.path)
            if location:
                self.send_response(302)
                self.send_header("Location", location)
                self.end_headers()
            elif self.path == "/a.png":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(image)
            elif self.path == "/huge":
                self.send_response(200)
                self.end_headers()
                for _ in range(100):
                    self.wfile.write(b"\0" * 1024 * 1024)
            else:
                self.send_error(404)

        def log_message(self, *args):
            pass

        def handle(self):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                super().handle()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


register_heif_opener()
IMAGE = data_uri(png(400, 300))


@pytest.mark.parametrize(
    "fields",
    [
        {"image": IMAGE},
        {"image": [IMAGE]},
        {"image": IMAGE.partition(",")[2]},
        {"image": {"image_url": IMAGE}},
        {"images": [{"image_url": IMAGE}]},
        {"images": [IMAGE]},
        {"images": [{"image_url": {"url": IMAGE}}]},
        {"image_url": IMAGE},
        {"image_url": {"url": IMAGE}},
        {"reference_images": [IMAGE]},
    ],
    ids=[
        "data URI",
        "list",
        "base64",
        "object",
        "images",
        "plain images",
        "nested",
        "image_url",
        "chat form",
        "references",
    ],
)
def test_json_edits_take_images_in_every_dialect(gateway, fields):
    response = gateway.client.post("/images/edits", json={"prompt": "a hat", "model": "riverflow-1"} | fields)
    assert response.status_code == 200, response.text
    assert response.json()["size"] == "1152x864"


@pytest.mark.parametrize("name", ["image", "image[]", "image[0]", "images", "images[]"])
def test_forms_take_files_under_every_name(gateway, name):
    response = gateway.edit([(name, ("a.png", png(400, 300)))], model="riverflow-1")
    assert response.json()["size"] == "1152x864"


def test_repeated_names_and_indexes_keep_the_order_sent(gateway):
    files = [("image", ("a", png(310, 310))), ("image[]", ("b", png(320, 320))), ("image[0]", ("c", png(330, 330)))]
    (task,) = gateway.sent(gateway.edit(files, model="riverflow-1"))
    assert [one["width"] for one in task["inputs"]["referenceImages"]] == [310, 320, 330]


def test_text_beside_files_of_the_same_name_is_ignored(gateway):
    files = [("image[]", ("a", png(310, 310))), ("image[]", (None, "<UploadFile object>"))]
    (task,) = gateway.sent(gateway.edit(files, model="riverflow-1"))
    assert len(task["inputs"]["referenceImages"]) == 1


@pytest.mark.parametrize("path", ["/a.png", "/moved"])
def test_an_address_is_looked_at_when_the_size_must_follow_it(gateway, pages, path):
    body = {"prompt": "a hat", "model": "riverflow-1", "image": pages + path}
    response = gateway.client.post("/images/edits", json=body)
    assert response.json()["size"] == "1152x864"


def test_an_address_is_handed_on_when_nobody_needs_to_look(gateway, pages):
    body = {"prompt": "a hat", "model": "riverflow-1", "image": f"{pages}/a.png", "size": "1024x1024"}
    (task,) = gateway.sent(gateway.client.post("/images/edits", json=body))
    assert task["inputs"]["referenceImages"] == [f"{pages}/a.png"]


@pytest.mark.parametrize(("path", "status"), [("/gone", 400), ("/loop", 400), ("/huge", 413)])
def test_an_address_that_brings_no_image_is_refused(gateway, pages, path, status):
    body = {"prompt": "a hat", "model": "riverflow-1", "image": pages + path}
    response = gateway.client.post("/images/edits", json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (status, "image")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a.png",
        "http://localhost:{port}/a.png",
        "http://[::1]:{port}/a.png",
        "http://[::ffff:127.0.0.1]:{port}/a.png",
        "http://0.0.0.0:{port}/a.png",
        "http://2130706433:{port}/a.png",
        "http://10.0.0.1/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/a.png",
        "http://user:pass@example.com/a.png",
    ],
)
@pytest.mark.parametrize("fields", [{}, {"size": "1024x1024"}], ids=["looked at", "handed on"])
def test_private_addresses_are_refused_even_when_only_handed_on(guarded, pages, url, fields):
    body = {"prompt": "a hat", "model": "riverflow-1", "image": url.format(port=pages.rsplit(":", 1)[1])} | fields
    response = guarded.client.post("/images/edits", json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "image")


@pytest.fixture(scope="module")
def guarded(start_shared_gateway):
    return start_shared_gateway(SPILLWAY_ALLOW_PRIVATE_INPUT_URLS="false")


@pytest.mark.parametrize("format_", ["BMP", "TIFF", "GIF", "AVIF", "HEIF"])
def test_formats_runware_does_not_read_become_png_and_still_lead_the_size(gateway, format_):
    response = gateway.edit([("image", ("a", encode(photo(400, 300), format_)))], model="riverflow-1")
    (task,) = gateway.sent(response)
    (reference,) = task["inputs"]["referenceImages"]
    assert (reference["format"], reference["width"], response.json()["size"]) == ("PNG", 400, "1152x864")


def test_a_turned_photograph_is_turned_upright(gateway):
    exif = Image.Exif()
    exif[0x0112] = 6
    response = gateway.edit([("image", ("a.jpg", encode(photo(400, 300), "JPEG", exif=exif)))], model="riverflow-1")
    (task,) = gateway.sent(response)
    assert (task["inputs"]["referenceImages"][0]["width"], response.json()["size"]) == (300, "864x1152")


@pytest.mark.parametrize(("size", "becomes"), [((3000, 1500), (2048, 1024)), ((100, 200), (300, 600))])
def test_an_image_outside_the_models_limits_is_resized_and_told(gateway, size, becomes):
    response = gateway.edit([("image", ("a", png(*size)))], model="riverflow-1")
    (reference,) = gateway.sent(response)[0]["inputs"]["referenceImages"]
    assert (reference["width"], reference["height"]) == becomes
    (told,) = response.json()["metadata"]["adjustments"]
    assert (told["param"], told["mode"], told["requested"]) == ("image", "changed", f"{size[0]}x{size[1]}")


def test_an_image_within_the_limits_is_sent_byte_for_byte(gateway):
    data = encode(photo(400, 300), "JPEG", quality=71)
    (reference,) = gateway.sent(gateway.edit([("image", ("a", data))], model="riverflow-1"))[0]["inputs"][
        "referenceImages"
    ]
    assert reference["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_white_on_black_mask_is_taken_as_runwares(gateway):
    mask = Image.new("L", (256, 256), 0)
    mask.paste(255, (0, 0, 128, 256))
    files = [("image", ("a", png(256, 256))), ("mask", ("m", encode(mask)))]
    (task,) = gateway.sent(gateway.edit(files, model="flux.1-dev"))
    assert (task["inputs"]["maskImage"]["width"], task["inputs"]["maskImage"]["format"]) == (256, "PNG")


def test_a_mask_of_another_size_but_the_same_shape_is_resized_and_told(gateway):
    mask = photo(512, 512).convert("RGBA")
    mask.paste((0, 0, 0, 0), (0, 0, 256, 512))
    files = [("image", ("a", png(256, 256))), ("mask", ("m", encode(mask)))]
    response = gateway.edit(files, model="flux.1-dev")
    (task,) = gateway.sent(response)
    assert task["inputs"]["maskImage"]["width"] == 256
    assert [(a["param"], a["mode"]) for a in response.json()["metadata"]["adjustments"]] == [("mask", "changed")]


def test_markup_is_drawn_over_the_first_image_and_told(gateway):
    markup = Image.new("RGBA", (320, 320), (0, 0, 0, 0))
    markup.paste((255, 0, 0, 255), (100, 100, 200, 200))
    files = [("image", ("a", png())), ("markup", ("k", encode(markup)))]
    response = gateway.edit(files, model="riverflow-1")
    assert response.status_code == 200
    assert [(a["param"], a["mode"]) for a in response.json()["metadata"]["adjustments"]] == [("markup", "emulated")]


def test_an_image_of_several_megabytes_reaches_runware_whole(gateway):
    image = png_of(3 * 1024 * 1024)
    answer = gateway.edit([("image", ("a.png", image))], model="google:4@1")
    assert answer.status_code == 200, answer.text
    [sent] = gateway.sent(answer)[0]["inputs"]["referenceImages"]
    assert (sent["sha256"], sent["bytes"]) == (hashlib.sha256(image).hexdigest(), len(image))
