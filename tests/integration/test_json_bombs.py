"""JSON made to exhaust: small to send, large to hold. The process stays small, and nobody beside waits."""

import base64
import json
import os
import time

import psutil
import pytest

from tests.support import loopback
from tests.support.processes import free_port, process
from tests.support.siege import resident, watch_during

MIB = 1024 * 1024
HEADERS = {"Authorization": "Bearer test-key"}
LONGEST_STALL = 0.5
"""Seconds; each of these bodies kept the event loop for 1 to 7 when all of its objects were built."""
MOST_GROWTH = 160 * MIB
"""They grew the process by 500 to 1,700 MiB."""


@pytest.fixture(scope="module")
def besieged(simulator, tmp_path_factory):
    """A gateway in a process of its own, warm: its address and its process."""
    port = free_port()
    with process(simulator, tmp_path_factory.mktemp("data"), port) as running:
        origin = f"http://127.0.0.1:{port}"
        watch_during(origin, psutil.Process(running.pid), lambda: time.sleep(0.5))
        yield origin, psutil.Process(running.pid)


def nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    """A value in a value in a value."""
    return b'{"prompt":"a harbor","x":' + opening * depth + b"1" + closing * depth + b"}"


def many(item: bytes) -> bytes:
    """60 MiB of a small value."""
    return b'{"prompt":"a harbor","x":[' + item * (60 * MIB // len(item)) + b"1]}"


def form(value: bytes, name: bytes = b"settings") -> bytes:
    """A form with JSON in a field."""
    parts = ((b"prompt", b"a harbor"), (name, value))
    body = b"".join(b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % part for part in parts)
    return body + b"--x--\r\n"


JSON, FORM = "application/json", "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("kind", "make", "param"),
    [
        (JSON, lambda: many(b"[],"), "body"),
        (JSON, lambda: many(b"{},"), "body"),
        (JSON, lambda: many(b'"",'), "body"),
        (JSON, lambda: b'{"prompt":"a harbor"' + b"".join(b',"%d":1' % number for number in range(4_000_000)) + b"}", "body"),
        (JSON, lambda: b'\xef\xbb\xbf{"prompt":"a harbor","x":[' + b"[]," * 20_000_000 + b"1]}", "body"),
        (JSON, lambda: nested(b"[", b"]", 960), "body"),
        (JSON, lambda: nested(b'{"a":', b"}", 960), "body"),
        (JSON, lambda: b'{"prompt":"a harbor","x":1' + b"1" * 60 * MIB + b"}", "body"),
        (JSON, lambda: b'{"prompt":"a harbor","x":"' + rb"\u0041" * 10 * MIB + b'"}', "body"),
        (FORM, lambda: form(b"[" + b"[]," * 10 * MIB + b"1]"), "settings"),
        (FORM, lambda: form(b"[" * 960 + b"]" * 960), "settings"),
        (FORM, lambda: form(b"[" + b"[]," * 10 * MIB + b"1]", b"image"), "image"),
        (FORM, lambda: form(b"[" * 960 + b"]" * 960, b"image"), "image"),
    ],
    ids=["lists", "objects", "texts", "members", "byte order mark", "960 lists deep", "960 objects deep", "digits", "escapes", "in a form", "deep in a form", "for an image", "deep for an image"],
)  # fmt: skip
def test_a_bomb_costs_the_gateway_little_and_others_nothing(besieged, kind, make, param):
    (origin, gateway), body = besieged, make()
    before = resident(gateway)

    def send() -> None:
        response = loopback.post(
            f"{origin}/v1/images/generations", content=body, headers={**HEADERS, "Content-Type": kind}, timeout=60
        )
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["param"]) == (400, "too_complex", param)

    watch = watch_during(origin, gateway, send)
    assert watch.longest_stall < LONGEST_STALL
    assert watch.peak - before < MOST_GROWTH


def test_a_large_image_in_json_keeps_nobody_waiting(besieged):
    """What large bodies are for: one image of 22 MiB, in 30 MiB of base64 as .NET writes it."""
    origin, gateway = besieged
    text = base64.b64encode(b"GIF89a" + os.urandom(22 * MIB)).decode()
    body = json.dumps({"prompt": "a harbor", "model": "flux.1-dev", "image": text}).replace("+", r"\u002B").encode()
    before = resident(gateway)

    def send() -> None:
        response = loopback.post(
            f"{origin}/v1/images/edits", content=body, headers={**HEADERS, "Content-Type": JSON}, timeout=60
        )
        assert (response.status_code, response.json()["error"]["param"]) == (400, "image")

    watch = watch_during(origin, gateway, send)
    assert watch.longest_stall < LONGEST_STALL
    assert watch.peak - before < 8 * len(body)


def test_a_list_of_many_small_commas_in_a_prompt_is_a_prompt(besieged):
    origin, _ = besieged
    prompt = ", ".join(["a harbor"] * 300)
    body = {"prompt": prompt, "size": "256x256", "model": "flux.1-schnell"}
    assert (
        loopback.post(f"{origin}/v1/images/generations?dryRun=true", json=body, headers=HEADERS, timeout=60).status_code
        == 200
    )
