"""Answers that were sent count as read after a silence; all of them are listened for with one timer."""

import asyncio

import pytest

from app.api.sent_answers import SentAnswers
from app.journal.records import Receipt
from app.server.delivery import RequestState

SILENCE = 0.05


class Notes:
    """Keeps what is noted of requests, in order."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, Receipt | str]] = []

    def acknowledge(self, request_id: str, receipt: Receipt, answer: object = None) -> None:
        self.noted.append((request_id, receipt))

    def retract(self, request_id: str) -> None:
        self.noted.append((request_id, "retracted"))


async def noted(notes: Notes, count: int) -> None:
    for _ in range(2000):
        if len(notes.noted) >= count:
            return
        await asyncio.sleep(0.005)


def test_answers_nothing_is_heard_of_count_as_read_each_after_its_silence():
    async def run() -> tuple[list, list[float]]:
        notes, loop, at = Notes(), asyncio.get_running_loop(), []
        sent = SentAnswers(notes, SILENCE)
        began = loop.time()
        for count in (1, 2):
            sent.follow(RequestState(), f"req_{count}")
            await asyncio.sleep(SILENCE / 2)
        for count in (1, 2):
            await noted(notes, count)
            at.append(loop.time() - began)
        sent.follow(RequestState(), "req_3")  # also behind a time without any
        await noted(notes, 3)
        return notes.noted, at

    found, at = asyncio.run(run())
    assert found == [(f"req_{count}", Receipt.DELIVERED) for count in (1, 2, 3)]
    assert (at[0] >= SILENCE * 0.9, at[1] >= SILENCE * 1.4) == (True, True)


@pytest.mark.parametrize(
    ("happens", "noted_of_it"),
    [
        (lambda state: state.notify_arrived(), [Receipt.DELIVERED]),
        (lambda state: state.notify_ended(in_peace=True), [Receipt.DELIVERED]),
        (lambda state: state.notify_ended(in_peace=False), [Receipt.LOST, "retracted"]),
    ],
    ids=["read", "closed in order", "reset"],
)
def test_what_was_heard_is_noted_at_once_and_silence_says_nothing_more(happens, noted_of_it):
    async def run() -> list:
        notes, state = Notes(), RequestState()
        sent = SentAnswers(notes, SILENCE)
        sent.follow(state, "req_1")
        happens(state)
        at_once = list(notes.noted)
        sent.follow(RequestState(), "req_2")
        await noted(notes, len(at_once) + 1)
        return at_once, notes.noted

    at_once, in_the_end = asyncio.run(run())
    assert at_once == [("req_1", one) for one in noted_of_it]
    assert in_the_end == [*at_once, ("req_2", Receipt.DELIVERED)]


def test_a_reset_behind_the_silence_takes_back_what_it_was_taken_for():
    async def run() -> list:
        notes, state = Notes(), RequestState()
        SentAnswers(notes, SILENCE).follow(state, "req_1")
        await noted(notes, 1)
        state.notify_ended(in_peace=False)
        return notes.noted

    assert asyncio.run(run()) == [("req_1", Receipt.DELIVERED), ("req_1", "retracted")]
