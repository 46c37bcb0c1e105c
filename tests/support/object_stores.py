"""Real object stores on loopback: moto's S3 server over HTTP, which can refuse, and stand still.

Google's XML API, which `obstore` speaks, is S3's with other headers, so the same server answers for it.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.support import loopback

BUCKET = "images"
_SOMEBODY = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
_Environ = dict[str, Any]
_Start = Callable[..., Any]


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Nobody reads it."""


def variables_of(url: str) -> Mapping[str, str]:
    """What a gateway, or a test, needs to reach a server by S3 and by Google's API."""
    account = {"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test-secret",
        "GOOGLE_BASE_URL": url,
        "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps({"gcs_base_url": url, **account}),
    }


class ObjectServer:
    """An object store with one bucket. What is asked of it is counted in `asked`.

    All servers of a process share what moto keeps, so that what lay in the bucket before is not told by any of them.
    """

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._status: int | None = None
        self._going_on = threading.Event()
        self._going_on.set()
        self.asked: list[tuple[str, str]] = []
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._names_before, self._unfinished_before = frozenset[str](), 0
        self.make_bucket(BUCKET)
        self._names_before, self._unfinished_before = frozenset(self.names()), self.unfinished()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def variables(self) -> Mapping[str, str]:
        """What a gateway, or a test, needs to reach it."""
        return variables_of(self.url)

    def make_bucket(self, name: str) -> None:
        """A bucket, as an administrator makes it."""
        loopback.request("PUT", f"{self.url}/{name}").raise_for_status()

    def names(self) -> set[str]:
        """What lies in the bucket."""
        text = loopback.get(f"{self.url}/{BUCKET}?list-type=2").raise_for_status().text
        return {piece.partition("</Key>")[0] for piece in text.split("<Key>")[1:]} - self._names_before

    def unfinished(self) -> int:
        """How many uploads in parts were begun and neither ended nor given up."""
        text = loopback.get(f"{self.url}/{BUCKET}?uploads").raise_for_status().text
        return text.count("<Upload>") - self._unfinished_before

    @contextlib.contextmanager
    def answering(self, status: int) -> Iterator[None]:
        """Whatever is asked, it answers with a status."""
        self._status = status
        try:
            yield
        finally:
            self._status = None

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """It takes requests, and answers them afterwards."""
        self._going_on.clear()
        try:
            yield
        finally:
            self._going_on.set()

    def close(self) -> None:
        """End it."""
        self._going_on.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: _Environ, start: _Start) -> Iterable[bytes]:
        self.asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        self._going_on.wait(120)
        if self._status is not None:
            start(f"{self._status} Refused", [("Content-Length", "0")])
            return [b""]
        # The server wants S3's form of who asks, which Google's tokens do not have; it believes any.
        if environ.get("HTTP_USER_AGENT", "").startswith("object_store") and not (
            environ.get("HTTP_AUTHORIZATION", "").startswith("AWS4")
        ):
            environ["HTTP_AUTHORIZATION"] = _SOMEBODY
        return self._app(environ, start)
