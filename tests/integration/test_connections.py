"""How long connections live, how old callers are answered, and how bodies may be compressed."""

import concurrent.futures
import gc
import gzip
import json
import sys
import time
import zlib

import brotli
import psutil
import pytest

from app.server.connection import GatewayProtocol
from tests.support.images import png
from tests.support.raw import RawConnection, form, head
from tests.support.waiting import longest_stall, seen

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MODELS = head("/v1/models/riverflow-1", method="GET")


@pytest.fixture(scope="module")
def brief(start_shared_gateway):
    """A gateway whose idle connections end after a second."""
    return start_shared_gateway(SPILLWAY_KEEP_ALIVE="1")


@pytest.mark.slow
def test_a_connection_outlives_the_pools_and_balancers_before_it(gateway):
    """Python's and Node's pools keep theirs for 5 seconds."""
    with RawConnection(gateway.origin) as connection:
        connection.send(MODELS)
        assert connection.answer().status == 200
        time.sleep(6.5)
        connection.send(MODELS)
        assert connection.answer().status == 200


def test_an_idle_connection_ends_when_the_operator_says(brief):
    with RawConnection(brief.origin) as connection:
        for _ in range(2):
            sent = time.monotonic()
            connection.send(MODELS)
            assert connection.answer().status == 200
        assert connection.ends_within(20) is not None
        assert time.monotonic() - sent >= 0.8


def test_a_caller_of_http_1_0_gets_a_stream_without_chunks(gateway):
    body = json.dumps({"prompt": "a pier", "size": "256x256", "stream": True, "n": 2}).encode()
    request = head(
        "/v1/images/generations", "Content-Type: application/json", f"Content-Length: {len(body)}", version="1.0"
    )
    with RawConnection(gateway.origin) as connection:
        connection.send(request + body)
        answer = connection.answer()  # up to the end of the connection
    assert (answer.status, answer.headers["content-type"], answer.headers["connection"]) == (
        200,
        "text/event-stream; charset=utf-8",
        "close",
    )
    assert "transfer-encoding" not in answer.headers
    assert "content-length" not in answer.headers
    events = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in events] == ["image_generation.completed"] * 2


@pytest.mark.parametrize(
    "offer",
    [(), ("Connection: keep-alive",), ("Connection: upgrade", "Upgrade: h2c")],
    ids=["plain", "keep-alive", "upgrade"],
)
@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/nowhere"])
def test_a_caller_of_http_1_0_gets_answers_of_known_length(gateway, path, offer):
    with RawConnection(gateway.origin) as connection:
        connection.send(head(path, *offer, method="GET", version="1.0"))
        answer = connection.answer()
        assert int(answer.headers["content-length"]) == len(answer.body) > 0
        assert connection.ends_within(10) is not None


GENERATION = json.dumps({"prompt": "a quiet harbor", "size": "256x256"}).encode()
FORM = form({"prompt": "make it night", "model": "flux.2-pro", "size": "256x256"}, {"image": png(256, 256)})
MULTIPART = "multipart/form-data; boundary=line-between-parts"
PACKERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "GZIP": gzip.compress,
    "zstd": zstd.compress,
    "br": brotli.compress,
    "identity": bytes,
}


@pytest.mark.parametrize(("encoding", "pack"), PACKERS.items(), ids=PACKERS)
@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [("/images/generations", "application/json", GENERATION), ("/images/edits", MULTIPART, FORM)],
    ids=["JSON", "form"],
)
def test_a_packed_body_is_read(gateway, path, kind, body, encoding, pack):
    answer = gateway.client.post(path, content=pack(body), headers={"Content-Type": kind, "Content-Encoding": encoding})
    assert (answer.status_code, len(answer.json().get("data", []))) == (200, 1), answer.text


@pytest.mark.parametrize("encoding", ["compress", "gzip, br", "aes128gcm", "gzip\t,gzip", "\xe9"])
def test_another_encoding_is_named(gateway, encoding):
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding.encode("latin-1")}
    answer = gateway.client.post("/images/generations", content=GENERATION, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_content_encoding")
    assert answer.json()["error"]["param"] == "Content-Encoding"
    assert "gzip, deflate, zstd, br" in answer.json()["error"]["message"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "br"])
def test_a_damaged_body_is_told(gateway, encoding):
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    for body in (GENERATION, PACKERS[encoding](GENERATION)[:-5]):
        answer = gateway.client.post("/images/generations", content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "body"), answer.text


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "br"])
def test_a_bomb_is_refused_at_the_limit_and_nobody_waits_for_it(gateway, encoding):
    packed = (
        PACKERS[encoding](bytes(400_000_000)) if encoding != "br" else brotli.compress(bytes(400_000_000), quality=1)
    )
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    before = psutil.Process().memory_info().rss
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        bomb = threads.submit(gateway.client.post, "/images/generations", content=packed, headers=headers)
        longest = longest_stall(lambda: gateway.client.get(f"{gateway.origin}/healthz").raise_for_status(), bomb)
    assert (bomb.result().status_code, bomb.result().json()["error"]["code"]) == (413, "request_too_large")
    assert longest < 2
    assert psutil.Process().memory_info().rss - before < 200_000_000


def connections() -> dict[int, GatewayProtocol]:
    """The connections of all gateways in this process, also those that have ended and are not freed yet."""
    return {id(one): one for one in gc.get_objects() if isinstance(one, GatewayProtocol)}


@pytest.mark.parametrize("is_read", [True, False], ids=["its answer was read", "its caller left"])
def test_a_connection_that_has_ended_is_freed_at_once_and_not_by_the_collector(brief, is_read):
    """That comes seldom, so that what only it could free would hold a body, or an answer, for minutes."""
    before = connections()
    gc.disable()
    try:
        for _ in range(3):
            with RawConnection(brief.origin) as connection:
                connection.send(MODELS)
                if is_read:
                    assert connection.answer().status == 200
        assert seen(lambda: connections().keys() - before.keys(), lambda left: not left) == set()
    finally:
        gc.enable()
