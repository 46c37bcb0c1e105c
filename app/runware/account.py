"""The account at Runware: its balance, asked for at most once a minute, and watched where a low one is named.

Leaves to `api` who may see it, and in which words a failure is told.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from app.observability.logs import get_logger
from app.runware.exchange import OK
from app.runware.failures import Kind, ProviderFailure, from_status, to_failure
from app.runware.keys import RunwareKey
from app.runware.tasks import encode
from app.runware.transport import HTTPReply, LateError, Transport, TransportError
from app.runware.wire import UnreadableReplyError, decode, decode_balance

_logger = get_logger("runware")
_SECONDS = 20.0
_KEPT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Balance:
    """What the account had, in dollars; `asked_at` is unix seconds."""

    dollars: Decimal
    asked_at: float


class RunwareAccount:
    """Asks for the balance of the account of `key`.

    `low` is in dollars; `clock` is monotonic seconds, `now` unix seconds.
    """

    def __init__(
        self,
        transport: Transport,
        key: RunwareKey | None,
        low: Decimal | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._transport = transport
        self._key = key
        self._low = low
        self._clock = clock
        self._now = now
        self._new_id = new_id
        self._known: tuple[Balance, float] | None = None
        self._asking: asyncio.Task[Balance | ProviderFailure] | None = None
        self._watching: asyncio.Task[None] | None = None
        self.is_low = False
        """Whether the balance was below `low` when it was last heard of."""

    @property
    def has_key(self) -> bool:
        """Whether there is an account of this gateway's."""
        return self._key is not None

    @property
    def last_known(self) -> Balance | None:
        """The balance as it was when it was last heard of."""
        return None if self._known is None else self._known[0]

    def start(self) -> None:
        """Watch the balance, where a low one is named."""
        if self._low is not None and self._key is not None:
            self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Ask no more."""
        for running in filter(None, (self._watching, self._asking)):
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def find_balance(self) -> Balance | ProviderFailure:
        """The balance as it was within the last minute, or why Runware does not tell."""
        if self._known is not None and self._clock() < self._known[1] + _KEPT_SECONDS:
            return self._known[0]
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._forget_question)
        # One question for all who ask meanwhile, and it goes on when one of them leaves.
        return await asyncio.shield(self._asking)

    def _forget_question(self, _: asyncio.Task[Balance | ProviderFailure]) -> None:
        self._asking = None

    async def _watch(self) -> None:
        while True:
            await self.find_balance()
            await asyncio.sleep(_KEPT_SECONDS)

    async def _ask(self) -> Balance | ProviderFailure:
        task_uuid = self._new_id()
        body = encode([{"taskType": "accountManagement", "taskUUID": task_uuid, "operation": "getDetails"}])
        try:
            answer = await self._transport.post(body, self._key, _SECONDS)
        # A question spends nothing: whether it arrived does not matter.
        except LateError:
            return ProviderFailure(Kind.TIMEOUT, "late", "")
        except TransportError:
            return ProviderFailure(Kind.CAPACITY, "connectionFailed", "")
        found = _read(answer, task_uuid)
        if isinstance(found, ProviderFailure):
            return found
        balance = Balance(found, self._now())
        self._known = balance, self._clock()
        self._compare(balance)
        return balance

    def _compare(self, balance: Balance) -> None:
        """Note whether it is low, and say so once."""
        if self._low is None:
            return
        was_low, self.is_low = self.is_low, balance.dollars < self._low
        if self.is_low and not was_low:
            advice = "add credit at Runware, or requests will fail"
            _logger.warning(
                "the balance at Runware is low", balance=str(balance.dollars), low=str(self._low), advice=advice
            )
        elif was_low and not self.is_low:
            _logger.info("the balance at Runware is no longer low", balance=str(balance.dollars))


def _read(answer: HTTPReply, task_uuid: str) -> Decimal | ProviderFailure:
    """The balance in an answer, or the failure that it tells."""
    try:
        balance = decode_balance(answer.body, task_uuid) if answer.status == OK else None
        faults = decode(answer.body, task_uuid).faults if balance is None else ()
    except UnreadableReplyError:
        return from_status(answer.status, answer.retry_after)
    if balance is not None:
        return balance
    if faults:
        return to_failure(faults[0], answer.status, answer.retry_after)
    return from_status(answer.status, answer.retry_after)
