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
from app.settings.groups import ImageSettings, UpstreamSettings
from app.settings.limits import LoadSettings
from app.settings.server import ServerSettings
from tests.support.images import png

MIB = 1024 * 1024
IMAGE = png()
JSON = json.dumps({"prompt": "a", "image": f"data:image/png;base64,{pybase64.b64encode(IMAGE).decode()}"}).encode()


class Arriving(Request):
    """A request whose body comes in one piece; `taken` says whether it was read."""

    def __init__(self, body: bytes, size: int | None = None, kind: str = "application/json", **path: str) -> None:
        self.taken = False

        async def receive() -> dict:
            self.taken = True
            return {"type": "http.request", "body": body, "more_body": False}

        announced = str(len(body) if size is None else size).encode()
        headers = [(b"content-type", kind.encode()), (b"content-length", announced)]
        super().__init__({"type": "http", "headers": headers, "path_params": path}, receive)


def context(wait: float | None = None) -> RequestContext:
    return RequestContext("req_1", "http://a", Delivery.LINK, tenant="one", wait=wait)


def budget(queued: int = 10) -> MemoryBudget:
    return MemoryBudget(2 * MIB, LoadSettings(max_queued=queued))


def reader(memory: MemoryBudget) -> BodyReader:
    return BodyReader(memory, ServerSettings(), ImageSettings(), UpstreamSettings())


def test_what_stays_of_a_read_body_are_its_images():
    async def run() -> list[int]:
        memory, request = budget(), Arriving(JSON, size=100_000)
        bodies = reader(memory)
        async with bodies.admit_body(request, context()) as ticket:
            seen = [memory.in_flight]
            understood = await bodies.read_request(request, Mode.EDIT, ticket)
            assert understood.images[0].data == IMAGE
            seen.append(memory.in_flight)
        seen.append(memory.in_flight)  # it goes with the answer, which releases it
        ticket.release()
        return [*seen, memory.in_flight]

    assert asyncio.run(run()) == [300_000, len(IMAGE), len(IMAGE), 0]


def test_a_body_that_cannot_be_understood_gives_its_place_back():
    async def run() -> int:
        memory, request = budget(), Arriving(b"{", size=100_000)
        bodies = reader(memory)
        with pytest.raises(InvalidRequestError):
            async with bodies.admit_body(request, context()) as ticket:
                await bodies.read_request(request, Mode.GENERATE, ticket)
        return memory.in_flight

    assert asyncio.run(run()) == 0


def test_a_body_waits_for_its_place_unread_and_is_refused_when_its_caller_would_leave():
    async def run() -> tuple[bool, int]:
        memory, request = budget(), Arriving(JSON, size=400_000)
        bodies = reader(memory)
        async with bodies.admit_body(Arriving(JSON, size=400_000), context()):
            with pytest.raises(OverloadedError):
                async with bodies.admit_body(request, context(wait=0.05)):
                    pytest.fail("there was no place")
        return request.taken, memory.bodies.queued

    assert asyncio.run(run()) == (False, 0)


def test_a_body_has_its_turn_when_the_one_before_it_has_ended():
    async def run() -> bool:
        memory = budget()
        bodies = reader(memory)
        async with bodies.admit_body(Arriving(JSON, size=400_000), context()) as first:
            asyncio.get_running_loop().call_later(0.05, first.release)
            async with bodies.admit_body(Arriving(JSON, size=400_000), context(wait=30)) as second:
                return second.waits

    assert asyncio.run(run()) is False


def test_a_prompt_waits_for_nobody():
    async def run() -> bool:
        memory = budget(queued=0)
        bodies = reader(memory)
        large, small = Arriving(JSON, size=400_000), Arriving(b'{"prompt": "a"}')
        async with bodies.admit_body(large, context()), bodies.admit_body(small, context()) as ticket:
            return ticket.waits

    assert asyncio.run(run()) is False


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
        bodies = reader(budget())
        async with bodies.admit_body(request, context()) as ticket:
            return await bodies.read_request(request, Mode.GENERATE, ticket)

    understood = asyncio.run(run())
    assert (understood.model, [(one.param, one.value) for one in understood.ignored]) == (model, ignored)


def test_a_form_of_a_web_page_is_refused_with_what_to_send_instead():
    async def run() -> None:
        request = Arriving(b"prompt=a", kind="application/x-www-form-urlencoded")
        bodies = reader(budget())
        async with bodies.admit_body(request, context()) as ticket:
            await bodies.read_request(request, Mode.GENERATE, ticket)

    with pytest.raises(InvalidRequestError, match="multipart form"):
        asyncio.run(run())
