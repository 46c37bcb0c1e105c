"""Base64 is taken out of answers before they are decoded, and nothing of what they say changes by that."""

import json

import msgspec
import pybase64
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.runware.image_texts import cut_answer
from app.runware.wire import UnreadableReplyError, decode, decode_details

TASK = "8c80a2f6-f34a-4d64-a42d-4d07e74e76a0"
LONG = pybase64.b64encode(bytes(range(256)) * 300).decode()
OTHER = pybase64.b64encode(b"\xff" * 99_999).decode()
URI = f"data:image/png;base64,{LONG}"


def item(**members: object) -> dict:
    return {"taskType": "imageInference", "taskUUID": TASK, "cost": 0.0006} | members


def answer(*items: dict, **others: object) -> bytes:
    return json.dumps({"data": list(items), **others}, separators=(",", ":")).encode()


def texts_of(body: bytes) -> list[str]:
    return [bytes(image.base64).decode() for image in decode(body, TASK).images if image.base64]


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (answer(item(imageBase64Data=LONG)), [LONG]),
        (answer(item(imageDataURI=URI)), [LONG]),
        (answer(item(imageBase64Data=LONG), item(imageBase64Data=OTHER)), [LONG, OTHER]),
        (answer(item(imageBase64Data=LONG, imageDataURI=f"data:;base64,{OTHER}")), [LONG]),
        (json.dumps({"data": [item(imageBase64Data=LONG)]}, indent=2).encode(), [LONG]),
        (answer(item(seed=1)).replace(b'"seed":1', b'"imageBase64Data"\n:\t"%b"' % LONG.encode()), [LONG]),
        (answer(item(imageBase64Data=LONG.replace("/", "\\/"))).replace(b"\\\\", b"\\"), [LONG]),
        (answer(item(imageBase64Data=LONG, note='a quoted "imageBase64Data":"x"')), [LONG]),
        (answer(item(note='"imageBase64Data":"' + "A" * 70_000, imageBase64Data=LONG)), [LONG]),
        (answer(item(imageBase64Data=LONG, note="\x000")), [LONG]),
        (answer(item(imageBase64Data=LONG[:-4] + "====")), [LONG[:-4] + "===="]),
        (answer(item(imageBase64Data="\x000", note=LONG)), ["\x000"]),
        (answer(item(imageBase64Data=LONG), note=" " * 5_000), [LONG]),
        (answer(item(imageDataURI="data:image/png;base64,AAAA", note=LONG)), ["AAAA"]),
        (answer(item(imageBase64Data=LONG, seed=1), item(imageBase64Data="AAAA")), [LONG, "AAAA"]),
    ],
    ids=[
        "base64", "data URI", "two images", "both forms", "pretty", "spaces", "slashes escaped", "a quoted member",
        "a quoted member first", "a mark in another text", "no base64", "a mark instead of base64",
        "much behind it", "base64 behind a short data URI", "a short one last",
    ],
)  # fmt: skip
def test_an_image_is_read_as_it_was_written(body, texts):
    assert texts_of(body) == texts


@pytest.mark.parametrize("wrong", [b"\n", b"\x01", b"\xff"], ids=["line break", "control character", "no UTF-8"])
def test_what_is_no_json_stays_unreadable(wrong):
    body = answer(item(imageBase64Data=LONG)).replace(LONG[1000:1001].encode(), wrong, 1)
    half = len(body) // 2
    broken = body[:half] + wrong + body[half:]
    if wrong == b"\xff":
        assert cut_answer(broken).texts == {}, "left to the decoder"
        return
    with pytest.raises(UnreadableReplyError):
        decode(broken, TASK)


def test_a_short_text_does_not_end_behind_what_follows_it():
    body = b'{"data":[{"imageBase64Data":"x"},%b"]}' % (b"1" * 70_000)
    assert cut_answer(body).texts == {}, "left to the decoder, which reads no such number"


def test_base64_where_no_image_is_looked_for_is_left_out_like_any_long_member():
    (image,) = decode(answer(item(imageURL="https://a/b", more={"imageBase64Data": LONG}, less=1)), TASK).images
    assert image.others == {"less": 1}
    reply = decode(answer(item(imageURL="https://a/b"), more={"imageBase64Data": LONG}, less=1), TASK)
    assert reply.others == {"less": 1}


def test_images_of_other_tasks_stay_others():
    other = item(imageBase64Data=OTHER) | {"taskUUID": "another"}
    assert texts_of(answer(other, item(imageBase64Data=LONG))) == [LONG]


def test_the_details_of_a_task_have_their_images():
    inner = json.loads(answer(item(imageBase64Data=LONG)))
    (image,) = decode_details(answer({"response": inner}), TASK).images
    assert bytes(image.base64).decode() == LONG


def test_what_is_cut_out_is_a_slice_of_the_answer():
    body = answer(item(imageBase64Data=LONG))
    (text,) = cut_answer(body).texts.values()
    assert text.obj is body
    assert len(cut_answer(body).rest) < 300


def test_an_answer_made_of_empty_images_is_searched_only_so_far():
    body = b'{"data":[%b{}]}' % (b'{"imageDataURI":""},' * 500_000)
    assert cut_answer(body).rest is body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=12) | st.sampled_from([LONG, URI, OTHER]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["imageBase64Data", "imageDataURI", "a", 'q"', "b\\"]), inner, max_size=3)
    ),
    max_leaves=8,
)
ENTRIES = st.lists(
    st.dictionaries(st.sampled_from(["imageBase64Data", "imageDataURI", "a", 'q"', "b\\"]), JSON, max_size=4),
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(ENTRIES, st.sampled_from([None, 1]), st.booleans())
def test_cut_and_restored_an_answer_says_what_it_said(entries, indent, ascii_only):
    body = json.dumps(entries, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    decoder = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
    cut = cut_answer(body)
    restored = [cut.restored(entry) for entry in decoder.decode(cut.rest)]
    for entry, plain in zip(restored, decoder.decode(body), strict=True):
        for name, raw in plain.items():
            if name in entry:
                assert bytes(entry[name]) == bytes(raw)
            else:
                assert len(bytes(raw)) > 64 * 1024, "only what is long is left out"
