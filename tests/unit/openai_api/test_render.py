"""Images in base64 stand in the body as they came, and what a caller names never breaks out of a response header."""

import json

import pytest

from app.domain.answer import Adjustment, AdjustmentMode, Answer, DeliveredImage, Result
from app.domain.words import ImageFormat
from app.openai_api.render import model_headers, render_answer, short_adjustments
from tests.support.jobs import MODEL

LINK = "https://example.com/a.png"


def image(text: bytes | None, **more: object) -> DeliveredImage:
    base64 = None if text is None else memoryview(text)
    return DeliveredImage((8, 8), ImageFormat.PNG, 7, LINK if text is None else None, base64=base64, **more)


@pytest.mark.parametrize(
    ("texts", "pieces"),
    [
        pytest.param([b"AAAA"], [b"AAAA"], id="one"),
        pytest.param([b"AAAA", b"BBBB"], [b"AAAA", b"BBBB"], id="two"),
        pytest.param([b"AAAA", None, None, b"BBBB", None], [b"AAAA", b"BBBB"], id="links between them"),
        pytest.param([None, b"AAAA"], [b"AAAA"], id="a link first"),
        pytest.param([b""], [b""], id="an empty one"),
        pytest.param([None, None], [], id="links"),
    ],
)
def test_base64_is_a_piece_of_its_own_and_all_between_two_of_them_is_one(texts, pieces):
    answer = Answer("req_1", MODEL, Result(1, tuple(map(image, texts)), (), (), (), ()), ())
    chunks = render_answer(answer)
    assert [bytes(chunk) for chunk in chunks[1::2]] == pieces
    assert len(chunks) == 2 * len(pieces) + 1
    data = json.loads(b"".join(chunks))["data"]
    wanted = [{"url": LINK} if text is None else {"b64_json": text.decode()} for text in texts]
    assert data == [one | {"seed": 7} for one in wanted]


def test_base64_in_a_link_of_its_own_stands_as_it_came():
    answer = Answer("req_1", MODEL, Result(1, (image(b"AAAA", as_uri=True),), (), (), (), ()), ())
    (made,) = json.loads(b"".join(render_answer(answer)))["data"]
    assert made == {"url": "data:image/png;base64,AAAA", "seed": 7}


@pytest.mark.parametrize(
    "name", ["a\r\nx-evil: 1", "n\u00e4me", "\x00\x7f\x1f", "\u2028", "\U0001f3a8", "plain"], ids=ascii
)
def test_names_of_fields_are_printable_ascii_in_the_header(name):
    short = short_adjustments([Adjustment(name, None, None, AdjustmentMode.DROPPED, "")])
    assert all(" " <= letter <= "~" for letter in short)
    assert short.endswith("=dropped")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("size", "size"),
        ("lora[1].weight", "lora[1].weight"),
        ("inputs.seedImage", "inputs.seedImage"),
        ("a=changed; size", "a%3Dchanged%3B%20size"),
        ("n\u00e4me\r\n", "n%C3%A4me%0D%0A"),
        ("100%", "100%25"),
        ("a" * 300, "a" * 200),
    ],
    ids=ascii,
)
def test_a_name_cannot_look_like_another_entry(name, shown):
    assert short_adjustments([Adjustment(name, None, None, AdjustmentMode.DROPPED, "")]) == f"{shown}=dropped"


def test_a_thousand_adjustments_make_no_thousand_entries():
    short = short_adjustments(
        [Adjustment(f"field_{place}", None, None, AdjustmentMode.DROPPED, "") for place in range(1000)]
    )
    assert short.startswith("field_0=dropped; field_1=dropped; ")
    assert short.endswith("; field_31=dropped; 968 more")


@pytest.mark.parametrize("model", ["flux.1-schnell", "civitai:4384@128713", "sourceful:1@1"])
def test_the_names_of_models_stand_as_they_are(model):
    assert model_headers(model, ())["X-Spillway-Model"] == model


def test_an_odd_name_of_a_model_is_escaped():
    assert model_headers("m\u00f6we\n", ())["X-Spillway-Model"] == "m%C3%B6we%0A"
