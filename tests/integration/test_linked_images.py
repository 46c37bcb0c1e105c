"""Images by address: handed on where the model can take them as they are, else fetched and fitted like uploads."""

import contextlib
import http.server
import threading

import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from tests.support.images import encode, photo, png

register_heif_opener()
TURNED = Image.Exif()
TURNED[0x0112] = 6
DEEP = Image.linear_gradient("L").resize((400, 300)).convert("I").point(lambda value: value * 257).convert("I;16")

FIT = {
    "png": png(400, 300),
    "jpeg": encode(photo(400, 300), "JPEG"),
    "webp": encode(photo(400, 300), "WEBP"),
    "large": encode(Image.effect_noise((1500, 1500), 90), "PNG"),
}
UNFIT = {
    "too large": (png(3000, 1500), (2048, 1024)),
    "too small": (png(100, 200), (300, 600)),
    "too long": (png(6000, 400), (2048, 300)),
    "gif": (encode(photo(400, 300), "GIF"), (400, 300)),
    "bmp": (encode(photo(400, 300), "BMP"), (400, 300)),
    "tiff": (encode(photo(400, 300), "TIFF"), (400, 300)),
    "avif": (encode(photo(400, 300), "AVIF"), (400, 300)),
    "heic": (encode(photo(400, 300), "HEIF"), (400, 300)),
    "sideways": (encode(photo(400, 300), "JPEG", exif=TURNED), (300, 400)),
    "moving": (
        encode(photo(400, 300), "WEBP", save_all=True, append_images=[Image.new("RGB", (400, 300))]),
        (400, 300),
    ),
    "16 bits": (encode(DEEP), (400, 300)),
}
FOREIGN = {
    "an MP4": (b"\x00\x00\x00\x18ftypisom" + bytes(5000), "MP4"),
    "a PDF": (b"%PDF-1.7\n" + bytes(5000), "PDF"),
    "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "SVG"),
    "a page": (b"<!doctype html><html><body>hello</body></html>", "HTML"),
}


class Site:
    """A web server of images that remembers what it was asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append(self.path)
                body = site.pages.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

            def handle(self):
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    super().handle()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, data: bytes) -> str:
        """The address of these bytes, which nobody has asked for yet."""
        path = f"/{len(self.pages)}"
        self.pages[path] = data
        return f"http://127.0.0.1:{self.server.server_port}{path}"


@pytest.fixture(scope="module")
def site():
    running = Site()
    yield running
    running.server.shutdown()
    running.server.server_close()


PLACES = {
    "with a size": lambda url: {"image": url, "size": "1024x1024"},
    "without a size": lambda url: {"image": url},
    "later": lambda url: {"images": [{"image_url": f"{url}?first"}, url], "size": "1024x1024"},
}


def edit(gateway, body: dict, *, dry_run: bool = False):
    requested = {"prompt": "a hat", "model": "riverflow-1"} | body
    return gateway.client.post(f"/images/edits{'?dryRun=true' if dry_run else ''}", json=requested)


def sent(gateway, response) -> object:
    assert response.status_code == 200, response.text
    return gateway.sent(response)[0]["inputs"]["referenceImages"][-1]


@pytest.mark.parametrize("place", ["with a size", "later"])
@pytest.mark.parametrize("name", FIT)
def test_an_image_the_model_takes_as_it_is_is_handed_on_by_its_address(gateway, site, name, place):
    url = site.put(FIT[name])
    site.pages[url.rpartition("/")[2].join(("/", "?first"))] = png(500, 500)
    assert sent(gateway, edit(gateway, PLACES[place](url))) == url


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", UNFIT)
def test_an_image_the_model_does_not_take_is_fetched_and_fitted_like_an_upload(gateway, site, name, place):
    data, size = UNFIT[name]
    url = site.put(data)
    site.pages[url.rpartition("/")[2].join(("/", "?first"))] = png(500, 500)
    body = PLACES[place](url)
    response = edit(gateway, body)
    reference = sent(gateway, response)
    assert (reference["width"], reference["height"]) == size
    uploaded = gateway.edit([("image", ("a", data))], model="riverflow-1", size="1024x1024")
    assert sent(gateway, uploaded)["sha256"] == reference["sha256"]
    told = [(one["requested"], one["applied"]) for one in response.json()["metadata"]["adjustments"]]
    assert told == [(one["requested"], one["applied"]) for one in uploaded.json()["metadata"]["adjustments"]]


def test_more_bytes_than_the_model_takes_are_fetched_and_made_fewer(gateway, site):
    url = site.put(encode(photo(2000, 2000), compress_level=0))
    model = "bytedance-seedream-4-5"
    assert len(site.pages[f"/{url.rpartition('/')[2]}"]) > 10_000_000
    reference = sent(gateway, edit(gateway, {"image": url, "model": model, "size": "2048x2048"}))
    assert reference["width"] == 2000
    assert reference["bytes"] < 10_000_000


@pytest.mark.parametrize("place", ["with a size", "without a size"])
@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_image_is_named_for_what_it_is(gateway, site, name, place):
    data, word = FOREIGN[name]
    response = edit(gateway, PLACES[place](site.put(data)))
    assert (response.status_code, response.json()["error"]["param"]) == (400, "image")
    assert word in response.json()["error"]["message"]


def test_the_estimate_sees_what_will_be_sent(gateway, site):
    url = site.put(UNFIT["too long"][0])
    planned = edit(gateway, {"image": url, "size": "1024x1024"}, dry_run=True).json()
    (reference,) = planned["plan"][0]["inputs"]["referenceImages"]
    assert (reference["width"], reference["height"]) == (2048, 300)
    assert [one["requested"] for one in planned["adjustments"]] == ["6000x400"]


def test_what_cannot_be_looked_at_from_here_is_left_to_runware(gateway, site):
    url = f"http://127.0.0.1:{site.server.server_port}/not-for-us"
    planned = edit(gateway, {"image": url, "size": "1024x1024"}, dry_run=True)
    assert planned.json()["plan"][0]["inputs"]["referenceImages"] == [url]


def test_a_good_image_is_asked_for_once_and_no_more_than_its_beginning_is_read(gateway, site):
    url = site.put(FIT["png"])
    planned = edit(gateway, {"image": url, "size": "1024x1024"}, dry_run=True)
    assert planned.status_code == 200
    assert site.asked.count(f"/{url.rpartition('/')[2]}") == 1
