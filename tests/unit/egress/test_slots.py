"""Slots shared among callers."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from app.egress.slots import SharedSlots


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_one_caller_never_holds_more_than_its_share():
    async def course() -> None:
        slots = SharedSlots(total=4, per_caller=2)
        waiting = [asyncio.create_task(slots.take("greedy")) for _ in range(10)]
        await settle()
        assert sum(task.done() for task in waiting) == 2
        await asyncio.wait_for(slots.take("other"), 10)
        slots.give_back("greedy")
        await settle()
        assert sum(task.done() for task in waiting) == 3
        for task in waiting:
            task.cancel()

    asyncio.run(course())


def test_whoever_holds_the_fewest_is_next():
    async def course() -> None:
        slots = SharedSlots(total=2, per_caller=2)
        await slots.take("greedy")
        await slots.take("greedy")
        first = asyncio.create_task(slots.take("greedy"))
        await settle()
        second = asyncio.create_task(slots.take("modest"))
        await settle()
        slots.give_back("greedy")
        await settle()
        assert (first.done(), second.done()) == (False, True)
        first.cancel()

    asyncio.run(course())


def test_whoever_stops_waiting_leaves_no_slot_behind():
    async def course() -> None:
        slots = SharedSlots(total=1, per_caller=1)
        await slots.take("a")
        gone, handed = asyncio.create_task(slots.take("b")), asyncio.create_task(slots.take("c"))
        await settle()
        gone.cancel()
        await settle()
        slots.give_back("a")
        handed.cancel()  # in the same moment in which it got its slot
        await settle()
        await asyncio.wait_for(slots.take("d"), 10)

    asyncio.run(course())


def test_a_slot_is_not_handed_to_one_who_stops_waiting_in_that_very_moment():
    async def course() -> None:
        slots = SharedSlots(total=1, per_caller=1)
        await slots.take("a")
        gone, next_ = asyncio.create_task(slots.take("b")), asyncio.create_task(slots.take("c"))
        await settle()
        gone.cancel()
        slots.give_back("a")
        await asyncio.wait_for(next_, 10)

    asyncio.run(course())


class Play:
    """Callers that take, give back and stop waiting, and how many slots each holds."""

    def __init__(self) -> None:
        self.slots = SharedSlots(total=3, per_caller=2)
        self.held = dict.fromkeys("abc", 0)
        self.running: list[tuple[str, asyncio.Task]] = []

    async def _take(self, caller: str) -> None:
        await self.slots.take(caller)
        self.held[caller] += 1

    async def step(self, caller: str, step: str) -> None:
        waiting = [task for name, task in self.running if name == caller and not task.done()]
        if step == "take":
            self.running.append((caller, asyncio.create_task(self._take(caller))))
        elif step == "give" and self.held[caller]:
            self.held[caller] -= 1
            self.slots.give_back(caller)
        elif step == "cancel" and waiting:
            waiting[-1].cancel()
        await settle()

    async def end(self) -> None:
        for _, task in self.running:
            task.cancel()
        await settle()
        for caller, count in self.held.items():
            for _ in range(count):
                self.slots.give_back(caller)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["take", "give", "cancel"])), max_size=40))
def test_whatever_happens_bounds_hold_and_no_slot_is_lost(steps):
    async def course() -> None:
        play = Play()
        for caller, step in steps:
            await play.step(caller, step)
            assert max(play.held.values()) <= 2
            assert sum(play.held.values()) <= 3
        await play.end()
        for caller in "aab":
            await asyncio.wait_for(play.slots.take(caller), 10)

    asyncio.run(course())
