"""Calling webhooks: a receiver that drips holds up neither other callers nor anyone for long."""

import asyncio
import time
from typing import Self

import pytest

from app.egress.address_guard import AddressGuard, RefusedAddressError
from app.journal.webhooks import ATTEMPT_SECONDS
from app.webhooks import sender as module
from app.webhooks.sender import WebhookSender


async def loopback(host: str, port: int, caller: str) -> list[str]:
    return ["127.0.0.1"]


class Receiver:
    """A receiver on loopback: it answers at once, or a header line at a time. `busy` is set once 16 calls are open."""

    def __init__(self, *, drips: bool) -> None:
        self._drips = drips
        self._answering: set[asyncio.Task] = set()
        self.most = self.open = 0
        self.busy = asyncio.Event()
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._answering.add(asyncio.current_task())
        self.open += 1
        self.most = max(self.most, self.open)
        if self.open == 16:
            self.busy.set()
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + (b"" if self._drips else b"\r\n"))
            for number in range(600 if self._drips else 0):
                writer.write(f"X-{number}: 1\r\n".encode())
                await writer.drain()
                await asyncio.sleep(0.05)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()


def with_sender(work, *, allow_private: bool = True):
    async def course():
        sender = WebhookSender(AddressGuard(allow_private=allow_private, resolve=loopback), allow_private=allow_private)
        try:
            return await work(sender)
        finally:
            await sender.close()

    return asyncio.run(course())


def test_receivers_that_drip_hold_up_no_other_caller():
    async def work(sender: WebhookSender) -> None:
        async with Receiver(drips=True) as slow, Receiver(drips=False) as quick:
            attack = [asyncio.create_task(sender.send_webhook(slow.url, {}, b"{}", "hostile")) for _ in range(60)]
            await slow.busy.wait()
            began = time.monotonic()
            assert await sender.send_webhook(quick.url, {}, b"{}", "innocent") == (True, 200)
            assert time.monotonic() - began < 5
            assert slow.most == 16
            for task in attack:
                task.cancel()
            await asyncio.gather(*attack, return_exceptions=True)
            assert await sender.send_webhook(quick.url, {}, b"{}", "hostile") == (True, 200)

    with_sender(work)


@pytest.mark.slow
def test_a_call_ends_however_slowly_its_receiver_answers():
    async def work(sender: WebhookSender) -> float:
        async with Receiver(drips=True) as slow:
            began = time.monotonic()
            assert await sender.send_webhook(slow.url, {}, b"{}", "a") == (False, None)
            return time.monotonic() - began

    assert with_sender(work) < 25


def test_an_attempt_ends_before_another_process_takes_it_over():
    assert module._TURN_SECONDS + module._TIMEOUT_SECONDS < ATTEMPT_SECONDS


def test_an_address_that_leads_inside_meanwhile_is_not_called():
    async def work(sender: WebhookSender) -> None:
        with pytest.raises(RefusedAddressError):
            await sender.send_webhook("https://hooks.example/", {}, b"{}", "a")

    with_sender(work, allow_private=False)
