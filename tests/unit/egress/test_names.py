"""Names: slow ones hold up nobody else, and what this gateway lives on is remembered. Nothing real is looked up."""

import asyncio
import threading
import time

import pytest

from app.egress.names import NameResolver, RememberingResolver


class Stub:
    """A name server of the test's own: hosts beginning with `slow` do not answer until `release` is set."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host.startswith("slow"):
            self.release.wait(20)
        if host.startswith("unknown"):
            raise OSError("no such host")
        if host.startswith("odd"):
            raise UnicodeError("label too long")
        return ["192.0.2.1"]


@pytest.fixture
def stub():
    stub = Stub()
    yield stub
    stub.release.set()


def test_slow_names_of_one_caller_hold_up_no_other(stub):
    async def course() -> None:
        names = NameResolver(threads=8, per_caller=4, wait=2, lookup=stub)
        slow = [asyncio.create_task(names.resolve(f"slow{number}", 80, "hostile")) for number in range(20)]
        await asyncio.sleep(0.1)
        assert await names.resolve("quick", 80, "innocent") == ["192.0.2.1"], "before any of them has ended"
        ends = await asyncio.gather(*slow, return_exceptions=True)
        assert {type(end) for end in ends} == {TimeoutError}

    asyncio.run(course())
    assert sum(host.startswith("slow") for host in stub.asked) == 4


def test_a_lookup_that_was_left_keeps_its_place_until_it_ends(stub):
    async def course() -> None:
        names = NameResolver(threads=1, per_caller=1, wait=0.1, lookup=stub)
        for host in ("slow", "quick"):
            with pytest.raises(TimeoutError):
                await names.resolve(host, 80, "a")
        stub.release.set()
        for _ in range(100):
            await asyncio.sleep(0.02)
            try:
                assert await names.resolve("quick", 80, "a") == ["192.0.2.1"]
            except TimeoutError:
                continue
            return
        pytest.fail("the place was never given back")

    asyncio.run(course())


@pytest.mark.parametrize(("host", "error"), [("unknown", OSError), ("odd", UnicodeError)])
def test_a_name_without_addresses_is_told_and_frees_its_place(stub, host, error):
    async def course() -> None:
        names = NameResolver(threads=1, per_caller=1, wait=5, lookup=stub)
        for _ in range(3):
            with pytest.raises(error):
                await names.resolve(host, 80, "a")

    asyncio.run(course())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_is_not_looked_up(stub, host):
    assert asyncio.run(NameResolver(threads=1, per_caller=1, wait=1, lookup=stub).resolve(host, 80, "a")) == [host]
    assert stub.asked == []


def test_the_process_ends_while_names_do_not_answer(stub):
    async def course() -> None:
        asking = asyncio.create_task(
            NameResolver(threads=1, per_caller=1, wait=10, lookup=stub).resolve("slow", 80, "a")
        )
        await asyncio.sleep(0.05)
        asking.cancel()

    began = time.monotonic()
    asyncio.run(course())
    assert time.monotonic() - began < 5


class Course:
    """A remembering resolver on a clock of its own, over answers that a test sets."""

    def __init__(self, **options: float) -> None:
        self.now = 0.0
        self.answer: list[str] | Exception = ["192.0.2.1"]
        self.asked = 0
        self.delay = 0.0
        self.answers = asyncio.Event()
        self.answers.set()
        self.names = RememberingResolver(self._resolve, clock=lambda: self.now, **({"wait": 5.0} | options))

    async def _resolve(self, host: str, port: int, caller: str) -> list[str]:
        self.asked += 1
        answer = self.answer
        await asyncio.sleep(self.delay)
        await self.answers.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ask(self) -> list[str]:
        return list(await self.names.resolve("runware.test", 443))


def test_a_fresh_answer_is_not_asked_for_again_and_an_old_one_is():
    async def course() -> None:
        names = Course()
        assert [await names.ask(), await names.ask(), names.asked] == [["192.0.2.1"], ["192.0.2.1"], 1]
        names.now, names.answer = 31, ["192.0.2.2"]
        assert [await names.ask(), names.asked] == [["192.0.2.2"], 2]

    asyncio.run(course())


@pytest.mark.parametrize("fault", [OSError("dead"), [], "late"], ids=["fails", "empty", "silent"])
def test_the_last_good_answer_serves_for_an_hour_when_names_are_dead(fault):
    async def course() -> None:
        names = Course(wait=0.05)
        await names.ask()
        names.answer, names.delay = (["192.0.2.9"], 30) if fault == "late" else (fault, 0)
        for now in (31, 600, 3599):
            names.now = now
            assert await names.ask() == ["192.0.2.1"]
        names.now = 3700
        with pytest.raises((OSError, TimeoutError)):
            await asyncio.wait_for(names.ask(), 0.2)

    asyncio.run(course())


def test_nobody_waits_again_and_again_for_names_that_are_dead():
    async def course() -> None:
        names = Course(wait=0.5)
        await names.ask()
        names.now, names.delay = 31, 30
        began = time.monotonic()
        for _ in range(50):
            await names.ask()
        assert time.monotonic() - began < 50 * 0.5 / 2
        assert names.asked == 2

    asyncio.run(course())


def test_many_ask_once_together():
    async def course() -> None:
        names = Course()
        names.delay = 0.05
        assert await asyncio.gather(*(names.ask() for _ in range(30))) == [["192.0.2.1"]] * 30
        assert names.asked == 1

    asyncio.run(course())


def test_an_answer_that_came_too_late_for_one_serves_the_next():
    async def course() -> None:
        names = Course(wait=0.02)
        await names.ask()
        names.now, names.answer = 31, ["192.0.2.2"]
        names.answers.clear()
        assert await names.ask() == ["192.0.2.1"]
        names.answers.set()
        for _ in range(5):  # in which what was asked is learned
            await asyncio.sleep(0)
        assert [await names.ask(), names.asked] == [["192.0.2.2"], 2]

    asyncio.run(course())
