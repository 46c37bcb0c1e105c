"""Where a caller's own key may not stand in what it asks for."""

import pytest
from pydantic import SecretStr

from app.catalog.modes import Mode
from app.domain.request import IgnoredField, ImageRequest, LinkedImage
from app.errors import InvalidRequestError
from app.planning.callers_key import refuse_key_in

KEY = "0123456789abcdefABCDEF9876543210"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": f"a pear {KEY}"}, "prompt"),
        ({"model": KEY}, "model"),
        ({"user": KEY}, "user"),
        ({"webhook_url": f"https://example.com/{KEY}"}, "webhook_url"),
        ({"parameters": (("style", KEY),)}, "style"),
        ({"passthrough": {"a": {"b": [1, {"c": f"x{KEY}"}]}}}, "a"),
        ({"passthrough": {"a": {KEY: 1}}}, "a"),
        ({"passthrough": {KEY: 1}}, "body"),
        ({"ignored": (IgnoredField("model", KEY, ""),)}, "model"),
        ({"images": (LinkedImage("image[0]", f"https://example.com/?k={KEY}"),)}, "image[0]"),
        ({"mask": LinkedImage("mask", f"https://example.com/?k={KEY}")}, "mask"),
    ],
    ids=str,
)
def test_a_field_with_the_key_is_named_and_the_key_is_not_repeated(fields, param):
    request = ImageRequest(Mode.GENERATE, **{"prompt": "a pear"} | fields)
    with pytest.raises(InvalidRequestError) as caught:
        refuse_key_in(request, None, SecretStr(KEY))
    assert (caught.value.param, caught.value.code) == (param, "key_in_request")
    assert KEY not in caught.value.message


@pytest.mark.parametrize(
    "fields", [{}, {"passthrough": {"apiKey": KEY}}, {"user": KEY[:-1]}, {"user": KEY.upper()}], ids=str
)
def test_anything_else_passes(fields):
    refuse_key_in(ImageRequest(Mode.GENERATE, "a pear", **fields), "my-id", SecretStr(KEY))
