"""Sends every webhook that is due, again and again until its receiver takes it or the last attempt has failed.

What is due is in the journal, so a webhook outlives the process that should have sent it. Receivers may see one twice,
under the same `webhook-id`, never none.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from app.database.errors import DatabaseUnavailableError
from app.database.writer import Writer
from app.egress.address_guard import RefusedAddressError
from app.journal.notices import NoticeBook, body_of
from app.journal.records import Record
from app.journal.webhooks import WebhookBook
from app.observability.background import Loop
from app.observability.logs import get_logger
from app.webhooks.sender import WebhookSender
from app.webhooks.signing import WebhookSecrets, signed_headers

_logger = get_logger("webhooks")


@dataclass(frozen=True, slots=True)
class DeliverySchedule:
    """Seconds between attempts, of which there is one more, and how often webhooks of others are looked for."""

    waits: tuple[float, ...] = (5, 15, 45, 120, 600, 3600)
    looks_every: float = 5.0


class Message(Protocol):
    """What is sent, and how often that was tried; this time counts."""

    @property
    def id(self) -> str:
        """The same in every attempt."""
        ...

    @property
    def tenant(self) -> str:
        """Whose secret signs it."""
        ...

    @property
    def webhook_url(self) -> str | None:
        """Where it goes."""
        ...

    @property
    def webhook_attempts(self) -> int:
        """How often it was tried."""
        ...


_M = TypeVar("_M", bound=Message)


class Book(Protocol[_M]):
    """Where it stands which messages are due."""

    async def due(self) -> list[_M]:
        """Those to be sent now; nobody else gets them meanwhile."""
        ...

    async def note(self, message: _M, status: int | None, next_at: float | None, /) -> None:
        """How an attempt went, and when to try again, None for never."""
        ...


class WebhookDispatcher(Generic[_M]):
    """Sends webhooks in the background. `render` makes the body; `clock` is unix seconds."""

    def __init__(
        self,
        book: Book[_M],
        sender: WebhookSender,
        secrets: WebhookSecrets,
        render: Callable[[_M], bytes],
        schedule: DeliverySchedule | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._book = book
        self._sender = sender
        self._secrets = secrets
        self._render = render
        self._schedule = schedule or DeliverySchedule()
        self._clock = clock
        self._sending: set[asyncio.Task[None]] = set()
        # Nothing is lost while the database is away: what is due stands in the journal. Woken for webhooks of this
        # process; those of others are found by looking.
        every, trouble = self._schedule.looks_every, "webhooks cannot be looked for"
        self.loop = Loop(self._look, every, _logger, trouble, passing=DatabaseUnavailableError)

    async def close(self) -> None:
        """Look no more; what is being sent is given up, and sent again by the process that looks next."""
        self.loop.stop()
        for task in self._sending:
            task.cancel()
        await self._sender.close()

    async def _look(self) -> None:
        for record in await self._book.due():
            task = asyncio.create_task(self._send(record))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, record: _M) -> None:
        """One attempt; `record.webhook_attempts` counts it already."""
        body = self._render(record)
        # The id is the same in every attempt: receivers drop repetitions by it.
        headers = signed_headers(
            self._secrets.of(record.tenant), f"msg_{record.id.removeprefix('req_')}", int(self._clock()), body
        )
        status: int | None = None
        try:
            done, status = await self._sender.send_webhook(record.webhook_url or "", headers, body, record.tenant)
        except RefusedAddressError as error:
            _logger.warning("webhook refused", id=record.id, reason=error.reason)
            # Final: an address that leads inside is not tried again, or it would be a way to probe the network.
            await self._note(record, status, None)
            return
        remaining = self._schedule.waits[record.webhook_attempts - 1 :]
        if not done and not remaining:
            _logger.error("webhook given up", id=record.id, attempts=record.webhook_attempts, status=status)
        await self._note(record, status, None if done or not remaining else self._clock() + remaining[0])
        if not done and remaining:
            asyncio.get_running_loop().call_later(remaining[0], self.loop.wake)

    async def _note(self, record: _M, status: int | None, next_at: float | None) -> None:
        try:
            await self._book.note(record, status, next_at)
        # Not noted means sent again: receivers may see it twice, never not at all.
        except DatabaseUnavailableError:
            _logger.exception("the end of a webhook cannot be written down", id=record.id)


class Dispatchers:
    """Sends what is due of requests and what belongs to none. `render` makes the body of a request's webhook."""

    def __init__(
        self,
        writer: Writer,
        sender: WebhookSender,
        secrets: WebhookSecrets,
        render: Callable[[Record], bytes],
        operator_url: str | None,
        schedule: DeliverySchedule,
    ) -> None:
        self._requests = WebhookDispatcher(WebhookBook(writer), sender, secrets, render, schedule)
        self._notices = WebhookDispatcher(NoticeBook(writer, operator_url), sender, secrets, body_of, schedule)

    def start(self) -> None:
        """Begin to look for what is due."""
        self._requests.loop.start()
        self._notices.loop.start()

    def wake(self) -> None:
        """A webhook of a request may be due now; notices are looked for in their own time."""
        self._requests.loop.wake()

    async def close(self) -> None:
        """Look no more."""
        await self._notices.close()
        await self._requests.close()
