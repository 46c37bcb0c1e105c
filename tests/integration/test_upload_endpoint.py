"""`uploadEndpoint`: what lies at the address is what was asked for, or nothing is bought."""

import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from tests.support.images import encode, open_bytes, png
from tests.support.waiting import seen


@pytest.fixture
def bucket():
    """An address that takes images by PUT, and what was put there: type and bytes."""
    taken: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            taken.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/bucket/image?signature=secret", taken
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp"])
def test_what_runware_makes_itself_is_put_there(gateway, bucket, format_):
    address, taken = bucket
    answer = gateway.generate(output_format=format_, uploadEndpoint=address, response_format="b64_json")
    assert answer.status_code == 200, answer.text
    assert answer.json()["metadata"]["adjustments"] == []
    assert seen(lambda: taken, bool)
    ((media_type, data),) = taken
    assert (media_type, open_bytes(data).format) == (f"image/{format_}", format_.upper())
    assert open_bytes(data).size == (256, 256)


@pytest.mark.parametrize(
    "fields",
    [
        {"output_format": "gif"},
        {"output_format": "avif"},
        {"output_format": "jpeg", "output_compression": 5},
        {"size": "333x333", "fit": "cover"},
    ],
    ids=["gif", "avif", "low-quality", "fit"],
)
def test_an_image_that_is_made_here_is_refused_before_anything_is_bought(gateway, bucket, fields):
    prompt = uuid.uuid4().hex
    refused = gateway.generate(prompt=prompt, uploadEndpoint=bucket[0], **fields)
    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (400, "uploadEndpoint")
    assert "secret" not in refused.text
    assert gateway.simulator.made(prompt) == 0


def test_an_image_that_is_pasted_here_is_refused_too(gateway, bucket):
    mask = encode(Image.new("RGBA", (640, 480), (0, 0, 0, 0)))
    files = [("image", ("a.png", png(640, 480))), ("mask", ("m.png", mask))]
    refused = gateway.edit(files, model="riverflow-1-mini", uploadEndpoint=bucket[0])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "uploadEndpoint")


def test_an_address_that_takes_nothing_does_not_harm_the_answer(gateway):
    assert gateway.generate(uploadEndpoint="http://127.0.0.1:9/nobody").status_code == 200
