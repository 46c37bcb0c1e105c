"""What every request passes: its id and its path, whatever is served."""

import asyncio

import pytest
from starlette.responses import Response

from app.observability.access_log import AccessLog
from app.observability.hidden import HiddenValues
from app.server.delivery import state_of
from app.server.middleware import RequestIds, RequestMiddleware
from app.server.paths import path_reader


def scope_of(path: str = "/images", method: str = "POST", **headers: str) -> dict:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "root_path": "", "headers": raw, "server": ("10.0.0.5", 80)}


@pytest.mark.parametrize("joins", [None, "req_earlier"])
def test_an_answer_bears_the_id_it_has_when_it_begins(joins):
    sent: list[dict] = []

    async def app(scope, receive, send) -> None:
        assert (state_of(scope).request_id, scope["path"], scope["root_path"]) == ("req_own", "/v1/models", "/v1")
        state_of(scope).request_id = joins or state_of(scope).request_id
        await Response("served")(scope, receive, send)

    async def send(message) -> None:
        sent.append(message)

    middleware = RequestMiddleware(
        app, {}, AccessLog("console", "error", HiddenValues()), path_reader(("v1",)), lambda: "req_own"
    )
    asyncio.run(middleware(scope_of("//v1/models/", "GET"), None, send))
    headers = dict(sent[0]["headers"])
    assert headers[b"x-request-id"] == headers[b"x-spillway-request-id"] == (joins or "req_own").encode()
    assert headers[b"openai-processing-ms"].isdigit()


def test_ids_are_made_of_the_bytes_that_were_drawn_each_of_which_is_used_once():
    drawn: list[bytes] = []

    def draw(count: int) -> bytes:
        drawn.append(bytes(number % 256 for number in range(len(drawn) * count, (len(drawn) + 1) * count)))
        return drawn[-1]

    ids = RequestIds(draw, lambda: 0x19A_BCDE_F012 * 1_000_000)
    made = [ids() for _ in range(200)]
    assert {one[:16] for one in made} == {"req_019abcdef012"}
    assert all(len(one) == len("req_") + 32 for one in made)
    assert "".join(one[16:] for one in made) == b"".join(drawn).hex()[: 200 * 20]
    assert len(drawn) > 1


def test_no_two_ids_are_alike():
    ids, others = RequestIds(), RequestIds()
    assert len({one() for one in (ids, others) for _ in range(2000)}) == 4000
