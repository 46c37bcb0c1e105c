"""Whose key an exchange carries, and what it means that Runware refuses it."""

import asyncio
import time

import pytest
from aiohttp import web
from pydantic import SecretStr

from app.runware.client import RunwareClient
from app.runware.exchange import Run, RunwareExchange
from app.runware.failures import Kind
from app.runware.http_transport import HTTPTransport
from app.runware.keys import OwnKey, RunwareKey
from app.runware.retry import RetryPolicy
from app.runware.tasks import ImageTask
from app.runware.transport import LostError
from tests.support.upstreams import KEY, ScriptedTransport, image, reply

UUID = "b37226ee-ee6e-49a8-b472-7d7136c8b161"
TASK = ImageTask(UUID, "runware:100@1", "a pear", 1, "URL", "PNG", 256, 256)
CALLERS = RunwareKey(SecretStr("a-callers-own-key"), is_callers=True)
REFUSED = reply(401, errors=[{"code": "invalidApiKey", "message": "Invalid API key.", "taskUUID": UUID}])
POLICY = RetryPolicy(first_backoff=0.001, longest_backoff=0.002, first_poll=0.001, longest_poll=0.002)


def run(key: RunwareKey, *script: object) -> tuple[ScriptedTransport, RunwareClient, object]:
    async def course():
        transport = ScriptedTransport(*script)
        client = RunwareClient(transport, OwnKey(KEY.secret), sync_wait=100, retry=POLICY, chance=lambda: 0.5)
        return transport, client, await client.run_task(TASK, key, time.monotonic() + 5)

    return asyncio.run(course())


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([reply(data=[image(UUID)])], id="at-once"),
        pytest.param([reply(500), reply(data=[image(UUID)])], id="retried"),
        pytest.param([LostError(), reply(data=[image(UUID)])], id="looked-for"),
        pytest.param(
            [reply(400, errors=[{"code": "conflictTaskUUID", "taskUUID": UUID}]), reply(data=[image(UUID)])],
            id="conflict",
        ),
    ],
)
def test_every_exchange_of_a_task_carries_its_key(script):
    transport, _, result = run(CALLERS, *script)
    assert len(result.images) == 1
    assert set(transport.keys) == {CALLERS}


@pytest.mark.parametrize(
    ("key", "kind", "refused"),
    [
        pytest.param(KEY, Kind.AUTHENTICATION, True, id="own"),
        pytest.param(CALLERS, Kind.CALLERS_KEY, False, id="callers"),
    ],
)
def test_a_refused_key_is_the_fault_of_whoever_brought_it(key, kind, refused):
    transport, client, result = run(key, REFUSED)
    assert [failure.kind for failure in result.failures] == [kind]
    assert (client.key_refused, len(transport.sent)) == (refused, 1)


def test_a_callers_good_answer_says_nothing_of_our_own_key():
    transport, client, _ = run(KEY, REFUSED)
    assert client.key_refused
    assert transport.keys == [KEY]


@pytest.mark.parametrize("own", [KEY, None], ids=["own", "none"])
def test_whether_runware_is_there_is_asked_without_the_key_of_a_caller(own):
    async def course() -> list:
        transport = ScriptedTransport(*[LostError()] * 10, REFUSED)
        exchange = RunwareExchange(transport, own_key=own)
        for _ in range(10):
            with pytest.raises(LostError):
                await exchange.send(Run(UUID, CALLERS, 1, 4096, time.monotonic() + 5, b"[{}]"), "submit", b"[{}]", 1)
        assert exchange.unreachable
        async with asyncio.timeout(20):
            while exchange.unreachable:  # noqa: ASYNC110 - the breaker closes by an answer, and tells nobody
                await asyncio.sleep(0.01)
        await exchange.close()
        return transport.keys[10:]

    assert asyncio.run(course()) == [own]


@pytest.mark.parametrize(("key", "header"), [(CALLERS, "Bearer a-callers-own-key"), (None, None)], ids=["key", "none"])
def test_the_header_is_of_the_exchange_and_not_of_the_connection(key, header):
    async def course() -> list:
        seen: list[str | None] = []

        async def answer(request: web.Request) -> web.Response:
            seen.append(request.headers.get("Authorization"))
            return web.json_response({"data": []})

        app = web.Application()
        app.add_routes([web.post("/v1", answer)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        transport = HTTPTransport(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        for one in (KEY, key):
            await transport.post(b"[]", one, 10)
        await transport.close()
        await runner.cleanup()
        return seen

    assert asyncio.run(course()) == ["Bearer the-gateways-own-key", header]


@pytest.mark.parametrize(
    ("tenant", "is_ours"), [("anonymous", True), ("key_a", True), ("0123", True), ("rw_0123", False)]
)
def test_our_own_key_asks_for_nothing_that_a_caller_has_bought(tenant, is_ours):
    assert (OwnKey(KEY.secret).key_of(tenant) is not None) == is_ours
