"""One process of all does a thing: who takes it, who keeps it, and when another follows. On both databases."""

import asyncio
import subprocess
import sys
from dataclasses import replace

import pytest

from app.jobs.duty import LOST_AFTER_SECONDS, Duty
from app.journal.duties import IMAGES
from app.journal.leases import Leases
from tests.support.journals import Clock, open_journal

ELSEWHERE = "elsewhere:1:1:"


@pytest.fixture
def journal(database):
    opened = open_journal(database.fresh())
    yield opened
    opened.close()


def duty_of(journal, owner, clock):
    return Duty(IMAGES, replace(journal, leases=Leases(f"{ELSEWHERE}{owner}")), clock)


def test_the_first_takes_it_and_keeps_it_while_it_gives_signs_of_life(journal):
    async def course():
        clock = Clock()
        first, second = duty_of(journal, "a", clock), duty_of(journal, "b", clock)
        for _ in range(4):
            assert (await first.is_mine(), await second.is_mine()) == (True, False)
            clock.now += LOST_AFTER_SECONDS

    asyncio.run(course())


def test_another_follows_once_the_holder_stood_still_for_the_whole_time(journal):
    async def course():
        clock = Clock()
        first, second, third = (duty_of(journal, name, clock) for name in "abc")
        assert await first.is_mine()
        assert not await second.is_mine()
        clock.now += LOST_AFTER_SECONDS - 1
        assert not await second.is_mine()
        assert not await third.is_mine(), "it has only just looked"
        clock.now += 1
        assert await second.is_mine()
        assert (await first.is_mine(), await third.is_mine()) == (False, False)

    asyncio.run(course())


def test_another_follows_at_once_when_the_holder_leaves_or_is_known_to_be_dead(journal):
    async def course():
        clock = Clock()
        first, second = duty_of(journal, "a", clock), duty_of(journal, "b", clock)
        assert await first.is_mine()
        await second.leave()  # which is not its to leave
        assert not await second.is_mine()
        await first.leave()
        assert await second.is_mine()

    asyncio.run(course())


def test_another_follows_at_once_when_the_process_of_the_holder_has_died(journal):
    name = "from app.journal.processes import name_process; print(name_process())"
    died = subprocess.run([sys.executable, "-c", name], capture_output=True, text=True, check=True).stdout.strip()

    async def course():
        clock = Clock()
        assert await Duty(IMAGES, replace(journal, leases=Leases(died)), clock).is_mine()
        assert await duty_of(journal, "b", clock).is_mine()

    asyncio.run(course())


def test_of_many_that_come_at_once_one_has_it(journal):
    async def course():
        clock = Clock()
        duties = [duty_of(journal, str(number), clock) for number in range(8)]
        assert (await asyncio.gather(*[duty.is_mine() for duty in duties])).count(True) == 1

    asyncio.run(course())
