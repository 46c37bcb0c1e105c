"""The stores that the shared tests run on."""

from collections.abc import Iterator

import pytest

from tests.support.object_stores import ObjectServer


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    server = ObjectServer()
    yield server
    server.close()
