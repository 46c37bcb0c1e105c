"""The quick way through an answer and the careful one read the same."""

import itertools
import json
from decimal import Decimal

import msgspec
import pytest

from app.runware.image_texts import cut_answer
from app.runware.usual_answer import read_usual
from app.runware.wire import decode

UUID = "b37226ee-ee6e-49a8-b472-7d7136c8b161"
LONG = "iVBORw0KGgo" * 9000 + "AA=="
USUAL = {
    "taskType": "imageInference",
    "imageUUID": "8c80a2f6-f34a-4d64-a42d-4d07e74e76a0",
    "taskUUID": UUID,
    "cost": 0.0013,
    "seed": 681039384,
    "imageURL": "https://im.runware.ai/image/ws/2/ii/8c80a2f6.png",
}


def envelope(*items: dict) -> bytes:
    return json.dumps({"data": items}).encode()


def without(*names: str) -> dict:
    return {name: value for name, value in USUAL.items() if name not in names}


def carefully(body: bytes):
    """With a member that says nothing, and that the quick way does not know."""
    return decode(body[:-1] + b',"errors":null}', UUID)


QUICK = {
    "one image": envelope(USUAL),
    "many": envelope(*[USUAL | {"imageUUID": f"{place}"} for place in range(20)]),
    "checked": envelope(USUAL | {"NSFWContent": False}),
    "as base64": envelope(without("imageURL") | {"imageBase64Data": "iVBORw0KGgo="}),
    "as long base64": envelope(without("imageURL") | {"imageBase64Data": LONG}),
    "as many long base64": envelope(*[without("imageURL") | {"imageBase64Data": LONG}] * 4),
    "as a data URI": envelope(without("imageURL") | {"imageDataURI": "data:image/png;base64,iVBORw0KGgo="}),
    "as a long data URI": envelope(without("imageURL") | {"imageDataURI": "data:image/png;base64," + LONG}),
    "escaped": envelope(without("imageURL") | {"imageBase64Data": "iVBORw0KG/go="}).replace(b"/", b"\\/"),
    "address and base64": envelope(USUAL | {"imageBase64Data": "iVBORw0KGgo="}),
    "address and no base64": envelope(USUAL | {"imageBase64Data": None, "imageDataURI": ""}),
    "nothing else": envelope({"taskUUID": UUID, "imageURL": "https://x/y.png"}),
    "a cost as text": envelope(USUAL | {"cost": "0.5"}),
    "a fine cost": envelope(USUAL).replace(b"0.0013", b"0.00123456789012345"),
    "the largest seed": envelope(USUAL | {"seed": 2**64 - 1}),
    "a seed of nothing": envelope(USUAL | {"seed": 0}),
    "a member twice": envelope(USUAL)[:-3] + b',"seed":7}]}',
    "no ascii": json.dumps({"data": [USUAL | {"imageURL": "https://x/ä😀.png"}]}, ensure_ascii=False).encode(),
}
CAREFUL = {
    "another task": envelope(USUAL | {"taskUUID": "0"}),
    "no task": envelope(without("taskUUID")),
    "one of another task": envelope(USUAL, USUAL | {"taskUUID": "0"}),
    "another member": envelope(USUAL | {"positivePrompt": "a pear"}),
    "a member of ours and of theirs": envelope(USUAL | {"guardrails": {"a": [1, None]}}),
    "no image": envelope(without("imageURL")),
    "no images": envelope(),
    "an empty address": envelope(USUAL | {"imageURL": ""}),
    "a long address": envelope(USUAL | {"imageURL": "https://x/" + "a" * 700}),
    "a longer address": envelope(USUAL | {"imageURL": "https://x/" + "a" * 9000}),
    "nothing said": envelope(USUAL | {"seed": None, "cost": None, "NSFWContent": None, "imageUUID": None}),
    "a seed below zero": envelope(USUAL | {"seed": -1}),
    "a seed beyond any": envelope(USUAL | {"seed": 2**64}),
    "a seed with a fraction": envelope(USUAL | {"seed": 1.5}),
    "a cost below zero": envelope(USUAL | {"cost": -1}),
    "too dear": envelope(USUAL | {"cost": 1001}),
    "a cost that is none": envelope(USUAL | {"cost": "free"}),
    "an endless cost": envelope(USUAL).replace(b"0.0013", b"0." + b"1" * 100),
    "a status": envelope(USUAL | {"status": "processing"}),
    "an error": envelope({"taskUUID": UUID, "error": {"code": "contentPolicyViolation", "message": "no"}}),
    "half a character": envelope(USUAL | {"imageURL": "https://x/@.png"}).replace(b"@", b"\\ud800"),
    "a mark in a text": envelope(USUAL | {"imageBase64Data": "\0000"}),
    "a list": b"[]",
}


@pytest.mark.parametrize("body", QUICK.values(), ids=QUICK.keys())
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_the_usual_answer_is_read_at_once_and_as_carefully(body, kind):
    images = read_usual(cut_answer(kind(body)), UUID)
    assert images is not None
    assert images == carefully(body).images == decode(kind(body), UUID).images
    assert not carefully(body).others


@pytest.mark.parametrize("body", [body for body in CAREFUL.values() if body != b"[]"], ids=list(CAREFUL)[:-1])
def test_what_is_odd_is_left_to_the_careful_way(body):
    quick = read_usual(cut_answer(body), UUID)
    assert quick is None or quick == carefully(body).images
    assert decode(body, UUID) == carefully(body)


@pytest.mark.parametrize("body", [b"[]", b"{}", b"<html>", b"", b'{"data":{}}', b"\xff", b'{"data":[' * 2000], ids=repr)
def test_what_is_no_usual_answer_is_none(body):
    assert read_usual(cut_answer(body), UUID) is None


VALUES = {
    "seed": [0, 1.0, 1e3, "1", True, None, 10**30, []],
    "cost": [0, 0.1, "0.1", True, None, "NaN", 1e-12, {}],
    "imageURL": ["u", "", None, 7, "a" * 600, "a" * 601, "\0", "é" * 600],
    "NSFWContent": [True, None, 0, "no"],
    "imageBase64Data": [None, "", "AAAA", 7, "\\", "data:,AAAA"],
}


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(VALUES, 2)))
def test_both_ways_agree_whatever_two_members_are(first, second):
    for one, other in itertools.product(VALUES[first], VALUES[second]):
        body = envelope(USUAL | {first: one, second: other})
        assert decode(body, UUID) == carefully(body), (one, other)


def test_costs_are_exact():
    (image,) = decode(envelope(USUAL), UUID).images
    assert image.cost == Decimal("0.0013")
    assert msgspec.json.encode(image.cost) == b'"0.0013"'
