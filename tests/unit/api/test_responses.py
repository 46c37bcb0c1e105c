"""What is noted of an answer when it was sent, was lost, or is collected later."""

import asyncio

import pytest
from starlette.responses import Response

from app.access.admission import Admission
from app.api.responses import DeliveryTracker, EventResponse, HoldingResponse, PiecewiseResponse, holding
from app.api.sent_answers import SentAnswers
from app.catalog.modes import Mode
from app.catalog.registry import unlisted_model
from app.domain.outcome import Unresolved
from app.generation.stream import Stream
from app.journal.records import Receipt
from app.server.answering import EXTENSIONS
from app.server.delivery import state_of

ANSWER = object()


class Notes:
    """Keeps what is noted of requests, in order."""

    def __init__(self) -> None:
        self.noted: list = []

    def acknowledge(self, request_id: str, receipt: Receipt, answer: object = None) -> None:
        self.noted.append((receipt, answer))

    def retract(self, request_id: str) -> None:
        self.noted.append("retracted")


class Connection:
    """The server's side of one request, which may end when so many messages were sent."""

    def __init__(self, *, ends_after: int | None = None) -> None:
        self.scope: dict = {"type": "http"}
        self.sent: list[dict] = []
        self.ends_after = ends_after

    async def receive(self) -> dict:
        raise AssertionError

    async def send(self, message: dict) -> None:
        self.sent.append(message)
        if len(self.sent) == self.ends_after:
            state_of(self.scope).notify_ended(in_peace=False)

    async def carry(self, response: Response) -> None:
        await response(self.scope, self.receive, self.send)

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.sent[1:]]


def answered(notes: Notes, chunks: list[bytes] | None = None, **more) -> PiecewiseResponse:
    return PiecewiseResponse(chunks or [b"{}"], {}, DeliveryTracker(SentAnswers(notes), "req_1", ANSWER, **more))


def send(response: PiecewiseResponse, connection: Connection, then=lambda state: None) -> None:
    async def run() -> None:
        await connection.carry(response)
        then(state_of(connection.scope))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("happens", "noted"),
    [
        (lambda state: None, []),
        (lambda state: state.notify_arrived(), [(Receipt.DELIVERED, None)]),
        (lambda state: state.notify_ended(in_peace=True), [(Receipt.DELIVERED, None)]),
        (lambda state: state.notify_ended(in_peace=False), [(Receipt.LOST, None), "retracted"]),
        (lambda state: [state.notify_arrived(), state.notify_ended(in_peace=False)], [(Receipt.DELIVERED, None)]),
    ],
    ids=["nothing yet", "another request", "closed in peace", "reset", "reset after another request"],
)
def test_what_happens_on_the_connection_says_whether_an_answer_was_read(happens, noted):
    notes = Notes()
    send(answered(notes), Connection(), happens)
    assert notes.noted == noted


@pytest.mark.parametrize(
    ("ends_after", "noted"),
    [(1, [(Receipt.LOST, ANSWER)]), (2, [(Receipt.LOST, ANSWER)]), (3, [(Receipt.LOST, None), "retracted"])],
    ids=["behind the head", "before the last piece", "behind the last piece"],
)
def test_a_connection_that_ends_while_the_answer_is_sent_counts_as_lost(ends_after, noted):
    notes = Notes()
    send(answered(notes, [bytes(20_000), b"}"]), Connection(ends_after=ends_after))
    assert notes.noted == noted


def test_a_caller_that_will_ask_later_is_noted_at_once_and_followed_no_further():
    notes = Notes()
    send(answered(notes, receipt=Receipt.DEFERRED), Connection(), lambda state: state.notify_ended(in_peace=False))
    assert notes.noted == [(Receipt.DEFERRED, None)]


@pytest.mark.parametrize(
    ("sizes", "pieces"), [([10, 20], 1), ([16_384], 1), ([10, 16_375], 2), ([1, 500_000, 1], 3)], ids=str
)
def test_only_small_bodies_are_joined(sizes, pieces):
    connection = Connection()
    response = answered(Notes(), [bytes(size) for size in sizes])
    send(response, connection)
    assert (len(connection.bodies), sum(map(len, connection.bodies))) == (pieces, sum(sizes))
    assert [message["more_body"] for message in connection.sent[1:]] == [True] * (pieces - 1) + [False]
    assert (b"content-length", str(sum(sizes)).encode()) in connection.sent[0]["headers"]
    assert response.held_bytes == sum(sizes)


@pytest.mark.parametrize(("size", "messages"), [(100, 1), (16_384, 1), (20_000, 2)])
def test_a_small_answer_is_one_message_where_the_server_takes_it(size, messages):
    connection = Connection()
    connection.scope["extensions"] = EXTENSIONS
    send(answered(Notes(), [bytes(size)]), connection)
    assert (len(connection.sent), len(connection.sent[-1]["body"])) == (messages, size)


@pytest.mark.parametrize(("size", "held"), [(100, 0), (20_000, 20_000)], ids=["small", "large"])
def test_only_a_large_answer_holds_a_place(size, held):
    admission = Admission(100_000, 0)
    holding(answered(Notes(), [bytes(size)]), admission.take("one", 7))
    assert admission.in_flight == held


def test_a_caller_that_left_before_a_small_answer_loses_it():
    notes, connection = Notes(), Connection()
    connection.scope["extensions"] = EXTENSIONS
    state_of(connection.scope).leave()
    send(answered(notes), connection)
    assert notes.noted == [(Receipt.LOST, ANSWER)]


@pytest.mark.parametrize("breaks", [False, True])
def test_a_place_is_held_for_the_answer_and_given_back_however_its_sending_ends(breaks):
    async def run() -> list[int]:
        admission = Admission(100, 0)
        held = []
        connection = Connection()

        async def send(message: dict) -> None:
            held.append(admission.in_flight)
            if breaks:
                raise OSError

        connection.send = send
        try:
            await connection.carry(HoldingResponse(answered(Notes(), [bytes(40)]), admission.take("one", 7)))
        except OSError:
            assert breaks
        return [*held, admission.in_flight]

    seen = asyncio.run(run())
    assert (set(seen[:-1]), seen[-1]) == ({40}, 0)


def test_a_stream_is_noted_as_lost_before_its_caller_learns_that_the_image_comes_later():
    notes, connection, noted_by_then = Notes(), Connection(), []

    async def events():
        yield Unresolved("req_1")

    async def send_and_look(message: dict) -> None:
        noted_by_then.append((message.get("body", b""), list(notes.noted)))

    async def run() -> None:
        stream = Stream("req_1", 1, unlisted_model("civitai:1@1"), (), events())
        response = EventResponse(Mode.GENERATE, stream, DeliveryTracker(SentAnswers(notes), "req_1"))
        await response(connection.scope, connection.receive, send_and_look)

    asyncio.run(run())
    (noted,) = [noted for body, noted in noted_by_then if b"still_processing" in body]
    assert noted == [(Receipt.LOST, None)]
    assert notes.noted == [(Receipt.LOST, None)]
