"""Requests as clients write them: JSON, forms, and everything in between."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.modes import Mode
from app.errors import GatewayError, InvalidRequestError
from app.images.hashing import ImageHash
from app.openai_api.form_fields import rebuild_fields
from app.openai_api.json_body import decode_object
from app.openai_api.multipart import FormParser
from app.openai_api.parse import parse_request


@pytest.mark.parametrize(
    ("parts", "fields"),
    [
        ([("lora[][model]", "x"), ("lora[][model]", "y"), ("lora[][weight]", "1"), ("lora[][weight]", "0.5")],
         {"lora": [{"model": "x", "weight": 1}, {"model": "y", "weight": 0.5}]}),
        ([("lora[][model]", "x"), ("lora[][weight]", "1"), ("lora[][model]", "y"), ("lora[][weight]", "0.5")],
         {"lora": [{"model": "x", "weight": 1}, {"model": "y", "weight": 0.5}]}),
        ([("lora[][model]", "x"), ("lora[][weight]", "1"), ("lora[][model]", "y"), ("lora[][model]", "z"), ("lora[][weight]", "3")],
         {"lora": [{"model": "x", "weight": 1}, {"model": "y"}, {"model": "z", "weight": 3}]}),
        ([("lora[][model]", "x")], {"lora": [{"model": "x"}]}),
        ([("lora[0][model]", "x"), ("lora[1][model]", "y")], {"lora": [{"model": "x"}, {"model": "y"}]}),
        ([("lora", '[{"model": "x", "weight": 1}]')], {"lora": [{"model": "x", "weight": 1}]}),
        ([("opts[a][b]", "1"), ("opts[list][]", "p"), ("opts[list][]", "q")], {"opts": {"a": {"b": 1}, "list": ["p", "q"]}}),
        ([("ip[][model]", "m"), ("ip[][guideImages][]", "a"), ("ip[][guideImages][]", "b")],
         {"ip": [{"model": "m", "guideImages": ["a", "b"]}]}),
        ([("ip[][model]", "m"), ("ip[][model]", "n"), ("ip[][imgs][]", "a"), ("ip[][imgs][]", "b")],
         {"ip": [{"model": "m", "imgs": ["a"]}, {"model": "n", "imgs": ["b"]}]}),
        ([("tags[]", ""), ("tags[]", "b")], {"tags": ["", "b"]}),
        ([("mat[][]", "1")], {"mat": [[1]]}),
        ([("a", "1"), ("a", "2")], {"a": [1, 2]}),
        ([("flag", "true"), ("other", "False"), ("n", "3"), ("x", "0.5"), ("y", "-2"), ("z", "1e3")],
         {"flag": True, "other": False, "n": 3, "x": 0.5, "y": -2, "z": 1000}),
        ([("prompt", "42"), ("model", "1"), ("user", "true")], {"prompt": "42", "model": "1", "user": "true"}),
        ([("note", "007"), ("odd", "1."), ("dash", "-"), ("broken", "{not json")],
         {"note": "007", "odd": "1.", "dash": "-", "broken": "{not json"}),
    ],
    ids=["grouped", "interleaved", "interleaved and uneven", "one", "indexed", "JSON in one field", "objects", "lists in one object",
         "a list each", "empty text kept", "matrix of one", "repeated", "retyped", "text stays text", "text that is no number"],
)  # fmt: skip
def test_nested_fields_of_a_form_are_rebuilt(parts, fields):
    assert rebuild_fields(parts) == fields


@pytest.mark.parametrize(
    ("parts", "param"),
    [
        ([("lora[][model]", "x"), ("lora[][model]", "y"), ("lora[][weight]", "1")], "lora"),
        ([("mat[][]", "1"), ("mat[][]", "2")], "mat"),
        ([("ip[][imgs][]", "a"), ("ip[][imgs][]", "b")], "ip"),
        ([("a", "1"), ("a[b]", "2")], "a"),
        ([("lora[]", "[object Object]")], "lora"),
        ([("a[b][c][d][e][f][g][h][i][j]", "1")], "a"),
    ],
    ids=["uneven", "matrix", "lists of nobody", "value and object", "lost by the client", "deep"],
)
def test_what_a_form_cannot_say_is_refused_not_guessed(parts, param):
    with pytest.raises(InvalidRequestError) as caught:
        rebuild_fields(parts)
    assert caught.value.param == param


names = st.text("abcxyz", min_size=1, max_size=4)
scalars = st.integers(-1000, 1000) | st.booleans() | st.text("pqr", min_size=1, max_size=5)


@settings(deadline=None)
@given(st.lists(st.fixed_dictionaries({"model": scalars, "weight": scalars}), min_size=1, max_size=6), st.booleans())
def test_equal_objects_survive_both_orders(objects, grouped):
    def text(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    keys = ["model", "weight"]
    if grouped:
        parts = [(f"lora[][{key}]", text(item[key])) for key in keys for item in objects]
    else:
        parts = [(f"lora[][{key}]", text(item[key])) for item in objects for key in keys]
    assert rebuild_fields(parts) == {"lora": objects}


def encode(parts: list[tuple[bytes, bytes]], boundary: bytes = b"xyz") -> bytes:
    body = b"".join(b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary, head, data) for head, data in parts)
    return body + b"--%s--\r\n" % boundary


@settings(deadline=None)
@given(st.binary(max_size=2000), st.integers(1, 400))
def test_a_file_survives_any_cutting_of_the_body(data, step):
    data = data.replace(b"--xyz", b"")
    body = encode(
        [
            (b'Content-Disposition: form-data; name="prompt"', "ein Hütchen".encode()),
            (
                b'Content-Type: application/octet-stream\r\nContent-Disposition: form-data; filename="C:\\x.png"; name="image[]"',
                data,
            ),
        ]
    )
    parser = FormParser('multipart/form-data; boundary="xyz"', 10_000, ImageHash.SHA256)
    for start in range(0, len(body), step):
        parser.feed(body[start : start + step])
    form = parser.finish()
    assert form.fields == {"prompt": "ein Hütchen"}
    assert [(part.name, part.content) for part in form.files] == [("image", data)]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_no_body_breaks_the_form_parser(body):
    parser = FormParser("multipart/form-data; boundary=x", 1000, ImageHash.SHA256)
    try:
        parser.feed(b"--x\r\n" + body)
        parser.finish()
    except GatewayError as error:
        assert error.status in {400, 413}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        "prompt",
        "model",
        "n",
        "size",
        "aspect_ratio",
        "resolution",
        "response_format",
        "output_format",
        "output_compression",
        "seed",
    ]
    + [
        "background",
        "image",
        "images",
        "image_url",
        "mask",
        "quality",
        "stream",
        "user",
        "guidance_scale",
        "svg",
        "lora",
        "frame_count",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(fields, json_values, max_size=6), st.sampled_from(Mode))
def test_any_json_object_is_understood_or_refused_by_field(body, mode):
    try:
        request = parse_request(mode, body)
    except InvalidRequestError as error:
        assert error.param is not None
        return
    assert 1 <= request.count <= 10


@pytest.mark.parametrize(
    "field", ["model", "n", "size", "response_format", "output_format", "quality", "seed", "user", "image"]
)
@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_empty_mean_absence(field, nothing):
    assert parse_request(Mode.GENERATE, {"prompt": "a", field: nothing}) == parse_request(
        Mode.GENERATE, {"prompt": "a"}
    )


@pytest.mark.parametrize("value", [2, "2", 2.0, " 2 "])
def test_numbers_may_come_as_text(value):
    assert parse_request(Mode.GENERATE, {"prompt": "a", "n": value}).count == 2


def test_line_ends_of_a_prompt_are_normalized():
    assert parse_request(Mode.GENERATE, {"prompt": "a\r\nb"}).prompt == "a\nb"


def test_a_byte_order_mark_is_no_obstacle():
    assert decode_object(b'\xef\xbb\xbf{"prompt": "a"}') == {"prompt": "a"}
