"""When a webhook is sent again, and when it is given up."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from app.database.errors import DatabaseUnavailableError
from app.egress.address_guard import RefusedAddressError
from app.webhooks.dispatcher import DeliverySchedule, WebhookDispatcher
from app.webhooks.signing import WebhookSecrets

NOW = 1_700_000_000.0
SCHEDULE = DeliverySchedule(waits=(5, 15), looks_every=0.005)


@dataclass
class Book:
    """One webhook that is due once, or a database that is away at first."""

    attempts: int = 1
    away: int = 0
    noted: list[tuple[int | None, float | None]] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def due(self) -> list[SimpleNamespace]:
        if self.away:
            self.away -= 1
            raise DatabaseUnavailableError
        found = [SimpleNamespace(id="req_1", tenant="a", webhook_url="https://x/", webhook_attempts=self.attempts)]
        self.due = self.nothing
        return found

    async def nothing(self) -> list[SimpleNamespace]:
        return []

    async def note(self, _record: SimpleNamespace, status: int | None, next_at: float | None) -> None:
        self.noted.append((status, next_at))
        self.done.set()


@dataclass
class Sender:
    """Answers each call alike, and keeps the headers."""

    answer: tuple[bool, int | None] | Exception
    sent: list[dict[str, str]] = field(default_factory=list)

    async def send_webhook(self, _url: str, headers: dict[str, str], _body: bytes, _caller: str):
        self.sent.append(headers)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def close(self) -> None:
        """Nothing is open."""


def dispatch(book: Book, sender: Sender) -> None:
    async def work() -> None:
        secrets = WebhookSecrets(lambda purpose: [purpose.encode()])
        webhooks = WebhookDispatcher(book, sender, secrets, lambda _: b"{}", SCHEDULE, lambda: NOW)
        webhooks.loop.start()
        async with asyncio.timeout(10):
            await book.done.wait()
        await webhooks.close()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("answer", "attempts", "noted"),
    [
        pytest.param((True, 204), 1, (204, None), id="taken"),
        pytest.param((False, 500), 1, (500, NOW + 5), id="refused: again after the first wait"),
        pytest.param((False, None), 2, (None, NOW + 15), id="no answer: again after the second"),
        pytest.param((False, 500), 3, (500, None), id="given up after the last attempt"),
        pytest.param(RefusedAddressError("leads inside"), 1, (None, None), id="leads inside: never again"),
    ],
)
def test_an_attempt_decides_about_the_next(answer, attempts, noted):
    book = Book(attempts)
    dispatch(book, Sender(answer))
    assert book.noted == [noted]


def test_every_attempt_has_the_same_id():
    sender = Sender((False, 500))
    for attempts in (1, 2):
        dispatch(Book(attempts), sender)
    assert [headers["webhook-id"] for headers in sender.sent] == ["msg_1", "msg_1"]


def test_a_database_that_is_away_delays_webhooks_and_loses_none():
    book = Book(away=3)
    dispatch(book, Sender((True, 200)))
    assert book.noted == [(200, None)]
