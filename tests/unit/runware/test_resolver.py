"""How the transport's connections find Runware."""

import asyncio
import socket

import pytest

from app.runware.resolver import RunwareResolver
from app.runware.transport import AiohttpTransport, NotSentError
from tests.support.upstreams import KEY

BOTH = ["192.0.2.1", "2001:db8::1"]


def find(found, family):
    async def course():
        async def addresses(host: str, port: int) -> list[str]:
            if isinstance(found, Exception):
                raise found
            return found

        return await RunwareResolver(addresses).resolve("runware.test", 443, family)

    return asyncio.run(course())


@pytest.mark.parametrize(
    ("family", "hosts"),
    [(socket.AF_UNSPEC, BOTH), (socket.AF_INET, BOTH[:1]), (socket.AF_INET6, BOTH[1:])],
    ids=["any", "v4", "v6"],
)
def test_addresses_are_told_by_family(family, hosts):
    listed = find(BOTH, family)
    assert [one["host"] for one in listed] == hosts
    assert {(one["hostname"], one["port"]) for one in listed} == {("runware.test", 443)}
    assert all(one["family"] == (socket.AF_INET6 if ":" in one["host"] else socket.AF_INET) for one in listed)


@pytest.mark.parametrize("found", [[], BOTH[1:], OSError("dead"), UnicodeError("odd"), TimeoutError()], ids=repr)
def test_no_address_is_one_kind_of_error(found):
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one does not matter
        find(found, socket.AF_INET)
    assert not isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("error", [OSError("dead"), UnicodeError("odd"), TimeoutError()], ids=repr)
def test_a_task_whose_runware_has_no_address_was_surely_not_sent(error):
    async def addresses(host: str, port: int) -> list[str]:
        raise error

    async def course() -> None:
        transport = AiohttpTransport("http://runware.test:1/v1", addresses)
        try:
            with pytest.raises(NotSentError):
                await transport.post(b"[]", KEY, 5)
        finally:
            await transport.close()

    asyncio.run(course())
