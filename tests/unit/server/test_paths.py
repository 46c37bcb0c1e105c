"""Paths as they are meant."""

import pytest

from app.server.paths import path_reader

read = path_reader(("v1", "openai"))


@pytest.mark.parametrize(
    ("path", "meant", "prefix"),
    [
        ("/v1/images/generations", "/v1/images/generations", "/v1"),
        ("/images/generations", "/images/generations", ""),
        ("/openai/v1/models", "/openai/v1/models", "/openai/v1"),
        ("/openai/deployments/v1/images/edits", "/openai/deployments/v1/images/edits", "/openai"),
        ("/v1/v1/models", "/v1/v1/models", "/v1/v1"),
        ("//v1///v1//models//", "/v1/v1/models", "/v1/v1"),
        ("/openai/openai/v1/v1/models", "/openai/openai/v1/v1/models", "/openai/openai/v1/v1"),
        ("/v1/openai/deployments/a/images/edits", "/v1/openai/deployments/a/images/edits", "/v1/openai"),
        ("/v1/models/openai/gpt-image-1", "/v1/models/openai/gpt-image-1", "/v1"),
        ("/v10/models", "/v10/models", ""),
        ("/v1", "/v1", ""),
        ("/v1/", "/v1", ""),
        ("/", "/", ""),
        ("//", "/", ""),
        ("/models/v1/x", "/models/v1/x", ""),
        ("/V1/models", "/V1/models", ""),
        ("", "", ""),
        ("*", "*", ""),
    ],
)
def test_a_path_is_read_as_meant(path, meant, prefix):
    assert read(path) == (meant, prefix)
