"""The pool of worker processes, with real processes."""

import asyncio
import time
from contextlib import asynccontextmanager

import psutil
import pytest

from app.images.errors import BoundCrossedError, MaskShapeError, WorkerDiedError, WorkFailedError
from app.images.workers.bounds import Job
from app.images.workers.pool import Wear, Workers
from tests.support import image_jobs
from tests.support.children import IMAGE_WORKER, children_with
from tests.support.descriptors import no_descriptors

MIB = 1024 * 1024
SMALL = Job("a", made=1000)


@asynccontextmanager
async def pool(processes: int):
    workers = Workers(processes)
    workers.start()
    try:
        yield workers
    finally:
        await workers.close()


def run(processes: int, story):
    """What `story` makes of a pool."""

    async def told():
        async with pool(processes) as workers:
            return await story(workers)

    return asyncio.run(told())


def children() -> set[int]:
    """The worker processes of this process."""
    return {child.pid for child in children_with(IMAGE_WORKER)}


async def until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def test_processes_are_there_before_the_first_work():
    async def story(workers: Workers):
        await until(lambda: len(children() - before) == 2)
        there = children() - before
        return there, await workers.run_in_worker(SMALL, image_jobs.tell_process)

    before = children()
    there, used = run(2, story)
    assert used in there
    assert children() == before


def test_work_whose_process_died_is_done_once_more():
    async def story(workers: Workers):
        first = await workers.run_in_worker(SMALL, image_jobs.tell_process)
        return await workers.run_in_worker(SMALL, image_jobs.die_in, first)

    assert run(1, story) == "done"


def test_a_process_that_died_while_it_had_nothing_to_do_is_replaced():
    async def story(workers: Workers):
        first = await workers.run_in_worker(SMALL, image_jobs.tell_process)
        psutil.Process(first).kill()
        return first, await workers.run_in_worker(SMALL, image_jobs.tell_process)

    first, second = run(1, story)
    assert first != second


@pytest.mark.parametrize(
    ("work", "arguments", "error"),
    [
        (image_jobs.die, (), WorkerDiedError),
        (image_jobs.spin, (60.0,), BoundCrossedError),
        (image_jobs.hoard, (800 * MIB,), BoundCrossedError),
        (image_jobs.answer, (8 * MIB,), BoundCrossedError),
        (image_jobs.fail, (), WorkFailedError),
        (image_jobs.refuse_shape, (), MaskShapeError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_work_that_goes_wrong_takes_down_itself_only(work, arguments, error):
    async def story(workers: Workers):
        with pytest.raises(error):
            await workers.run_in_worker(SMALL, work, *arguments)
        return await workers.run_in_worker(SMALL, image_jobs.echo, b"after")

    assert run(1, story) == b"after"


@pytest.mark.parametrize(
    ("work", "arguments"),
    [(image_jobs.hoard, (800 * MIB,)), (image_jobs.answer, (8 * MIB,)), (image_jobs.die, ())],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_process_that_crossed_a_bound_is_replaced(work, arguments):
    async def story(workers: Workers):
        first = await workers.run_in_worker(SMALL, image_jobs.tell_process)
        with pytest.raises((BoundCrossedError, WorkerDiedError)):
            await workers.run_in_worker(SMALL, work, *arguments)
        return first, await workers.run_in_worker(SMALL, image_jobs.tell_process)

    first, second = run(1, story)
    assert first != second


def test_one_caller_who_keeps_processes_busy_does_not_hold_up_another():
    long = Job("attacker", decoded=60_000_000)

    async def story(workers: Workers):
        attacks = [asyncio.create_task(workers.run_in_worker(long, image_jobs.sleep, 50.0)) for _ in range(4)]
        await asyncio.sleep(0.5)
        await asyncio.gather(*(workers.run_in_worker(SMALL, image_jobs.echo, b"") for _ in range(10)))
        assert not any(attack.done() for attack in attacks), "nobody had to wait for one of them"
        for attack in attacks:
            attack.cancel()
        await asyncio.gather(*attacks, return_exceptions=True)

    run(2, story)


def test_work_nobody_waits_for_any_more_is_ended_and_its_place_given_on():
    async def story(workers: Workers):
        abandoned = asyncio.create_task(workers.run_in_worker(Job("a", decoded=60_000_000), image_jobs.sleep, 50.0))
        queued = asyncio.create_task(workers.run_in_worker(SMALL, image_jobs.echo, b"never"))
        await asyncio.sleep(0.5)
        began = time.monotonic()
        queued.cancel()
        abandoned.cancel()
        await workers.run_in_worker(SMALL, image_jobs.echo, b"next")
        return time.monotonic() - began

    assert run(1, story) < 20


def test_nothing_is_left_of_a_pool_that_is_closed_at_work():
    async def story(workers: Workers):
        working = [
            asyncio.create_task(workers.run_in_worker(Job("a", 60_000_000), image_jobs.sleep, 50.0)) for _ in range(3)
        ]
        await asyncio.sleep(0.5)
        return working

    before = children()
    run(2, story)
    assert children() == before


async def successor_of(worn: int, workers: Workers, before: set[int]) -> int:
    """The only process there is once the worn one has gone, beside those from `before`."""
    await until(lambda: len(children() - before) == 1 and worn not in children())
    return await workers.run_in_worker(SMALL, image_jobs.tell_process)


def serving(wear: Wear, story):
    """What `story` makes of a pool of one process that wears like this."""

    async def told():
        workers = Workers(1, wear=wear)
        workers.start()
        try:
            await workers.warm()
            return await story(workers)
        finally:
            await workers.close()

    return asyncio.run(told())


@pytest.mark.parametrize(
    ("wear", "work", "arguments"),
    [
        pytest.param(Wear(images=3), image_jobs.tell_process, (), id="by many images"),
        pytest.param(Wear(growth_bytes=32 * MIB), image_jobs.leak, (16 * MIB,), id="by memory that is not given back"),
    ],
)
def test_a_process_that_is_worn_is_replaced_and_no_image_waits_for_that(wear, work, arguments):
    async def story(workers):
        seen: list[int] = []
        for _ in range(200):
            seen.append(await workers.run_in_worker(SMALL, work, *arguments))
            # At every moment one is there.
            assert workers.ready == 1
            if len(set(seen)) == 3:
                return seen
            await asyncio.sleep(0.02)
        return seen

    seen = serving(wear, story)
    first, second, _ = sorted(set(seen), key=seen.index)
    assert (seen.count(first) >= 2, seen.count(second) >= 2) == (True, True), "each did its part"
    assert seen == sorted(seen, key=[*dict.fromkeys(seen)].index), "none comes back"


def test_a_worn_process_goes_when_its_successor_is_there_although_no_other_image_comes():
    async def story(workers):
        worn = await workers.run_in_worker(SMALL, image_jobs.tell_process)
        return worn, await successor_of(worn, workers, before)

    before = children()
    worn, successor = serving(Wear(images=1), story)
    assert successor != worn


def test_a_process_that_dies_leaves_its_place_to_the_successor_that_is_being_started():
    async def story(workers):
        worn = await workers.run_in_worker(SMALL, image_jobs.tell_process)
        done = await workers.run_in_worker(SMALL, image_jobs.die_in, worn)
        await until(lambda: len(children() - before) == 1)
        return done

    before = children()
    assert serving(Wear(images=1), story) == "done"


def test_a_worn_process_goes_on_until_a_successor_can_be_started():
    async def story(workers):
        with no_descriptors():
            served = {await workers.run_in_worker(SMALL, image_jobs.tell_process) for _ in range(5)}
        (worn,) = served
        await workers.run_in_worker(SMALL, image_jobs.tell_process)
        return worn, await successor_of(worn, workers, before)

    before = children()
    worn, successor = serving(Wear(images=1), story)
    assert successor != worn


def test_a_process_that_dies_behind_a_successor_that_could_not_be_started_is_replaced():
    async def story(workers):
        worn = await workers.run_in_worker(SMALL, image_jobs.tell_process)
        with no_descriptors():
            for _ in range(5):
                await workers.run_in_worker(SMALL, image_jobs.tell_process)
        return await workers.run_in_worker(SMALL, image_jobs.die_in, worn)

    assert serving(Wear(images=2), story) == "done"


def test_a_process_that_is_not_worn_stays():
    async def story(workers):
        return {await workers.run_in_worker(SMALL, image_jobs.tell_process) for _ in range(20)}

    assert len(serving(Wear(), story)) == 1


def test_a_pool_is_warm_when_it_says_so():
    async def story(workers):
        return workers.ready, workers.states()

    assert serving(Wear(), story) == (1, {"idle": 1, "busy": 0, "starting": 0})
