"""Defaults of a key apply where a body is silent, under whatever name it could have spoken."""

import pytest

from app.openai_api.defaults import with_defaults


@pytest.mark.parametrize(
    ("body", "defaults", "found"),
    [
        pytest.param({"prompt": "a"}, {"model": "m"}, {"prompt": "a", "model": "m"}, id="silent"),
        pytest.param({"model": None}, {"model": "m"}, {"model": "m"}, id="null says nothing"),
        pytest.param({"model": "own"}, {"model": "m"}, {"model": "own"}, id="the caller's word"),
        pytest.param({"outputFormat": "PNG"}, {"output_format": "webp"}, {"outputFormat": "PNG"}, id="Runware's word"),
        pytest.param({"resolution": "2K"}, {"size": "1024x1024"}, {"resolution": "2K"}, id="another word of the shape"),
        pytest.param({"numberResults": 2}, {"n": 4}, {"numberResults": 2}, id="a count under Runware's name"),
        pytest.param({"a": 1}, {}, {"a": 1}, id="no defaults"),
    ],
)
def test_a_default_fills_in_what_is_not_said(body, defaults, found):
    assert with_defaults(body, (), defaults) == found
