"""Servers that webhooks are sent to, and what their signatures must be."""

import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from app.webhooks.dispatcher import DeliverySchedule
from tests.support.waiting import seen

QUICK = DeliverySchedule(waits=(0.05, 0.1, 0.2), looks_every=0.3)


class Receiver:
    """Takes webhooks, answering with one status after the other; the last one repeats."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        self.url = ""

    def wait_for(self, count: int) -> list[tuple[dict[str, str], bytes]]:
        calls = seen(lambda: self.calls, lambda calls: len(calls) >= count, 60)
        assert len(calls) >= count
        return calls


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    receiver = Receiver(*statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            # Noted before it is answered: the next call may come with the answer, on another thread.
            receiver.paths.append(self.path)
            receiver.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status = receiver.statuses.pop(0) if len(receiver.statuses) > 1 else receiver.statuses[0]
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook?who=me"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


def signature(secret: str, headers: dict[str, str], body: bytes) -> str:
    """What Standard Webhooks says the signature is, computed apart from the gateway."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
