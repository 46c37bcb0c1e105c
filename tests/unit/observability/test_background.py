"""The loop of the parts that run in the background: turns, pauses, and turns that fail."""

import asyncio

import pytest

from app.observability.background import Loop
from app.observability.logs import get_logger
from tests.support.log_lines import log_lines
from tests.support.waiting import seen_meanwhile

LONG, SHORT = 3600.0, 0.01
TROUBLE = "nothing can be looked for"


class Part:
    """Counts its turns; the first of them fail with what is in `faults`."""

    def __init__(self, *faults: Exception) -> None:
        self.turns = 0
        self._faults = list(faults)

    async def look(self) -> None:
        self.turns += 1
        if self._faults:
            raise self._faults.pop(0)


def loop_of(part, every, **options):
    return Loop(part.look, every, get_logger("part"), TROUBLE, **options)


async def turns_of(part, count):
    return await seen_meanwhile(lambda: part.turns, lambda turns: turns >= count)


def test_the_first_turn_is_at_once_and_the_next_after_a_pause():
    async def run():
        part = Part()
        loop = loop_of(part, SHORT)
        loop.start()
        turns = await turns_of(part, 3)
        loop.stop()
        return turns

    assert asyncio.run(run()) >= 3


def test_a_part_that_pauses_first_waits_until_it_is_woken():
    async def run():
        part = Part()
        loop = loop_of(part, LONG, pauses_first=True)
        loop.start()
        await asyncio.sleep(0)
        before = part.turns
        loop.wake()
        return before, await turns_of(part, 1)

    assert asyncio.run(run()) == (0, 1)


def test_news_of_before_the_start_and_of_a_turn_under_way_are_not_lost():
    async def run():
        part = Part()
        loop = loop_of(part, LONG)
        loop.wake()
        loop.start()
        return await turns_of(part, 2)

    assert asyncio.run(run()) == 2


def test_no_turn_is_taken_after_the_end():
    async def run():
        part = Part()
        loop = loop_of(part, LONG)
        loop.start()
        await turns_of(part, 1)
        loop.stop()
        loop.wake()
        await asyncio.sleep(5 * SHORT)
        return part.turns

    assert asyncio.run(run()) == 1


def test_a_part_that_was_never_started_can_be_stopped():
    loop_of(Part(), LONG).stop()


@pytest.mark.parametrize(
    ("fault", "level", "tells_all"),
    [
        pytest.param(ConnectionError("away"), "warning", False, id="expected: one line"),
        pytest.param(ValueError("odd"), "error", True, id="unexpected: the whole fault"),
    ],
)
def test_a_turn_that_fails_is_logged_and_the_next_one_comes(fault, level, tells_all):
    async def run():
        part = Part(fault)
        loop = loop_of(part, SHORT, passing=ConnectionError)
        with log_lines() as lines:
            loop.start()
            await turns_of(part, 2)
            loop.stop()
        return lines

    lines = asyncio.run(run())
    assert [(line["event"], line["log_level"], "exc_info" in line) for line in lines] == [(TROUBLE, level, tells_all)]
