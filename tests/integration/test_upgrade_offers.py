"""A request that offers another protocol is served as HTTP/1.1, with its body, and its connection goes on."""

import json
import shutil
import subprocess

import pytest

from tests.support import loopback
from tests.support.images import png
from tests.support.raw import JSON, RawConnection, chunked, form, head

BODY = json.dumps({"prompt": "a quiet harbor", "size": "256x256"}).encode()
FORM = form({"prompt": "make it night", "model": "flux.2-pro", "size": "256x256"}, {"image": png(256, 256)})
MULTIPART = "multipart/form-data; boundary=line-between-parts"
H2C = (
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
)
OFFERS = {
    "h2c": H2C,
    "h2c in odd case": ("connection: hTTP2-settings ,  UPGRADE", "uPGRADE: H2C", "http2-settings: AAMAAABk"),
    "h2c on two lines": (
        "Connection: HTTP2-Settings",
        "Connection: upgrade",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABk",
    ),
    "several": ("Connection: keep-alive, Upgrade", "Upgrade: h2c, TLS/1.2, foo"),
    "TLS": ("Upgrade: TLS/1.0", "Connection: Upgrade"),
    "websocket": (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==",
    ),
    "not in Connection": ("Upgrade: h2c",),
}
BODIES = {"JSON": ("/v1/images/generations", JSON, BODY), "form": ("/v1/images/edits", MULTIPART, FORM)}


def written(path: str, kind: str, body: bytes, framing: str, offer: tuple[str, ...]) -> tuple[bytes, bytes]:
    length = "Transfer-Encoding: chunked" if framing == "chunked" else f"Content-Length: {len(body)}"
    return head(path, f"Content-Type: {kind}", *offer, length), chunked(body) if framing == "chunked" else body


def cut(first: bytes, body: bytes, packets: str) -> list[bytes]:
    whole = first + body
    match packets:
        case "one packet":
            return [whole]
        case "body later":
            return [first, body]
        case "body in pieces":
            return [
                first,
                *(body[start : start + 1 + len(body) // 5] for start in range(0, len(body), 1 + len(body) // 5)),
            ]
        case "head cut":
            return [whole[:60], whole[60:150], whole[150 : len(first) + 7], whole[len(first) + 7 :]]
    raise AssertionError(packets)


@pytest.mark.parametrize("packets", ["one packet", "body later", "body in pieces", "head cut"])
@pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
@pytest.mark.parametrize("body", BODIES)
def test_the_body_is_read_and_the_connection_goes_on(gateway, body, framing, packets):
    path, kind, content = BODIES[body]
    first, rest = written(path, kind, content, framing, H2C)
    with RawConnection(gateway.origin) as connection:
        for _ in range(2):
            connection.send(*cut(first, rest, packets))
            answer = connection.answer()
            assert (answer.status, answer.version) == (200, "HTTP/1.1"), answer.body
            assert len(answer.json()["data"]) == 1
            assert "upgrade" not in answer.headers
        connection.send(head("/v1/models", method="GET"))
        assert connection.answer().status == 200


@pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_every_offer_is_passed_over(gateway, offer, framing):
    first, rest = written("/v1/images/generations", JSON, BODY, framing, offer)
    with RawConnection(gateway.origin) as connection:
        connection.send(first, rest)
        assert connection.answer().status == 200
        connection.send(first + rest)
        assert connection.answer().status == 200


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_offer_without_a_body_is_passed_over(gateway, offer):
    with RawConnection(gateway.origin) as connection:
        for _ in range(2):
            connection.send(head("/v1/models", *offer, method="GET"))
            assert connection.answer().json()["object"] == "list"


def test_offers_sent_ahead_are_answered_in_order(gateway):
    first, rest = written("/v1/images/generations", JSON, BODY, "chunked", H2C)
    models = head("/v1/models/riverflow-1", *H2C, method="GET")
    with RawConnection(gateway.origin) as connection:
        connection.send(first + rest + models + first + rest + models)
        assert [connection.answer().json().get("object") for _ in range(4)] == [None, "model", None, "model"]


def test_what_the_offer_says_does_not_reach_over_to_the_next_request(gateway):
    first, rest = written("/v1/images/generations", JSON, BODY, "Content-Length", H2C)
    with RawConnection(gateway.origin) as connection:
        connection.send(first, rest)
        assert connection.answer().status == 200
        connection.send(
            head(
                "/v1/images/generations",
                "Content-Type: application/json",
                f"Content-Length: {len(BODY)}",
                "Connection: close",
            ),
            BODY,
        )
        assert connection.answer().status == 200
        assert connection.ends_within(5) is not None


@pytest.mark.parametrize("target", ["example.com:443", "/v1/models"])
def test_a_tunnel_is_refused_and_the_connection_ends(gateway, target):
    with RawConnection(gateway.origin) as connection:
        connection.send(f"CONNECT {target} HTTP/1.1\r\nHost: example.com\r\n\r\nGET / HTTP/1.1\r\n\r\n".encode())
        assert connection.answer().status in {400, 405}
        assert connection.ends_within(5) is not None


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
def test_curl_that_offers_http2_is_served(gateway, tmp_path, body, framing):
    path, kind, content = BODIES[body]
    (tmp_path / "body").write_bytes(content)
    written_out = "\n%{http_code} %{num_connects}\n"
    command = ["curl", "-sS", "--http2", "--max-time", "30", "-w", written_out, "-H", f"Content-Type: {kind}"]
    command += ["-H", "Authorization: Bearer test-key", "--data-binary", f"@{tmp_path / 'body'}"]
    command += ["-H", "Transfer-Encoding: chunked"] if framing == "chunked" else []
    url = f"{gateway.origin}{path}"
    done = subprocess.run([*command, url, "--next", *command[1:], url], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert (lines[1], lines[3]) == ("200 1", "200 0"), done.stdout
    assert len(json.loads(lines[0])["data"]) == 1


def test_an_http_client_without_an_offer_is_served_as_before(gateway):
    assert loopback.get(f"{gateway.origin}/healthz").json() == {"status": "ok"}
