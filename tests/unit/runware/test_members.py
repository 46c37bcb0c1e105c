"""What Runware says is judged before it is believed, one member at a time."""

import json
import time
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.money import from_nanos, to_nanos
from app.runware.members import MAX_COST, read_cost, read_integer, read_others, read_text
from app.runware.tasks import ImageTask
from app.runware.wire import MAX_VALUES, UnreadableReplyError, decode

TASK = "b37226ee-ee6e-49a8-b472-7d7136c8b161"


def members(**written: str) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(text.encode()) for name, text in written.items()}


@pytest.mark.parametrize(
    ("written", "cost"),
    [
        ("0.0006", "0.0006"),
        ('"0.03"', "0.03"),
        ("0", "0"),
        ("1e-3", "0.001"),
        ("0.030250000000000003", "0.03025"),
        ("1.2345678901234567e-06", "0.000001235"),
        ("0.0000000006", "0.000000001"),
        ("0.123456789", "0.123456789"),
        (str(MAX_COST), str(MAX_COST)),
    ],
)
def test_a_sensible_cost_is_taken_to_the_last_digit_that_the_tables_keep(written, cost):
    found = read_cost(members(cost=written))
    assert found == Decimal(cost)
    assert from_nanos(to_nanos(found)) == found, "so that sums of what is stored are sums of what was said"


@pytest.mark.parametrize(
    "written",
    ["1e400", "1e9999999", "-5", "-0.0001", "1000.01", "1e30", '"NaN"', '"Infinity"', '"free"', "true", "null", "{}", "[]", "1e-400",
     "0." + "0" * 100 + "1", "9" * 100_000, '""'],
)  # fmt: skip
def test_a_cost_that_cannot_be_is_unknown(written):
    assert read_cost(members(cost=written)) is None


@pytest.mark.parametrize("written", ["1e9999999", "-1", "1.5", '"7"', "true", "9" * 30, "1e20", "{}", "9" * 100_000])
def test_a_seed_that_cannot_be_is_absent(written):
    assert read_integer(members(seed=written), "seed") is None


@pytest.mark.parametrize(("written", "seed"), [("7", 7), ("7.0", 7), ("4294967295", 4294967295), ("1e3", 1000)])
def test_a_seed_is_a_whole_number(written, seed):
    assert read_integer(members(seed=written), "seed") == seed


@pytest.mark.parametrize("written", ["5", "{}", '""', '"\\ud800"', '"' + "x" * 10_000 + '"'])
def test_a_text_that_cannot_be_is_absent(written):
    assert read_text(members(imageURL=written), "imageURL") is None


def test_further_members_are_bounded_one_by_one_and_together():
    large = '"' + "x" * 15_000 + '"'
    written = {f"m{number}": large for number in range(20)} | {"tooLarge": '"' + "x" * 20_000 + '"', "known": "1"}
    found = read_others(members(**written), {"known"})
    assert list(found) == ["m0", "m1", "m2", "m3"]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_whatever_is_handed_on_can_be_written_by_every_writer(value):
    body = json.dumps({"data": [{"taskUUID": TASK, "imageURL": "https://x/a.png", "cost": 0.1} | value]}).encode()
    try:
        reply = decode(body, TASK)
    except UnreadableReplyError:  # lone surrogates in a name, which no JSON of Runware's has
        return
    for image in reply.images:
        msgspec.json.encode(image.others)
        json.dumps(image.others, allow_nan=False)


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_unreadable(body):
    for text in (body, b'{"data":[' + body + b"]}", b'{"data":[{"taskUUID":"t","imageURL":"u",' + body + b"}]}"):
        try:
            decode(text, "t")
        except UnreadableReplyError:
            continue


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"data":[' + b"{}," * (MAX_VALUES + 1) + b"{}]}", id="many entries"),
        pytest.param(b"[" * 200_000 + b"]" * 200_000, id="deep lists"),
        pytest.param(b'{"data":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}", id="deep objects"),
        pytest.param(b"1e9999999", id="a number"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_an_answer_that_is_no_sensible_one_is_unreadable(body):
    with pytest.raises(UnreadableReplyError):
        decode(body, TASK)


def test_one_odd_member_does_not_lose_the_image_beside_it():
    body = (
        b'{"data":[{"taskUUID":"%s","imageURL":"https://x/a.png","cost":{"a":[]},"seed":1e9999999,"status":[1],"new":"\\ud800"}]}'
        % TASK.encode()
    )
    (image,) = decode(body, TASK).images
    assert (image.url, image.cost, image.seed) == ("https://x/a.png", None, None)


@pytest.mark.parametrize(
    ("task", "least", "most"),
    [
        pytest.param(ImageTask(TASK, "m", "p", 1, "URL", "PNG", 256, 256), 4 << 20, 9 << 20, id="small"),
        pytest.param(ImageTask(TASK, "m", "p", 1, "base64Data", "PNG", 2048, 2048), 23 << 20, 40 << 20, id="large"),
        pytest.param(ImageTask(TASK, "m", "p", 4, "base64Data", "PNG", 2048, 2048), 90 << 20, 150 << 20, id="four"),
        pytest.param(ImageTask(TASK, "m", "p", 1, "base64Data", "PNG"), 40 << 20, 80 << 20, id="the model chooses"),
        pytest.param(ImageTask(TASK, "m", "p", 20, "base64Data", "PNG", 4096, 4096), 400 << 20, 512 << 20, id="most"),
    ],
)
def test_the_largest_answer_follows_from_what_was_asked_for(task, least, most):
    assert least <= task.max_answer_bytes <= most


@pytest.mark.parametrize("levels", [30, 100, 900])
def test_what_is_nested_too_deep_for_some_reader_is_given_as_text(levels):
    written = "[" * levels + "1" + "]" * levels
    found = read_others(members(nested=written), ())
    assert json.loads(json.dumps(found)) == {"nested": json.loads(written) if levels < 32 else written}


def test_what_the_caller_sent_is_not_handed_back():
    item = {
        "taskUUID": TASK,
        "imageURL": "https://x/a.png",
        "positivePrompt": "secret",
        "inputs": {"image": "x"},
        "new": 1,
    }
    (image,) = decode(json.dumps({"data": [item]}).encode(), TASK).images
    assert image.others == {"new": 1}


def test_an_endless_code_is_cut():
    reply = decode(json.dumps({"errors": [{"taskUUID": TASK, "code": "c" * 10_000}] * 5000}).encode(), TASK)
    assert (len(reply.faults), len(reply.faults[0].code)) == (200, 100)


def test_the_largest_answer_that_is_read_is_read_quickly():
    item = f'{{"taskUUID":"{TASK}","imageURL":"u","a":{{"b":[1,2,3]}}}}'
    body = ('{"data":[' + ",".join([item] * (MAX_VALUES // 6)) + "]}").encode()
    began = time.process_time()
    assert len(decode(body, TASK).images) == 200
    assert time.process_time() - began < 0.5
