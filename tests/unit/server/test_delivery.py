"""Whether a caller is still there, and who learns that its answer was read."""

import asyncio
import socket

import pytest

from app.server.delivery import RequestState, state_of


class Heard:
    def __init__(self) -> None:
        self.words: list[str] = []

    def arrived(self) -> None:
        self.words.append("arrived")

    def lost(self) -> None:
        self.words.append("lost")


def test_a_request_has_one_state_wherever_it_is_asked_for():
    scope: dict = {"type": "http", "state": {"of": "others"}}
    state_of(scope).request_id = "req_1"
    assert state_of(scope).request_id == "req_1"
    assert scope["state"]["of"] == "others"
    assert state_of({"type": "http"}).request_id == ""


@pytest.mark.parametrize(
    ("happens", "heard"),
    [
        (lambda state, one: state.listen(one), []),
        (lambda state, one: [state.listen(one), state.notify_arrived(), state.notify_arrived()], ["arrived"]),
        (lambda state, one: [state.listen(one), state.notify_ended(in_peace=True)], ["arrived"]),
        (lambda state, one: [state.listen(one), state.notify_ended(in_peace=False)], ["lost"]),
        (lambda state, one: [state.notify_ended(in_peace=True), state.listen(one)], ["lost"]),
        (lambda state, one: [state.notify_arrived(), state.listen(one)], []),
        (lambda state, one: [state.leave(), state.listen(one), state.notify_ended(in_peace=True)], ["lost"]),
        (lambda state, one: [state.listen(one), state.leave(), state.notify_ended(in_peace=True)], ["arrived"]),
    ],
    ids=[
        "nothing",
        "next request",
        "closed",
        "reset",
        "ended before it was sent",
        "an earlier answer was read",
        "sent while it was closing",
        "sent before it was closing",
    ],
)
def test_what_becomes_of_an_answer_is_said_once(happens, heard):
    listener = Heard()
    happens(state_of({"type": "http"}), listener)
    assert listener.words == heard


@pytest.mark.parametrize("leaves", [False, True])
def test_a_caller_that_has_left_is_seen_although_its_body_lies_unread(leaves):
    async def run() -> bool:
        accepted: asyncio.Future = asyncio.get_running_loop().create_future()

        class Unread(asyncio.Protocol):
            def connection_made(self, transport) -> None:
                transport.pause_reading()
                accepted.set_result(transport)

        server = await asyncio.get_running_loop().create_server(Unread, "127.0.0.1", 0)
        caller = socket.create_connection(server.sockets[0].getsockname())
        caller.sendall(b"a body that is never read")
        scope: dict = {"type": "http"}
        state_of(scope).transport = await accepted
        if leaves:
            caller.close()
            for _ in range(500):
                if state_of(scope).has_left():
                    break
                await asyncio.sleep(0.01)
        has_left = state_of(scope).has_left()
        caller.close()
        state_of(scope).transport.abort()
        server.close()
        return has_left

    assert asyncio.run(run()) is leaves


def test_a_request_without_a_connection_has_not_left():
    assert state_of({"type": "http"}).has_left() is False


def test_work_ends_with_its_result_while_its_caller_waits():
    async def work() -> str:
        await asyncio.sleep(0)
        return "made"

    assert asyncio.run(RequestState().unless_gone(work())) == "made"


@pytest.mark.parametrize("leaves_before", [False, True])
def test_work_is_cancelled_when_its_caller_disconnects(leaves_before):
    happened = []
    state = RequestState()

    async def work() -> str:
        happened.append("began")
        if not leaves_before:
            asyncio.get_running_loop().call_soon(leave)
        try:
            await asyncio.Event().wait()
        finally:
            happened.append("cancelled")

    def leave() -> None:
        state.notify_ended(in_peace=True)

    if leaves_before:
        leave()
    assert (asyncio.run(state.unless_gone(work())), happened) == (None, ["began", "cancelled"])


@pytest.mark.parametrize("leaves_too", [False, True])
def test_a_cancellation_from_outside_goes_on(leaves_too):
    async def run() -> None:
        state = RequestState()
        task = asyncio.create_task(state.unless_gone(asyncio.Event().wait()))
        await asyncio.sleep(0)
        if leaves_too:
            state.notify_ended(in_peace=False)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())


def test_a_caller_that_leaves_after_the_work_has_ended_cancels_nothing():
    async def run() -> str:
        state = RequestState()
        made = await state.unless_gone(asyncio.sleep(0, "made"))
        state.notify_ended(in_peace=True)
        await asyncio.sleep(0)
        return made

    assert asyncio.run(run()) == "made"


def test_an_end_that_is_told_twice_cancels_once():
    """A second cancellation would be taken for the server's, and the caller's work for cut off by a restart."""

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)  # it takes a while to end

    async def run() -> str | None:
        state = RequestState()
        loop = asyncio.get_running_loop()
        loop.call_soon(state.leave)
        loop.call_later(0.005, lambda: state.notify_ended(in_peace=True))
        return await state.unless_gone(work())

    assert asyncio.run(run()) is None


@pytest.mark.parametrize(("is_whole", "taken"), [(True, b"body"), (False, None)])
def test_a_body_is_handed_over_once_and_only_as_a_whole(is_whole, taken):
    state = RequestState()
    state.body, state.is_whole = b"body", is_whole
    assert [state.take_body(), state.take_body()] == [taken, None]
    assert state.facts.bytes_in == len(taken or b"")


def test_the_first_of_several_headers_of_one_name_counts():
    assert RequestState([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]).headers == {b"a": b"1", b"b": b"2"}
