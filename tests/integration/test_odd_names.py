"""Whatever callers call things: never a 500, and never a header that is not printable ASCII."""

import json
from urllib.parse import quote

import pytest

from tests.support.processes import unique

ODD = [
    "a\nb:1@1", "civitai:1@1\r\nX-Evil: 1", "runware:\x00@1", "möwe:1@1", "civitai:é@1", "civitai:1@\u0663", "runware:100@\uff11", "civitai:1@1\x7f", "x:1@1\x85", "runware:100@1\u2028",
    "../../etc", "a:1@1;x=y", "%0d%0a:1@1", " ", "\t", "🎨:1@1", "civitai:" + "9" * 3000 + "@1", "c" * 150 + ":1@1", "a" * 5000, "[]", "{}", "null", "__proto__", "a/b/c/../d",
]  # fmt: skip


def check(answer) -> None:
    assert answer.status_code in {200, 400, 404}, (answer.status_code, answer.text[:300])
    for name, value in answer.headers.multi_items():
        assert (name + value).isascii(), name
        assert (name + value).isprintable(), name
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize("name", ODD, ids=lambda name: ascii(name[:20]))
def test_an_odd_name_is_refused_or_served(gateway, name):
    body = {"prompt": unique(), "size": "256x256"}
    for fields in (
        {"model": name},
        {"model": name, "stream": True},
        {"model": "flux.1-schnell", name: 1},
        {"model": "flux.1-schnell", "inputs": {name: 1}},
        {"model": "flux.1-dev", "lora": [{"model": "a:1@1", name: 1}]},
        {"model": "flux.1-schnell", "user": name, "webhook_url": name},
    ):
        check(
            gateway.client.post(
                "/images/generations?dryRun=true",
                content=json.dumps(body | fields),
                headers={"Content-Type": "application/json"},
            )
        )
    check(gateway.client.post("/images/generations", json=body | {"model": name}))
    check(gateway.client.get(f"/models/{quote(name, safe='')}"))
    check(gateway.client.get(f"/models/{quote(name, safe='')}?schema=true"))
    check(gateway.client.get(f"/requests?model={quote(name, safe='')}&starting_after={quote(name, safe='')}"))
    check(gateway.client.get(f"/{quote(name, safe='')}"))


@pytest.mark.parametrize(
    "header",
    [
        "Idempotency-Key",
        "X-Client-Request-Id",
        "User-Agent",
        "Prefer",
        "X-Spillway-Timeout",
        "X-Stainless-Retry-Count",
        "Origin",
        "Content-Type",
        "Accept",
    ],
)
@pytest.mark.parametrize(
    "value",
    [b"\xff\xfe", b"\xc3\xa9", b"a" * 5000, b"'\"\\;=,", b"a\tb", b"9" * 400, b"nan", b"-inf"],
    ids=lambda value: ascii(value[:10]),
)
def test_an_odd_header_is_refused_or_served(gateway, header, value):
    body = json.dumps({"prompt": unique(), "size": "256x256"})
    headers = {"Content-Type": "application/json"} | {header: value}
    check(gateway.client.post("/images/generations", content=body, headers=headers))


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [100, 960, 5000, 100_000])
def test_deep_json_is_refused(gateway, opening, depth):
    inner = opening * depth + "1" + ("]" if opening == "[" else "}") * depth
    for body in (inner, f'{{"prompt": "a pier", "size": "256x256", "extra": {inner}}}', f'{{"prompt": {inner}}}'):
        answer = gateway.client.post("/images/generations", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text[:200]
    answer = gateway.client.post("/images/edits", data={"prompt": "a pier", "lora": inner}, files={"image": b"x"})
    assert answer.status_code == 400, answer.text[:200]
