"""JSON from strangers: bounded in values, depth and what is no long text, and read right otherwise."""

import base64
import contextlib
import json
import random
import threading
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InvalidRequestError
from app.openai_api.json_body import INLINE_BYTES, MAX_DEPTH, MAX_STRUCTURE, StructureGuard, decode_object, decode_value

LONG = base64.b64encode(random.Random(7).randbytes(300_000)).decode()


def take(body: bytes) -> dict:
    """The body, guarded and decoded as the gateway does."""
    guard = StructureGuard()
    for start in range(0, len(body), 65_536):
        guard.feed(body[start : start + 65_536])
    return decode_object(body)


def refusal(body: bytes) -> InvalidRequestError:
    """The error that a body ends in."""
    with pytest.raises(InvalidRequestError) as caught:
        take(body)
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        b'{"x":[' + b"[]," * MAX_STRUCTURE + b"1]}",
        b'{"x":[' + b"{}," * MAX_STRUCTURE + b"1]}",
        b'{"x":[' + b'"",' * MAX_STRUCTURE + b"1]}",
        b'{"x":[' + b"1," * MAX_STRUCTURE + b"1]}",
        b'{"x":1' + b"".join(b',"%d":1' % index for index in range(MAX_STRUCTURE)) + b"}",
        b'\xef\xbb\xbf{"x":[' + b"[]," * MAX_STRUCTURE + b"1]}",
        b"[" * 200_000 + b"]" * 200_000,
        b'{"x":' + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1) + b"}",
        b'{"x":' + b"[" * 960 + b"]" * 960 + b"}",
        b'{"x":' + b'{"a":' * 960 + b"1" + b"}" * 961,
        b'{"x":"' + b"A" * INLINE_BYTES + b'","y":' + b"[" * 960 + b"]" * 960 + b"}",
        b'{"x":1' + b"1" * 5_000_000 + b"}",
        b'{"x":1' + b" " * 5_000_000 + b"}",
        b'{"x":"' + rb"\u0041" * 1_000_000 + b'"}',
    ],
    ids=["lists", "objects", "texts", "numbers", "members", "byte order mark", "brackets", "just too deep", "960 lists deep", "960 objects deep",
         "deep beside a long text", "digits", "spaces", "escapes"],
)  # fmt: skip
def test_a_bomb_is_refused_for_what_it_is(body):
    error = refusal(body)
    assert (error.status, error.code, error.param) == (400, "too_complex", "body")


def test_a_bomb_is_refused_before_it_is_whole():
    guard, taken = StructureGuard(), 0
    with contextlib.suppress(InvalidRequestError):
        for _ in range(1000):
            guard.feed(b"[]," * 20_000)
            taken += 1
    assert taken < 10


def test_the_deepest_that_is_taken_is_taken():
    inner = json.loads("[" * (MAX_DEPTH - 2) + "]" * (MAX_DEPTH - 2))
    assert decode_object(json.dumps({"x": inner}).encode()) == {"x": inner}


texts = st.text(max_size=20) | st.sampled_from(
    [LONG, LONG[:5000], "a\\" * 3000, '"' * 5000, "é" * 5000, "\n" * 5000, "\x00text 0\x00x", "/" * 5000]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(values, st.booleans(), st.sampled_from([None, 2]))
def test_a_large_body_says_what_a_small_one_would(value, ascii_only, indent):
    body = json.dumps({"x": value, "filler": LONG}, ensure_ascii=ascii_only, indent=indent).encode()
    assert len(body) > INLINE_BYTES
    assert decode_object(body) == {"x": value, "filler": LONG}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (LONG.replace("/", r"\/"), LONG),
        (LONG.replace("+", r"\u002B"), LONG),
        (LONG.replace("+", r"\u002b").replace("/", r"\/"), LONG),
        (r"\n".join(LONG[start : start + 76] for start in range(0, len(LONG), 76)), "\n".join(LONG[start : start + 76] for start in range(0, len(LONG), 76))),
        ("\n".join(LONG[start : start + 76] for start in range(0, len(LONG), 76)), "\n".join(LONG[start : start + 76] for start in range(0, len(LONG), 76))),
    ],
    ids=["PHP's slashes", ".NET's plus signs", "both", "escaped line breaks", "raw line breaks of a shell"],
)  # fmt: skip
def test_base64_is_read_as_serializers_write_it(written, meant):
    assert take(f'{{"image": "{written}"}}'.encode()) == {"image": meant}
    short = written[:3000].rpartition("\\")[0] or written[:3000]
    assert take(f'{{"image": "{short}"}}'.encode()) == {"image": json.loads(f'"{short}"', strict=False)}


@pytest.mark.parametrize("escaped", [rb"\n", rb"\u002B"], ids=["line breaks", "plus signs"])
def test_a_large_text_full_of_escapes_leaves_the_interpreter_to_others_meanwhile(escaped):
    body = b'{"image":"%b"}' % (escaped * (40 * 1024 * 1024 // len(escaped)))
    ended, gaps = threading.Event(), [0.0]

    def watch() -> None:  # in time of the processor: how long the machine does something else is no gap
        last = time.process_time()
        while not ended.is_set():
            time.sleep(0.001)
            last, before = time.process_time(), last
            gaps.append(last - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.process_time()
    decode_object(body)
    took = time.process_time() - started
    ended.set()
    watcher.join()
    assert max(gaps) < max(0.1, took / 6)


@pytest.mark.parametrize(
    "body",
    [
        b'{"x":"' + b"A" * 300_000,
        b'{"x":"' + b"A" * 300_000 + b'\\"}',
        b'{"x":"' + b"\xff" * 300_000 + b'"}',
        b'{"x":"' + rb"\ud800" + b"A" * 300_000 + b'"}',
        b'{"' + b"A" * 300_000 + b'":1}',
        b'{"x":"\\u0000text 0\\u0000","y":"' + b"A" * 300_000 + b'"}',
        b'{"x":"\\u0000text 7\\u0000","y":"' + b"A" * 300_000 + b'"}',
        b'{"x":"\\u0000text ' + b"9" * 3000 + b'\\u0000","y":"' + b"A" * 300_000 + b'"}',
        b"\\" * 300_000,
        b'"' * 80_000 + b"x" * 300_000,
    ],
    ids=["cut off", "never ended", "no UTF-8", "half a character", "a long name", "our mark, twice", "our mark, alone", "our mark, huge",
         "backslashes", "quotes"],
)  # fmt: skip
def test_a_large_body_with_a_fault_is_refused(body):
    assert refusal(body).status == 400


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_json_or_refused(body):
    try:
        value = decode_value(body)
    except InvalidRequestError as error:
        assert error.param == "body"
        return
    msgspec.json.encode(value)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "1" * 5000])
def test_a_number_that_json_cannot_say_again_is_refused(number):
    assert refusal(b'{"x": [%b]}' % number.encode()).param == "body"


@pytest.mark.parametrize("body", [b"", b" \n", b"[]", b"7", b"null", b'"a"', b"[1]", b"[{},{}]", b"[[{}]]"], ids=repr)
def test_a_body_is_one_object_or_a_list_of_one(body):
    assert refusal(body).param == "body"


def test_a_list_of_one_object_is_that_object():
    assert decode_object(b'[{"prompt": "a"}]') == {"prompt": "a"}
