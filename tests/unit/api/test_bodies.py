"""A body waits for its place unread, and what it holds is counted until its answer has it."""

import asyncio
import json

import pybase64
import pytest
from starlette.requests import Request

from app.access.admission import MemoryBudget
from app.api.bodies import BodyReader
from app.catalog.modes import Mode
from app.domain.context import RequestContext
from app.domain.words import Delivery
from app.errors import InvalidRequestError, OverloadedError
from app.images.hashing import ImageHash
from app.server.delivery import state_of
from app.settings.groups import ImageSettings, UpstreamSettings
from app.settings.limits import LoadSettings
from app.settings.server import ServerSettings
from tests.support.images import png

MIB = 1024 * 1024
IMAGE = png()
JSON = json.dumps({"prompt": "a", "image": f"data:image/png;base64,{pybase64.b64encode(IMAGE).decode()}"}).encode()


class Arriving(Request):
    """A request whose body comes in one piece; `taken` says whether it was received."""

    def __init__(
        self,
        body: bytes,
        size: int | None = None,
        kind: str = "application/json",
        encoding: str | None = None,
        **path: str,
    ) -> None:
        self.taken = False
        self.when_taken = lambda: None

        async def receive() -> dict:
            self.taken = True
            self.when_taken()
            return {"type": "http.request", "body": body, "more_body": False}

        announced = str(len(body) if size is None else size).encode()
        headers = [(b"content-type", kind.encode()), (b"content-length", announced)]
        headers += [] if encoding is None else [(b"content-encoding", encoding.encode())]
        super().__init__({"type": "http", "headers": headers, "path_params": path}, receive)


def context(wait: float | None = None) -> RequestContext:
    return RequestContext("req_1", "http://a", Delivery.LINK, tenant="one", wait=wait)


def budget(queued: int = 10) -> MemoryBudget:
    return MemoryBudget(2 * MIB, LoadSettings(max_queued=queued))


def reader(memory: MemoryBudget) -> BodyReader:
    return BodyReader(memory, ServerSettings(), ImageSettings(), UpstreamSettings(), ImageHash.BLAKE3)


def test_what_stays_of_a_read_body_are_its_images():
    async def run() -> list[int]:
        memory, request = budget(), Arriving(JSON, size=100_000)
        held = []
        request.when_taken = lambda: held.append(memory.in_flight)
        understood, ticket = await reader(memory).read_request(request, context(), Mode.EDIT)
        assert understood.images[0].data == IMAGE
        held.append(memory.in_flight)  # it goes with the answer, which gives it back
        ticket.release()
        return [*held, memory.in_flight]

    assert asyncio.run(run()) == [300_000, len(IMAGE), 0]


def test_a_body_that_cannot_be_understood_gives_its_place_back():
    async def run() -> int:
        memory, request = budget(), Arriving(b"{", size=100_000)
        with pytest.raises(InvalidRequestError):
            await reader(memory).read_request(request, context(), Mode.GENERATE)
        return memory.in_flight

    assert asyncio.run(run()) == 0


def test_a_body_waits_for_its_place_unread_and_is_refused_when_its_caller_would_leave():
    async def run() -> tuple[bool, int]:
        memory, request = budget(), Arriving(JSON, size=400_000)
        memory.take_body("one", MIB)
        with pytest.raises(OverloadedError):
            await reader(memory).read_request(request, context(wait=0.05), Mode.EDIT)
        return request.taken, memory.bodies.queued

    assert asyncio.run(run()) == (False, 0)


def test_a_body_has_its_turn_when_the_one_before_it_has_ended():
    async def run() -> int:
        memory = budget()
        first = memory.take_body("one", MIB)
        asyncio.get_running_loop().call_later(0.05, first.release)
        await reader(memory).read_request(Arriving(JSON, size=400_000), context(wait=30), Mode.EDIT)
        return memory.in_flight

    assert asyncio.run(run()) == len(IMAGE)


def test_a_prompt_waits_for_nobody():
    async def run() -> str | None:
        memory = budget(queued=0)
        memory.take_body("one", MIB)
        understood, _ = await reader(memory).read_request(Arriving(b'{"prompt": "a"}'), context(), Mode.GENERATE)
        return understood.prompt

    assert asyncio.run(run()) == "a"


@pytest.mark.parametrize("size", [10, 90_000], ids=["small", "large"])
@pytest.mark.parametrize("encoding", [None, "identity"])
def test_a_body_that_came_whole_is_read_as_one_that_comes_in_parts(size, encoding):
    body = json.dumps({"prompt": "a" * size}).encode()

    async def run() -> tuple[str | None, bool, int]:
        request = Arriving(body, encoding=encoding)
        state = state_of(request.scope)
        state.body, state.is_whole = body, True
        understood, _ = await reader(budget()).read_request(request, context(), Mode.GENERATE)
        return understood.prompt, request.taken, state.facts.bytes_in

    prompt, taken, counted = asyncio.run(run())
    # What is packed is received, which is where its bytes are counted.
    assert (prompt, taken, counted) == ("a" * size, encoding is not None, 0 if encoding else len(body))


@pytest.mark.parametrize(
    ("body", "model", "ignored"),
    [
        ({"prompt": "a"}, "deployed", []),
        ({"prompt": "a", "model": "deployed"}, "deployed", []),
        ({"prompt": "a", "model": ""}, "deployed", []),
        ({"prompt": "a", "model": "another"}, "deployed", [("model", "another")]),
    ],
    ids=str,
)
def test_an_address_that_names_the_model_wins_over_the_body_and_says_so(body, model, ignored):
    async def run():
        request = Arriving(json.dumps(body).encode(), deployment="deployed")
        understood, _ = await reader(budget()).read_request(request, context(), Mode.GENERATE)
        return understood

    understood = asyncio.run(run())
    assert (understood.model, [(one.param, one.value) for one in understood.ignored]) == (model, ignored)


def test_a_form_of_a_web_page_is_refused_with_what_to_send_instead():
    async def run() -> None:
        request = Arriving(b"prompt=a", kind="application/x-www-form-urlencoded")
        await reader(budget()).read_request(request, context(), Mode.GENERATE)

    with pytest.raises(InvalidRequestError, match="multipart form"):
        asyncio.run(run())
