"""One Chromium for all tests, and for each test fresh browsers in it that are watched."""

import asyncio
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.support import Visitor, running_browser, visiting
from tests.conftest import RunningGateway


@pytest.fixture(scope="session")
def chromium() -> Iterator[tuple[Browser, asyncio.AbstractEventLoop]]:
    """A running browser, and the loop of those who drive it."""
    # As long as the busiest machine takes: what is waited for is the condition itself, so nobody waits for nothing.
    expect.set_options(timeout=30_000)
    with running_browser() as started:
        loop = asyncio.get_running_loop()
        yield started, loop
        asyncio._set_running_loop(loop)


@pytest.fixture
def browser(chromium) -> Iterator[Browser]:
    """The browser for one test. Its loop counts as running in between; other tests of the process could start none."""
    started, loop = chromium
    asyncio._set_running_loop(loop)
    yield started
    asyncio._set_running_loop(None)


@pytest.fixture
def visit(browser) -> Iterator[Visitor]:
    """`visit(origin, key=…)` opens a fresh browser; what any of them did wrong fails the test."""
    with visiting(browser) as open_one:
        yield open_one


@pytest.fixture(scope="module")
def open_gateway(start_shared_gateway) -> RunningGateway:
    """A gateway that asks nobody for a key, as on a developer's own machine."""
    return start_shared_gateway(SPILLWAY_API_KEYS="")
