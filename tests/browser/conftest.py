"""One Chromium for all tests, and for each test fresh browsers in it that are watched."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.support import Visitor, running_browser, visiting
from tests.conftest import RunningGateway


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    # As long as the busiest machine takes: what is waited for is the condition itself, so nobody waits for nothing.
    expect.set_options(timeout=30_000)
    with running_browser() as started:
        yield started


@pytest.fixture
def visit(browser) -> Iterator[Visitor]:
    """`visit(origin, key=…)` opens a fresh browser; what any of them did wrong fails the test."""
    with visiting(browser) as open_one:
        yield open_one


@pytest.fixture(scope="module")
def open_gateway(start_shared_gateway) -> RunningGateway:
    """A gateway that asks nobody for a key, as on a developer's own machine."""
    return start_shared_gateway(SPILLWAY_API_KEYS="")
