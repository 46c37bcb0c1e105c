"""A watch looks once a window, and lets go of what it watched when it ends."""

import asyncio
import gc
import weakref

from app.server.rates import RateWatch

WINDOW = 0.02


class Watched:
    """Something that never moves, and has a watch of its own."""

    def __init__(self) -> None:
        self.stalls = 0
        self.stalled = asyncio.Event()
        self.watch = RateWatch(WINDOW, 1, self.count, self.note)

    def count(self) -> int:
        return 0

    def note(self) -> None:
        self.stalls += 1
        self.stalled.set()


def test_what_does_not_move_is_reported_once():
    async def stall() -> int:
        one = Watched()
        one.watch.start()
        async with asyncio.timeout(30):
            await one.stalled.wait()
        await asyncio.sleep(5 * WINDOW)
        return one.stalls

    assert asyncio.run(stall()) == 1


def test_a_watch_that_has_ended_looks_never_again():
    async def end() -> tuple[bool, int]:
        one = Watched()
        one.watch.start()
        one.watch.end()
        one.watch.start()
        await asyncio.sleep(5 * WINDOW)
        return one.watch.running, one.stalls

    assert asyncio.run(end()) == (False, 0)


def test_what_was_watched_is_freed_without_the_collector():
    gc.disable()
    try:
        one = Watched()
        gone = weakref.ref(one)
        one.watch.end()
        del one
        assert gone() is None
    finally:
        gc.enable()
