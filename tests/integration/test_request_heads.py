"""Heads without end, and whatever else comes before or behind a body, are bounded before anything is kept."""

import concurrent.futures
import contextlib
import itertools
import json
import random
import re
import socket

import psutil
import pytest

from tests.support.raw import ConnectionEndedError, RawConnection, chunked, head
from tests.support.waiting import longest_stall

BODY = json.dumps({"prompt": "a quiet harbor", "size": "256x256"}).encode()
BLOCK = 256 * 1024
START = head("/v1/models", method="GET")[:-2]
CHUNKED = head("/v1/images/generations", "Content-Type: application/json", "Transfer-Encoding: chunked")
BEHIND_A_BODY = CHUNKED + chunked(BODY) + START + b"X-Long: "
ENDLESS = {
    "fields": (START, b"".join(b"X-%d: a\r\n" % place for place in range(BLOCK // 10))),
    "field names": (START, b"".join(b"x" * 50 + b": \r\n" for _ in range(BLOCK // 54))),
    "one value": (START + b"X-Long: ", b"a" * BLOCK),
    "one name": (START, b"a" * BLOCK),
    "path": (b"GET /v1/", b"a" * BLOCK),
    "method": (b"", b"A" * BLOCK),
    "empty lines": (b"", b"\r\n" * (BLOCK // 2)),
    "folded lines": (START + b"X-Long: a\r\n", b" a\r\n" * (BLOCK // 4)),
    "trailers": (CHUNKED + chunked(BODY)[:-2], b"".join(b"X-%d: a\r\n" % place for place in range(BLOCK // 10))),
    "one trailer": (CHUNKED + chunked(BODY)[:-2] + b"X-Long: ", b"a" * BLOCK),
    "chunk extension": (CHUNKED + b"5;a=", b"a" * BLOCK),
    "chunk size": (CHUNKED, b"0" * BLOCK),
    "head behind a body": (BEHIND_A_BODY, b"a" * BLOCK),
}


def is_healthy(gateway) -> None:
    assert gateway.client.get(f"{gateway.origin}/healthz").status_code == 200


@pytest.mark.parametrize(("first", "block"), ENDLESS.values(), ids=ENDLESS)
def test_what_has_no_end_is_cut_off_soon_and_nobody_waits_for_it(gateway, first, block):
    before = psutil.Process().memory_info().rss
    with RawConnection(gateway.origin) as connection, concurrent.futures.ThreadPoolExecutor(1) as threads:
        connection.send(first)
        sending = threads.submit(lambda: next((n for n in range(256) if not connection.try_send(block)), None))
        longest = longest_stall(lambda: is_healthy(gateway), sending)
        taken = sending.result()
    if first != BEHIND_A_BODY:  # there the answer before is waited for, and what comes is thrown away
        assert taken is not None, "64 MiB were taken"
        assert taken < 64  # what the buffers of two sockets hold may go
    assert longest < 2
    assert psutil.Process().memory_info().rss - before < 100_000_000


def test_a_body_in_chunks_of_a_byte_keeps_nobody_waiting(gateway):
    chunks = chunked(b"x")[:-5] * (BLOCK // 6)
    with RawConnection(gateway.origin) as connection, concurrent.futures.ThreadPoolExecutor(1) as threads:
        connection.send(CHUNKED)
        sending = threads.submit(lambda: [connection.try_send(chunks) for _ in range(32)])
        longest = longest_stall(lambda: is_healthy(gateway), sending)
    assert longest < 1


@pytest.mark.parametrize("name", ["fields", "one value", "path", "one name"])
def test_a_head_that_is_too_large_is_told(gateway, name):
    first, block = ENDLESS[name]
    with RawConnection(gateway.origin) as connection:
        connection.send(first + block[: 70 * 1024])
        answer = connection.answer()
        assert (answer.status, answer.json()["error"]["code"]) == (431, "head_too_large")
        assert "64 KiB and 100 fields" in answer.json()["error"]["message"]
        assert answer.headers["x-request-id"].startswith("req_")
        assert connection.ends_within(10) is not None


@pytest.mark.parametrize(("size", "status"), [(60 * 1024, 200), (64 * 1024, 431)])
def test_the_bound_is_64_kib(gateway, size, status):
    with RawConnection(gateway.origin) as connection:
        for _ in range(2 if status == 200 else 1):
            connection.send(head("/v1/models/riverflow-1", f"X-Long: {'a' * size}", method="GET"))
            assert connection.answer().status == status


@pytest.mark.parametrize(("count", "status"), [(98, 200), (99, 431)], ids=["100 fields", "101 fields"])
def test_the_bound_is_100_fields(gateway, count, status):
    fields = [f"X-{place}: a" for place in range(count)]  # two more are written by `head`
    with RawConnection(gateway.origin) as connection:
        connection.send(head("/v1/models/riverflow-1", *fields, method="GET"))
        assert connection.answer().status == status


def test_trailers_are_dropped_and_the_connection_goes_on(gateway):
    trailers = b"Authorization: Bearer wrong\r\nIdempotency-Key: a\r\n" + b"".join(
        b"X-%d: a\r\n" % n for n in range(200)
    )
    with RawConnection(gateway.origin) as connection:
        for _ in range(3):
            connection.send(CHUNKED + chunked(BODY, trailers=trailers))
            answer = connection.answer()
            assert (answer.status, answer.headers.get("idempotent-replayed")) == (200, None)


def test_a_head_may_come_byte_by_byte(gateway):
    request = head("/v1/models/riverflow-1", method="GET")
    with RawConnection(gateway.origin) as connection:
        connection.send(*(request[place : place + 1] for place in range(len(request))), pause=0.002)
        assert connection.answer().status == 200


def test_what_was_asked_for_before_is_answered_whole(gateway):
    """The answer to a request that was paid for is not cut by what its caller sends after it."""
    slow = json.dumps({"prompt": "a pier", "size": "256x256", "response_format": "b64_json"}).encode()
    request = head("/v1/images/generations", "Content-Type: application/json", f"Content-Length: {len(slow)}") + slow
    for nonsense in (b"\x00\x01\x02", START + b"X-Long: " + b"a" * 100_000, b"CONNECT a:1 HTTP/1.1\r\n\r\n"):
        with RawConnection(gateway.origin) as connection:
            connection.send(request, nonsense)
            answer = connection.answer()
            assert (answer.status, len(answer.json()["data"])) == (200, 1)
            # What follows is read once there is room for it: then it is refused, or the connection has ended before.
            with contextlib.suppress(ConnectionEndedError):
                assert connection.answer().status in {400, 431}
            with pytest.raises(ConnectionEndedError):
                connection.answer()


@pytest.mark.parametrize("target", [b"http://", b"http://a:99999999/", b"/\xff"], ids=str)
def test_a_target_that_cannot_be_read_takes_nothing_from_what_is_being_made(gateway, target):
    slow = json.dumps({"prompt": "a pier [sim:slow=0.5]", "size": "256x256"}).encode()
    request = head("/v1/images/generations", "Content-Type: application/json", f"Content-Length: {len(slow)}") + slow
    with RawConnection(gateway.origin) as connection:
        connection.send(request + b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = connection.answer()
        assert (answer.status, len(answer.json()["data"])) == (200, 1)
        assert connection.rest() == b""


@pytest.mark.parametrize(
    "offer", [(), ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: a")], ids=["plain", "offer"]
)
@pytest.mark.parametrize(("count", "status"), [(100, 200), (101, 431)])
def test_every_field_of_a_head_counts_those_of_an_offer_too(gateway, offer, count, status):
    more = [f"X-{number}: a" for number in range(count - 2 - len(offer))]
    with RawConnection(gateway.origin) as connection:
        request = head("/v1/models/riverflow-1", *offer, *more, method="GET")
        assert request.count(b"\r\n") - 2 == count, "fields"
        connection.send(request)
        assert connection.answer().status == status


def test_requests_sent_ahead_are_answered_in_order_without_being_kept(gateway):
    """Each is small on the wire and large in memory."""
    count = 4000
    before = psutil.Process().memory_info().rss
    request = b"GET /healthz?%d HTTP/1.1\r\nHost: a\r\n\r\n"
    with RawConnection(gateway.origin) as connection, concurrent.futures.ThreadPoolExecutor(1) as threads:
        sending = threads.submit(connection.socket.sendall, b"".join(request % place for place in range(count)))
        assert all(connection.answer().json() == {"status": "ok"} for _ in range(count))
        sending.result()
    assert psutil.Process().memory_info().rss - before < 50_000_000


def test_bodies_and_heads_mixed_in_one_packet_are_told_apart(gateway):
    sized = head("/v1/images/generations", "Content-Type: application/json", f"Content-Length: {len(BODY)}") + BODY
    models = head("/v1/models/riverflow-1", method="GET")
    kinds = list(itertools.islice(itertools.cycle([sized, models, CHUNKED + chunked(BODY)]), 12))
    with RawConnection(gateway.origin) as connection:
        connection.send(b"".join(kinds))
        for kind in kinds:
            assert connection.answer().json().get("object") == ("model" if kind is models else None)


def test_damaged_requests_are_refused_or_served_and_nothing_hangs(gateway):
    """Seeded mutations of requests with offers, chunks and trailers, cut anywhere."""
    chance, models = (
        random.Random(11),
        head("/v1/models/riverflow-1", "Connection: upgrade", "Upgrade: h2c", method="GET"),
    )
    whole = [CHUNKED + chunked(b"{}", trailers=b"A: b\r\n"), models, head("/healthz", method="GET", version="1.0")]
    for _ in range(300):
        data = bytearray(b"".join(chance.choices(whole, k=chance.randint(1, 3))))
        for _ in range(chance.randint(0, 4)):
            place = chance.randrange(len(data))
            if chance.random() < 0.5:
                data[place] = chance.randrange(256)
            else:
                data[place : place + chance.randint(0, 9)] = chance.randbytes(chance.randint(1, 9))
        with RawConnection(gateway.origin, timeout=10) as connection:
            cut = chance.randrange(len(data))
            sent = connection.try_send(bytes(data[:cut])) and connection.try_send(bytes(data[cut:]))
            if sent:
                with contextlib.suppress(OSError):
                    connection.socket.shutdown(socket.SHUT_WR)
            statuses = set(re.findall(rb"HTTP/1\.1 (\d{3}) ", connection.rest()))
            assert statuses <= {b"200", b"400", b"401", b"404", b"405"}, (statuses, bytes(data))
