"""What is remembered of bodies: read again, each says what it would say if it were the first."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.catalog.modes import Mode
from app.domain.request import UploadedImage
from app.domain.values import replace
from app.errors import GatewayError
from app.images.hashing import ImageHash
from app.openai_api.input_images import FilePart
from app.openai_api.parse import RequestParser, parse_request
from app.openai_api.vocabulary import KNOWN_NAMES
from tests.support.images import data_uri, encode

TEXTS = st.sampled_from(
    ["", " ", "1", "1024x1024", "auto", "b64_json", "hd", "high", "png", "JPEG", "true", "u", "x" * 300]
)
NUMBERS = st.sampled_from([0, 1, 2, 7, -1, 1024, 2**63]) | st.sampled_from([0.0, -0.0, 1.0, 2.5, -1.0])
VALUES = st.none() | st.booleans() | NUMBERS | TEXTS | st.sampled_from([[], ["a"], {}, {"version": 1}])
NAMES = st.sampled_from([*sorted(KNOWN_NAMES), "steps", "promt", "y" * 300])


def said(parse, mode, fields):
    """What a body comes to, told apart to the type of each value."""
    try:
        understood = parse(mode, fields)
    except GatewayError as error:
        return type(error), error.message, error.param, error.code
    # Equal sets may print in different orders.
    return understood, repr(replace(understood, given=frozenset()))


PROMPTS = ("a hat", "a\r\ncap", "", None, 3, "x" * 100_001)
OWN = ({}, {"seed": 7}, {"user": "u"}, {"seed": "x", "safety_identifier": "s", "user": 5})


@settings(deadline=None)
@given(st.sampled_from(Mode), st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=4))
def test_a_body_says_the_same_whatever_was_read_before(mode, bodies):
    parser = RequestParser(ImageHash.SHA256)
    for fields, prompt, own in product(bodies, PROMPTS, OWN):
        asked = {**fields, "prompt": prompt, **own}
        assert said(parser.parse, mode, asked) == said(parse_request, mode, asked)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"n": 1}, {"n": True}, id="a number and a boolean"),
        pytest.param({"n": 1}, {"n": 1.0}, id="a number and a fraction"),
        pytest.param({"n": 1}, {"n": "1"}, id="a number and a text"),
        pytest.param({"stream": True}, {"stream": 1}, id="a boolean and a number"),
        pytest.param({"guidance_scale": 0.0}, {"guidance_scale": -0.0}, id="zero and its negative"),
        pytest.param({"size": "style"}, {"style": "size"}, id="a name and a value"),
        pytest.param({"steps": 1, "a": 2}, {"a": 2, "steps": 1}, id="another order"),
    ],
)
def test_bodies_that_look_alike_are_told_apart(first, second):
    for one, other in ((first, second), (second, first)):
        parser = RequestParser(ImageHash.SHA256)
        for fields in (one, other):
            asked = {"prompt": "a hat", **fields}
            assert said(parser.parse, Mode.GENERATE, asked) == said(parse_request, Mode.GENERATE, asked)


def test_what_a_body_says_beside_its_own_is_read_once():
    parser = RequestParser(ImageHash.SHA256)
    first, second = (
        parser.parse(Mode.GENERATE, {"prompt": prompt, "size": "1024x1024", "quality": "high", "seed": seed})
        for prompt, seed in (("a hat", 7), ("a cap", 8))
    )
    assert (first.prompt, first.seed, second.prompt, second.seed) == ("a hat", 7, "a cap", 8)
    third = parser.parse(Mode.GENERATE, {"prompt": "a tie", "size": "1024x1024", "quality": "high"})
    assert third.size is second.size
    assert (third.seed, third.given) == (None, frozenset({"prompt", "size", "quality"}))


def test_what_is_written_at_length_is_not_remembered():
    parser = RequestParser(ImageHash.SHA256)
    asked = {"prompt": "a hat", "size": "1024x1024", "negative_prompt": "fog" * 100}
    first, second = (parser.parse(Mode.GENERATE, asked) for _ in range(2))
    assert first == second
    assert first.size is not second.size


@pytest.mark.parametrize("name", ["image", "mask", "markup"])
def test_bytes_of_an_image_belong_to_one_request(name):
    parser, small = RequestParser(ImageHash.SHA256), data_uri(encode(Image.new("L", (1, 1))))
    asked = {"prompt": "a hat", "image": "https://a.example/b.png", name: small}
    first, second = (parser.parse(Mode.EDIT, asked) for _ in range(2))
    for understood in (first, second):
        for image in (*understood.images, understood.mask, understood.markup):
            if isinstance(image, UploadedImage):
                assert len(image.content) > 0
                image.content.let_go()  # as once it is sent
    assert first.given == second.given == {"prompt", "image", name}


@pytest.mark.parametrize("image_hash", ImageHash)
@pytest.mark.parametrize("name", ["image", "mask", "markup", "maskImage"])
def test_images_in_json_are_hashed_and_files_keep_the_digest_they_came_with(name, image_hash):
    parser, data = RequestParser(image_hash), encode(Image.new("L", (1, 1)))
    fields = {"prompt": "a hat", "image": "https://a.example/b.png"}
    file = FilePart(name, data, digest="that of the form")
    rest = {field: value for field, value in fields.items() if field != name}
    by_json = parser.parse(Mode.EDIT, fields | {name: data_uri(data)})
    by_form = parser.parse(Mode.EDIT, rest, [file])
    digests = [
        [one.digest for one in (*read.images, read.mask, read.markup) if isinstance(one, UploadedImage)]
        for read in (by_json, by_form)
    ]
    assert digests == [[image_hash.digest_bytes(data)], ["that of the form"]]


def test_a_memory_of_bodies_is_bounded():
    parser = RequestParser(ImageHash.SHA256)
    first = parser.parse(Mode.GENERATE, {"prompt": "a hat", "size": "1024x1024"})
    parser.parse(Mode.GENERATE, {"prompt": "a hat", "size": "1024x1024"})
    for side in range(1, 1026):
        parser.parse(Mode.GENERATE, {"prompt": "a hat", "size": f"{side}x1024"})
    again = parser.parse(Mode.GENERATE, {"prompt": "a hat", "size": "1024x1024"})
    assert again == first
    assert again.size is not first.size
